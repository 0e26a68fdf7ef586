"""A namespace with many agents is deleted: all of them are sealed, beside each other, and nothing is left of any."""

import time
from collections.abc import Iterator

import pytest

from aiagent_operator.core.archive import archivekey, index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import ApiError, Kube, Object
from support.operator import Installation
from support.workplace import Workplace

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

MANY = 50
# Where the machine does nothing but this it is less than 2, and where they left one after the other, nearly MANY.
MOST_RATIO = 10


def employed(place: Workplace, role: str, home: str, crm: str, names: list[str]) -> dict[str, str]:
    """Agents that are onboarded, with rights in two namespaces: their UIDs by name."""
    for name in names:
        place.admin.create(agents.agent(home, name, role, permission("read-tickets", crm), permission("refund")))

    def ready() -> dict[str, str]:
        found = place.admin.list(agents.API, "aiagents", namespace=home)
        uids = {
            a["metadata"]["name"]: a["metadata"]["uid"]
            for a in found
            if (agents.condition(a, "Ready") or {}).get("status") == "True"
        }
        return uids if len(uids) == len(names) else {}

    found: dict[str, str] = place.admin.wait_for(ready, what=f"{len(names)} agents to be onboarded", timeout=300)
    return found


def gone(place: Workplace, home: str) -> float:
    """Deletes the namespace; seconds until it is gone."""
    began = time.monotonic()
    place.admin.delete("v1", "namespaces", home)
    place.admin.wait_gone("v1", "namespaces", home, timeout=600)
    return time.monotonic() - began


def everything(admin: Kube) -> Iterator[Object]:
    """All objects of the cluster, of every kind that can be listed."""
    groups = [group["preferredVersion"]["groupVersion"] for group in admin.raw("GET", "/apis")["groups"]]
    for version in ["v1", *groups]:
        base = "/api/v1" if version == "v1" else f"/apis/{version}"
        for kind in admin.raw("GET", base)["resources"]:
            if "list" not in kind["verbs"] or "/" in kind["name"]:
                continue
            try:
                items = admin.raw("GET", f"{base}/{kind['name']}")["items"]
            except ApiError as error:
                # Served, and not to be listed by anybody (an old kind that the server keeps for its name).
                if error.status != 405:
                    raise
                continue
            yield from ({"kind": kind["kind"], **item} for item in items)


def test_fifty_agents_leave_with_their_namespace(place: Workplace, installed: Installation) -> None:
    archive: ArchiveFolder = installed.archive
    crm, single, home = (place.new_namespace(name) for name in ("crm", "single", "crowd"))
    role = place.new_role()
    employed(place, role, single, crm, ["triage"])
    alone = gone(place, single)
    uids = employed(place, role, home, crm, [f"triage-{number:02}" for number in range(MANY)])
    heads = {a["metadata"]["uid"] for a in place.admin.list(agents.API, "aiagents", namespace=home)}
    assert heads == set(uids.values())

    together = gone(place, home)

    assert together < MOST_RATIO * alone, f"{MANY} agents: {together:.1f} s, one: {alone:.1f} s"
    keys = set()
    for name, uid in uids.items():
        agent = AgentIdentity(home, name, uid)
        manifest = archive.verified(uid)
        archive.whole(uid)
        told = archive.told(uid)
        assert told[-1] == "Terminated"
        assert not {"Recovered", "Forked"} & set(told)
        assert manifest["journal"]["sequence"] == len(told)
        missing = {(gap["path"].split("/")[0], gap["reason"]) for gap in manifest["notCaptured"]}
        assert missing <= {("logs", "NamespaceTerminating")}
        record = place.admin.get(agents.API, "agentarchives", index.name(agent))
        assert record["status"]["phase"] == "Certified"
        keys.add(archivekey.name(agent))

    place.admin.wait_for(lambda: not left(place.admin, home, set(uids.values()), keys), what="nothing to be left")


def left(admin: Kube, home: str, uids: set[str], keys: set[str]) -> list[str]:
    """What in the whole cluster is of these agents, or names them, beside records, keys and what tells of the past."""
    found = []
    for obj in everything(admin):
        metadata = obj["metadata"]
        labels = metadata.get("labels") or {}
        subjects = [s for s in obj.get("subjects") or () if s.get("namespace") == home]
        own = labels.get("workforce.dev/agent-uid") in uids or metadata.get("namespace") == home or subjects
        if not own or obj["kind"] in ("AgentArchive", "Event"):
            continue
        if obj["kind"] == "Secret" and metadata["namespace"] == chart.NAMESPACE and metadata["name"] in keys:
            continue
        found.append(f"{obj['kind']} {metadata.get('namespace', '')}/{metadata['name']}")
    return found
