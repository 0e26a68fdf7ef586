"""The agents that an agent names as those before and after it, from what is known of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.api.archive import Relative
from aiagent_operator.api.offboarding import MOST_DEPENDENTS, Kinship
from aiagent_operator.core import leaving, succession
from aiagent_operator.core.succession import NOBODY, Family, Kin
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archives import ArchiveRecord
from aiagent_operator.runtime.store import AgentKey, Store

# Agents that are followed to find a circle: longer ones wait as well, and are not named.
_FOLLOWED = 32


def family(store: Store, key: AgentKey, spec: Mapping[str, Any]) -> Family:
    """Who comes before and after the agent with this spec."""
    before, after = succession.named(spec)
    namesake = _namesake(store, key)
    if not before and not after:
        return Family(former=namesake) if namesake else NOBODY
    one = _kin(store, key, before) or _former(store, key, before)
    own = _own(store, key)
    return Family(
        one,
        _kin(store, key, after),
        _circle(store, key, before),
        recorded=own is None or "handover" in own.status,
        ended=own is not None and "handover" in own.status,
        left=own is None or bool(_digest(own)),
        former=namesake,
    )


def dependents(store: Store, key: AgentKey) -> list[dict[str, str]]:
    """The agents that name it and count on it still, by their names."""
    found = []
    for other in store.dependents.of(("AIAgent", *key)):
        record = store.agents.get(other)
        if record is None or record.retired:
            continue
        raw = record.load()
        before, after = succession.named(raw["spec"])
        if after == key.name:
            found.append({"name": other.name, "namesIt": Kinship.SUCCESSOR.value})
        if before == key.name and not _received(raw, key.name):
            found.append({"name": other.name, "namesIt": Kinship.PREDECESSOR.value})
    return sorted(found, key=lambda each: (each["name"], each["namesIt"]))[:MOST_DEPENDENTS]


def _kin(store: Store, key: AgentKey, name: str) -> Kin | None:
    record = store.agents.get(AgentKey(key.namespace, name)) if name else None
    if record is None:
        return None
    raw = record.load()
    status = raw.get("status") or {}
    before, after = succession.named(raw["spec"])
    archive = _archive(store, record, status)
    return Kin(
        name,
        record.uid,
        successor=after,
        predecessor=before,
        archive=archive[0],
        digest=archive[1],
        leaves=record.leaving or bool(status.get("offboarding")) or leaving.irrevocable(status),
        hired=bool(status.get("hiredAs")),
        received=status.get("succession") or {},
        ready=record.reason,
    )


def _former(store: Store, key: AgentKey, name: str) -> Kin | None:
    """A predecessor that is gone, by the newest archive of one of that name that says by whom it was, or was to be,
    followed: so one that is applied anew, after a cluster was lost say, comes after the same."""
    found = [store.archives.records[archive] for archive in store.archives.of(key.namespace, name)] if name else []
    agreed = [each for each in found if key.name in _followers(each) and _digest(each)]
    if not agreed:
        return None
    last = max(agreed, key=lambda each: (each.spec["created"], each.name))
    uid = last.spec["agent"]["uid"]
    return Kin(name, uid, successor=key.name, archive=last.name, digest=_digest(last), leaves=True)


def _namesake(store: Store, key: AgentKey) -> Relative | None:
    """Who had the agent's name before it, by the newest AgentArchive of another one of that name."""
    found = [store.archives.records[archive] for archive in store.archives.of(*key[:2])]
    record = store.agents.get(key)
    others = [(each.spec, each.name) for each in found if record is None or each.spec["agent"]["uid"] != record.uid]
    if not others:
        return None
    spec, name = max(others, key=lambda each: (each[0]["created"], each[1]))
    return Relative(namespace=key.namespace, name=key.name, uid=spec["agent"]["uid"], archive=name)


def _followers(archive: ArchiveRecord) -> set[str]:
    sealed = ((archive.spec.get("lineage") or {}).get("successor") or {}).get("name")
    taken = ((archive.status.get("handover") or {}).get("successor") or {}).get("name")
    return {each for each in (sealed, taken) if each}


def _archive(store: Store, record: AgentRecord, status: Mapping[str, Any]) -> tuple[str, str]:
    """(name, digest of the manifest) of the agent's archive; empty before it is complete, and on record."""
    said = status.get("archive") or {}
    found = store.archives.records.get(said.get("name", "")) if said.get("completed") else None
    if found is None or found.spec["agent"]["uid"] != record.uid or not _digest(found):
        return "", ""
    return found.name, _digest(found)


def _own(store: Store, key: AgentKey) -> ArchiveRecord | None:
    """The agent's own AgentArchive, where it is there, or still there."""
    record = store.agents.get(key)
    status = (record.load().get("status") or {}) if record is not None else {}
    return store.archives.records.get((status.get("archive") or {}).get("name", ""))


def _digest(archive: ArchiveRecord) -> str:
    """That of its manifest; empty where it has none, and so nothing in it."""
    return str((archive.spec.get("manifest") or {}).get("digest", ""))


def _circle(store: Store, key: AgentKey, before: str) -> tuple[str, ...]:
    """The names of agents each of which waits for the next, up to the agent itself; empty where it is none of such."""
    chain, name = [key.name], before
    while name and len(chain) < _FOLLOWED:
        if name == key.name:
            return tuple(chain)
        chain.append(name)
        record = store.agents.get(AgentKey(key.namespace, name))
        if record is None:
            return ()
        raw = record.load()
        name = succession.named(raw["spec"])[0]
        if _received(raw, name):
            return ()
    return ()


def _received(raw: Mapping[str, Any], name: str) -> bool:
    """Whether the agent has taken over from the one of that name."""
    taken = (raw.get("status") or {}).get("succession") or {}
    return bool(name) and (taken.get("predecessor") or {}).get("name") == name
