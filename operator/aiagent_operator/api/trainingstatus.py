"""What is said of an agent's training in its status."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from aiagent_operator.api.fields import Model, described

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Message = Annotated[str, StringConstraints(max_length=2048)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)]
Word = Annotated[str, StringConstraints(max_length=64)]


class TrainingWait(Model):
    """Why the next training does not start yet."""

    reason: Annotated[Word, described("Why, in one word.")]
    message: Annotated[Message, described("Why, and what to do about it.")]
    until: Moment | None = described("The earliest start, where a clock tells it.", default=None)


class TrainingUnderWay(Model):
    """The training that is under way."""

    revision: Annotated[Number, described("Number of the revision that is trained.")]
    message: Annotated[Message, described("What it does, or waits for.")] = ""


class TrainingEnded(Model):
    """How the last training ended."""

    revision: Annotated[Number, described("Number of the revision.")]
    state: Annotated[Word, described("What has become of the revision.")]
    completion_time: Annotated[Moment, described("When the training ended.")]


class TrainingStatus(Model):
    """The agent's training by plan, promise and order."""

    due: Moment | None = described("When it is due, spread and windows aside; may be past.", default=None)
    waits_for: TrainingWait | None = described("Why it does not start yet.", default=None)
    current: TrainingUnderWay | None = described("The training under way.", default=None)
    last: TrainingEnded | None = described("The training that ended last.", default=None)
