"""What is on record of an agent that was released without an archive: by whose order, and why there is none."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from aiagent_operator.api.archive import MOST_ITEMS, Moment, Short, Uid
from aiagent_operator.api.fields import Label, Model, ObjectName, Text, described


class Abandonment(Model):
    """The order, and what it was given for."""

    uid: Annotated[Uid, described("UID of the AgentAction.")]
    namespace: Annotated[Label, described("Namespace of the AgentAction.")]
    order: Annotated[ObjectName, described("Name of the AgentAction.")]
    by: Annotated[Short, described("Who gave it.")]
    reason: Annotated[Text, described("Why, in the words of who gave it.")]
    time: Annotated[Moment, described("When it was acted upon: from then on nothing is archived any more.")]
    message: Annotated[Text, described("Why the agent could not be archived.")]


class RecordedAbandonment(Abandonment):
    """The same, on the record that outlives the agent."""

    unrecorded: Annotated[int, Field(ge=1, le=MOST_ITEMS)] | None = described(
        "Events that waited for the store, and are in no journal.", default=None
    )
