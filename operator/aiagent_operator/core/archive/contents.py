"""What goes into the archive of an agent, as files: its objects as the API server had them, and its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aiagent_operator.api import meta
from aiagent_operator.api.archive import ArchivedAgent, Gap, GapReason
from aiagent_operator.core import texts
from aiagent_operator.core.archive import layout, manifest, wire
from aiagent_operator.core.archive.held import Interval
from aiagent_operator.core.archive.manifest import Leaving, Stored
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Manifest
from aiagent_operator.core.order_facts import FINISHED, Order

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KEPT: Final = ("name", "namespace", "uid", "labels", "annotations", "generation", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the archive, by its path in it."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is archived of an agent that leaves: what is known of it, its files, what could not be captured, and who
    asks for how long that is kept. `stored`: files that are in the archive's folder already."""

    leaving: Leaving
    files: tuple[File, ...]
    gaps: tuple[Gap, ...]
    claims: tuple[Claim, ...]
    stored: tuple[Stored, ...] = ()


def agent(raw: Manifest, identity: AgentIdentity) -> ArchivedAgent:
    """The agent as manifests name it."""
    spec = raw.get("spec") or {}
    return ArchivedAgent(
        namespace=identity.namespace,
        name=identity.name,
        uid=identity.uid,
        role=(spec.get("roleRef") or {}).get("name") or "unknown",
        accountable=_person(_accountable(spec)),
    )


def spec(raw: Manifest) -> File:
    """`spec.json`: the AIAgent as it was at last, without its status, of which the journal tells.

    Names of people are told by their digests: an archive may have to outlive the right to know them. So is the text of
    its instructions, in which such names may be; it is in the archive with its handbook, encrypted.
    """
    told = dict(raw.get("spec") or {})
    book = told.get("handbook") or {}
    if text := (book.get("instructions") or {}).get("inline"):
        told["handbook"] = {**book, "instructions": {"inlineDigest": wire.digest(str(text).encode())}}
    if owners := told.get("owners"):
        told["owners"] = [_owner(owner) for owner in owners]
    return File(layout.SPEC, _json({**_head(raw, "AIAgent"), "spec": told}))


def record(raw: Manifest, kind: ChildKind) -> File:
    """One AgentRevision or AgentEvaluation.

    What a training has said is told by its digest, since there may be names of people in it.
    """
    if kind is ChildKind.AGENT_REVISION:
        status = dict(raw.get("status") or {})
        if log := status.pop("log", None):
            raw = {**raw, "status": {**status, "logDigest": wire.digest(str(log).encode())}}
        return File(layout.revision(raw["spec"]["number"]), _object(raw, kind.value))
    return File(layout.evaluation(raw["metadata"]["name"]), _object(raw, kind.value))


def revisions(
    found: Iterable[Manifest], kept: Mapping[str, bytes], latest: int, *, terminating: bool
) -> tuple[list[File], list[Gap]]:
    """The AgentRevisions, and which are missing of those that there were up to the `latest` number.

    `kept`: by their paths, what was put into the store of those that have gone meanwhile.
    """
    wanted = {layout.revision(number): str(number) for number in range(1, latest + 1)}
    return _records(found, ChildKind.AGENT_REVISION, kept, wanted, terminating=terminating)


def evaluations(
    found: Iterable[Manifest], kept: Mapping[str, bytes], told: Iterable[str], *, terminating: bool
) -> tuple[list[File], list[Gap]]:
    """The AgentEvaluations, and which are missing of those whose verdicts are told, by their names. `kept`: as for
    revisions."""
    wanted = {layout.evaluation(name): name for name in told}
    return _records(found, ChildKind.AGENT_EVALUATION, kept, wanted, terminating=terminating)


