"""The record of an agent that was released without an archive, as the bytes of its file, and the signature of that.

It follows from the AgentArchive alone, and in one way: so whoever puts it puts the same, and what is in a store is
compared with it byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.abandoned import VERSION, AbandonedRecord, Released, ReleaseStatement
from aiagent_operator.api.agentarchive import AgentArchiveSpec, CertificateSummary
from aiagent_operator.api.decommission import Digests, Subject
from aiagent_operator.core.archive import envelope, index, layout, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout

LIMIT: Final = 1024**2
"""Bytes of a record that are read; an object in etcd, from which it comes, has no more."""

_SAME: Final = ("agent", "abandoned", "created", "reason", "mode", "journal", "retention")


def record(name: str, raw: Mapping[str, Any]) -> bytes:
    """The bytes of `abandoned.json`, by name and spec of the AgentArchive. Raises ArchiveError."""
    what = f"the record of AgentArchive {name}"
    try:
        spec = AgentArchiveSpec.model_validate(raw)
        if spec.abandoned is None:
            raise ArchiveError(f"{what} cannot be made: it has a manifest, so its agent was not abandoned")
        same = {field: getattr(spec, field) for field in _SAME}
        gaps = {"not_captured": spec.not_captured, "not_captured_more": spec.not_captured_more}
        made = AbandonedRecord(archive=name, **same, **gaps)
    except ValidationError as error:
        raise ArchiveError(
            f"{what} cannot be made: {wire.faults(error)}: let an operator of the version that wrote it run"
        ) from error
    if (where := place(made).prefix) != spec.path:
        raise ArchiveError(f"{what} cannot be made: its spec.path is {spec.path}, and that of its agent {where}")
    return wire.written(made)


def read(data: bytes, what: str = layout.ABANDONED) -> AbandonedRecord:
    """The record in a file; `what` names that. Raises ArchiveError, also where it is not written as it always is."""
    found = wire.read(data, AbandonedRecord, what, limit=LIMIT, version=VERSION)
    if wire.written(found) != data:
        raise ArchiveError(
            f"{what} is not as this software writes it: get an undamaged copy, or newer software where it is newer"
        )
    return found


def place(found: AbandonedRecord) -> Layout:
    """Where the record belongs."""
    return Layout(found.agent.uid, found.archive)


def body(found: AbandonedRecord, store: str) -> dict[str, Any]:
    """The AgentArchive that it is of, as it was made when the agent was released."""
    same = {field: getattr(found, field) for field in _SAME}
    gaps = {"not_captured": found.not_captured, "not_captured_more": found.not_captured_more}
    return index.body(found.archive, AgentArchiveSpec(store=store, path=place(found).prefix, **same, **gaps))


def issue(data: bytes, key: envelope.PrivateKey) -> bytes:
    """The bytes of the record's signature. Raises ArchiveError."""
    found = read(data)
    statement = ReleaseStatement(
        subject=(_subject(found, data),), predicate=Released(agent=found.agent, abandoned=found.abandoned)
    )
    return envelope.sign(wire.written(statement), key)


def signed(
    signature: bytes, data: bytes, keys: Iterable[envelope.PublicKey], what: str = layout.ABANDONED_CERTIFICATE
) -> CertificateSummary:
    """What is to be said of the signature of a record; `what` names its file.

    Raises ArchiveError where none of the keys has signed it, or it is of something else.
    """
    opened = envelope.verified(signature, keys, what)
    return summary(signature, check(opened.payload, data, what), opened.signed_by)


def check(payload: bytes, data: bytes, what: str) -> AbandonedRecord:
    """The record, of which the payload of a signature has to be. Raises ArchiveError."""
    found = read(data)
    said = wire.read(payload, ReleaseStatement, f"the payload of {what}", limit=2 * LIMIT)
    if said.subject != (_subject(found, data),) or said.predicate != Released(
        agent=found.agent, abandoned=found.abandoned
    ):
        raise ArchiveError(f"{what} is about another record than {layout.ABANDONED}: restore whichever was altered")
    return found


def summary(signature: bytes, found: AbandonedRecord, key_ids: tuple[str, ...]) -> CertificateSummary:
    """What the AgentArchive says of the signature."""
    return CertificateSummary(digest=wire.digest(signature), key_ids=key_ids, completion_time=found.abandoned.time)


def _subject(found: AbandonedRecord, data: bytes) -> Subject:
    digest = Digests(sha256=wire.digest(data).removeprefix(wire.PREFIX))
    return Subject(name=place(found).key(layout.ABANDONED), digest=digest)
