"""Legal holds: why an archive is held, and how its AgentArchive lists who holds it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from aiagent_operator.api.archive import Moment, Short, Uid
from aiagent_operator.api.fields import Label, Model, ObjectName, Text, described

MOST_HOLDS: Final = 64


class Ground(StrEnum):
    """Why an archive is held: what Regulation (EU) 2016/679 (GDPR), Art. 17(3), sets against a request for erasure."""

    LEGAL_CLAIMS = "LegalClaims"
    LEGAL_OBLIGATION = "LegalObligation"
    PUBLIC_INTEREST = "PublicInterest"


class ArchiveRef(Model):
    """An AgentArchive."""

    name: Annotated[ObjectName, described("Name of the AgentArchive.")]


class HoldEntry(Model):
    """One legal hold: the AgentAction that gave it, and what that said."""

    uid: Annotated[Uid, described("UID of the AgentAction.")]
    namespace: Annotated[Label, described("Namespace of the AgentAction.")]
    order: Annotated[ObjectName, described("Name of the AgentAction.")]
    by: Annotated[Short, described("Who gave it.")]
    since: Annotated[Moment, described("When it was given.")]
    ground: Annotated[Ground, described("Why, by the rule that it is evidence for.")]
    reason: Annotated[Text, described("Why, in the words of who gave it.")]
    orphaned: bool | None = described(
        "True where the AgentAction has gone, with its namespace say, and nobody has released it: only a Release that "
        "names the archive in archiveRef ends the hold.",
        default=None,
    )