def _records(
    found: Iterable[Manifest],
    kind: ChildKind,
    kept: Mapping[str, bytes],
    wanted: Mapping[str, str],
    *,
    terminating: bool,
) -> tuple[list[File], list[Gap]]:
    files = {path: File(path, kept[path]) for path in wanted if path in kept}
    files |= {file.path: file for file in (record(raw, kind) for raw in found)}
    missing = [name for path, name in wanted.items() if path not in files]
    if not missing:
        return list(files.values()), []
    text = f"{len(missing)} of {len(wanted)} {kind.value}s, {texts.some(missing)}"
    return list(files.values()), [_gone(next(iter(wanted)).split("/")[0], text, terminating=terminating)]


def _gone(path: str, what: str, *, terminating: bool) -> Gap:
    why = "the namespace was being deleted" if terminating else "they were gone before the operator could keep them"
    reason = GapReason.NAMESPACE_TERMINATING if terminating else GapReason.NOT_FOUND
    return manifest.gap(path, reason, f"{what}: {why}")


def missing(gaps: Iterable[Gap], stored: Iterable[Stored]) -> list[Gap]:
    """The gaps, of each path the last, without those of what is stored after all: a crash may come between the two."""
    there = {layout.item(each.path) for each in stored}
    return list({gap.path: gap for gap in gaps if gap.path not in there}.values())


def order(given: Order, status: Mapping[str, Any]) -> File:
    """An AgentAction as it is kept before it goes: its status only once it is over, and stays as it is."""
    metadata = {
        "name": given.name,
        "namespace": given.namespace,
        "uid": given.uid,
        "creationTimestamp": texts.moment(given.created),
    }
    told = {"spec": given.spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    if given.phase in FINISHED:
        told["status"] = dict(status)
    return File(layout.action(given.uid, given.name), _json({**_head({"metadata": metadata}, "AgentAction"), **told}))


def actions(
    found: Iterable[Manifest], kept: Mapping[str, bytes], told: Iterable[str], *, terminating: bool
) -> tuple[list[File], list[Gap]]:
    """The AgentActions that were about it, and which are missing of those that its journal names, by their UIDs.
    `kept`: as for revisions."""
    files = {path: File(path, data) for path, data in kept.items() if layout.ordered(path)}
    for raw in found:
        path = layout.action(raw["metadata"]["uid"], raw["metadata"]["name"])
        files[path] = File(path, _object(raw, "AgentAction"))
    known = {layout.ordered(path) for path in files}
    wanted = list(told)
    missing = [uid for uid in wanted if uid not in known]
    if not missing:
        return list(files.values()), []
    text = f"{len(missing)} of {len(wanted)} AgentActions that the journal names, {texts.some(missing)}"
    return list(files.values()), [_gone(layout.ACTIONS, text, terminating=terminating)]


def rights(intervals: Iterable[Interval]) -> File:
    """`rights.jsonl`: what it was allowed to do, and when."""
    return File(layout.RIGHTS, b"".join(interval.line() for interval in intervals))


def journal(records: Iterable[bytes]) -> File:
    """`journal.jsonl`: the records of its journal, each as it is in the store."""
    return File(layout.JOURNAL, b"".join(record + b"\n" for record in records))


def _head(raw: Manifest, kind: str) -> dict[str, Any]:
    metadata = {key: value for key, value in raw["metadata"].items() if key in _KEPT}
    if annotations := metadata.get("annotations"):
        # kubectl's copy of the whole object, with what is left out of it here.
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    return {"apiVersion": meta.API_VERSION, "kind": kind, "metadata": metadata}


def _object(raw: Manifest, kind: str) -> bytes:
    return _json({**_head(raw, kind), **{part: raw[part] for part in ("spec", "status") if part in raw}})


def _json(content: Mapping[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _owner(owner: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(owner)
    for part in ("subject", "backup"):
        if isinstance(subject := told.get(part), Mapping) and subject.get("kind") == "User":
            told[part] = {**subject, "name": _person(subject)}
    return told


def _accountable(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    owners = [owner for owner in spec.get("owners") or () if owner.get("responsibility") == "Accountable"]
    return (owners[0].get("subject") if owners else None) or {}


def _person(subject: Mapping[str, Any]) -> str:
    return wire.digest(f"{subject.get('kind', '')} {subject.get('name', '')}".encode())
