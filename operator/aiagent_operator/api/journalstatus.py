"""How far the journal of an agent is, as its status says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from aiagent_operator.api.fields import ATOMIC, DNS_LABEL, Model, described

MOST_WAITING = 192
MOST_EVALUATED = 2048

StoreName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)]


class JournalHead(Model):
    """The last record that the agent's status knows of."""

    sequence: Annotated[int, Field(ge=1), described("Its place in the journal, counted from 1.")]
    digest: Annotated[
        str,
        StringConstraints(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$"),
        described("Digest of the record: what sha256sum says of its file."),
    ]


class WaitingEvent(Model):
    """An event that is noted, and not recorded yet."""

    kind: Annotated[str, StringConstraints(max_length=63), described("Kind of the event.")]
    cause: Annotated[str, StringConstraints(max_length=253), described("What makes it this event and no other.")]
    time: Annotated[str, StringConstraints(max_length=24), described("When it happened, in UTC.")]
    data: Annotated[str, StringConstraints(max_length=8192), described("What is to be known of it, as JSON.")]


class JournalStatus(Model):
    """How far the journal of the agent is. It is in the archive store, in which nothing is overwritten."""

    store: StoreName | None = described(
        "Name of the store that it is in; a journal stays where it began.", default=None
    )
    head: JournalHead | None = described("Its last record.", default=None)
    pending: Annotated[
        tuple[WaitingEvent, ...],
        described("Events that wait for the store, in their order.", max_length=MOST_WAITING, json_schema_extra=ATOMIC),
    ] = ()
    closed: bool | None = described("Its last event is noted: the agent's rights and work are gone.", default=None)
    evaluated: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=64)], ...],
        described(
            "Beginnings of the UIDs of the AgentEvaluations whose verdicts are told.",
            max_length=MOST_EVALUATED,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
