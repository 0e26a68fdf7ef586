"""What an AIAgent's status says of its training: when it is due, how old it may get, and what it waits for."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aiagent_operator.api.fields import AS_SET, ATOMIC, Model, ObjectName, described, map_by

MOST_POLICIES: Final = 64
"""Policies that are named; whoever has more finds all of them by `kubectl get agentpolicies`."""

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)]


class TrainingAge(Model):
    """How old training may get."""

    value: Annotated[str, StringConstraints(max_length=64), described("The strictest age of all, such as 720h.")]
    policies: Annotated[
        tuple[ObjectName, ...],
        described(
            "AgentPolicies that demand it; without any, the agent's own spec does.",
            max_length=MOST_POLICIES,
            json_schema_extra=AS_SET,
        ),
    ] = ()


class TrainingWait(Model):
    """What the next training waits for."""

    reason: Annotated[str, StringConstraints(max_length=64), described("Why, in one word.")]
    message: Annotated[str, StringConstraints(max_length=2048), described("Why, and what to do about it.")]
    until: Moment | None = described("The earliest start, where a clock tells it.", default=None)


class TrainingTriggered(Model):
    """Why an agent is due though neither its plan nor its promise may say so."""

    trigger: Annotated[str, StringConstraints(max_length=64), described("Which trigger of spec.retraining.triggers.")]
    since: Annotated[Moment, described("Since when it is due by it, which is its place among those that wait.")]
    message: Annotated[str, StringConstraints(max_length=2048), described("What has changed.")]


class TrainingUnderWay(Model):
    """The training that is under way."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1), described("Number of the revision that is trained.")]
    message: Annotated[str, StringConstraints(max_length=2048), described("What it does, or waits for.")]


class TrainingEnded(Model):
    """How the last training ended."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1), described("Number of the revision.")]
    state: Annotated[str, StringConstraints(max_length=64), described("What has become of the revision.")]
    completion_time: Annotated[Moment, described("When the training ended.")]


class TrainingStatus(Model):
    """The agent's training, as last observed."""

    due: Moment | None = described("From when on it is due, windows and slots aside.", default=None)
    triggered_by: Annotated[
        tuple[TrainingTriggered, ...],
        described("Triggers that make it due.", max_length=3, json_schema_extra=map_by("trigger")),
    ] = ()
    max_age: TrainingAge | None = described("How old its training may get.", default=None)
    waits_for: TrainingWait | None = described("What the next training waits for.", default=None)
    current: TrainingUnderWay | None = described("The training under way.", default=None)
    last: TrainingEnded | None = described("The training that ended last.", default=None)
    suspended_by: Annotated[
        tuple[ObjectName, ...],
        described(
            "AgentPolicies that suspend it, since its training is too old.",
            max_length=MOST_POLICIES,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    policies: Annotated[
        tuple[ObjectName, ...],
        described("AgentPolicies that select it.", max_length=MOST_POLICIES, json_schema_extra=ATOMIC),
    ] = ()
