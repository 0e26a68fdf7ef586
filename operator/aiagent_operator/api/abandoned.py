"""The record in a store of an agent that was released without an archive, and what is signed of it.

`abandoned.json` lies where the archive would be, and says what the AgentArchive says, so that this can be made anew. It
is written once. The signature is an in-toto Statement v1 (https://in-toto.io/Statement/v1) about that file; its
predicate is our own.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.agentarchive import SHOWN_GAPS
from aiagent_operator.api.archive import (
    MOST_ITEMS,
    FormerAgent,
    Gap,
    JournalHead,
    LeaveReason,
    Mode,
    Moment,
    RetentionRecord,
    Short,
)
from aiagent_operator.api.decommission import STATEMENT_TYPE, Subject
from aiagent_operator.api.fields import Model

VERSION: Final = "abandonment.workforce.dev/v1"
PREDICATE_TYPE: Final = "https://workforce.dev/abandonment/v1"


class AbandonedRecord(Model):
    """What the AgentArchive says of it, apart from where it is: that follows from where the record lies."""

    version: Literal["abandonment.workforce.dev/v1"] = VERSION
    archive: Short
    agent: FormerAgent
    abandoned: RecordedAbandonment
    created: Moment
    reason: LeaveReason
    mode: Mode
    journal: JournalHead | None = None
    retention: RetentionRecord
    not_captured: Annotated[tuple[Gap, ...], Field(max_length=SHOWN_GAPS)] = ()
    not_captured_more: Annotated[int, Field(ge=1, le=MOST_ITEMS)] | None = None


class Released(Model):
    """The predicate: who was released, and by whose order."""

    agent: FormerAgent
    abandoned: RecordedAbandonment


class ReleaseStatement(Model):
    """The statement; its subject is the one record."""

    model_config = ConfigDict(serialize_by_alias=True)

    statement_type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")] = STATEMENT_TYPE
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://workforce.dev/abandonment/v1"] = PREDICATE_TYPE
    predicate: Released
