"""The certificate of decommission: an in-toto Statement v1 about the manifest of an archive.

Sources: in-toto attestation framework v1 (https://in-toto.io/Statement/v1); the predicate is our own. It says which
rights the agent held, and of each what the API server answered when it was asked for it again. It is evidence for
whoever has to show that an account was closed, such as under ISO/IEC 27001:2022, A.5.18 (removal of access rights).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.archive import (
    MOST_ITEMS,
    ArchivedAgent,
    Gap,
    JournalHead,
    LeaveReason,
    Mode,
    Moment,
    Short,
    Size,
    Uid,
)
from aiagent_operator.api.fields import Digest, Model, Text

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://workforce.dev/decommission/v1"
MOST_RIGHTS: Final = 4096
"""Over its whole time an agent may have held more than it may hold at once."""

Part = Annotated[str, StringConstraints(max_length=253)]


class Right(Model):
    """One atomic right (RBAC): `api_group` is empty for the core group, `name` none where it holds for every name."""

    namespace: Part
    api_group: Part = ""
    resource: Short
    verb: Short
    name: Part | None = None


class Answer(Model):
    """What the API server said to a SubjectAccessReview with the agent's user and groups, after the revocation."""

    at: Moment
    allowed: bool
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""


class RevokedRight(Model):
    """A right that the agent held, and the proof that it holds it no more through what was its own.

    `residual`: what lets it through to the agent's name in spite of that, a binding of somebody else's.
    """

    right: Right
    revoked_at: Moment
    answer: Answer
    residual: Text | None = None


class Removed(Model):
    """An object of the agent's that carried its rights or its identity, and that is gone: seen at that moment."""

    kind: Short
    namespace: Short
    name: Short
    uid: Uid | None = None
    gone_at: Moment


class Approval(Model):
    """Who agreed to the decommission. `digest` is of what they were shown."""

    name: Short
    uid: Uid
    function: Short
    by: Text
    at: Moment
    digest: Digest


class Place(Model):
    """Where the archive is, and when all of it was read back and agreed with its digests. `size` is in bytes."""

    location: Text
    items: Annotated[int, Field(ge=0, le=MOST_ITEMS)]
    size: Size
    verified_at: Moment


class Asked(Model):
    """As whom the API server was asked: without the groups the answer would be worth nothing."""

    user: Text
    groups: Annotated[tuple[Text, ...], Field(min_length=1, max_length=16)]


class Decommission(Model):
    """The predicate."""

    agent: ArchivedAgent
    reason: LeaveReason
    mode: Mode
    completed_at: Moment
    asked: Asked
    rights: Annotated[tuple[RevokedRight, ...], Field(max_length=MOST_RIGHTS)]
    removed: Annotated[tuple[Removed, ...], Field(max_length=MOST_RIGHTS)]
    approvals: Annotated[tuple[Approval, ...], Field(max_length=64)]
    archive: Place
    not_captured: Annotated[tuple[Gap, ...], Field(max_length=MOST_ITEMS)]
    journal: JournalHead | None = None


class Digests(Model):
    """Digests of a subject, in hex without prefix (in-toto: DigestSet)."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Subject(Model):
    """What a statement is about."""

    name: Text
    digest: Digests


class Statement(Model):
    """The statement; its subject is the one manifest."""

    model_config = ConfigDict(serialize_by_alias=True)

    statement_type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = STATEMENT_TYPE
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://workforce.dev/decommission/v1"] = PREDICATE_TYPE
    predicate: Decommission
