"""How far the rollout of a revision is: what its status keeps, so that a restart of the operator changes nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.fields import ATOMIC, Model, described, map_by
from aiagent_operator.api.rollout import MOST_STEPS

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)]
RunKey = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Words = Annotated[str, StringConstraints(max_length=1024)]
Replicas = Annotated[int, Field(ge=0)]


MOST_ORDERS: Final = 64
MOST_RELEASED: Final = 64


class PausedFor(StrEnum):
    """Why a rollout stands still until a person, or a time, releases it."""

    STEP = "Step"
    INCONCLUSIVE = "Inconclusive"
    FAILED = "Failed"


class WaitingForPods(Model):
    """Pods that are waited for; the progress deadline counts from here."""

    since: Annotated[Moment, described("Since when there was no progress.")]
    missing: Annotated[Replicas, described("Pods that had to come or go, when they were fewest.")]
    replicas: Annotated[Replicas, described("Pods that the agent wanted then.")]


class RolloutOrderStatus(Model):
    """What became of an order about the rollout."""

    uid: Annotated[str, StringConstraints(min_length=1, max_length=64), described("UID of the AgentAction.")]
    done: Annotated[bool, described("Whether it was carried out.")]
    message: Annotated[Words, described("What was done, or why not.")]


def _no_defaults(schema: dict[str, Any]) -> None:
    """What is as at the beginning is left out. The API server must not put it back, or it would look like a change."""
    for field in schema["properties"].values():
        field.pop("default", None)


class RolloutProgress(Model):
    """How far a rollout is."""

    model_config = ConfigDict(json_schema_extra=_no_defaults)

    steps_hash: Annotated[str, StringConstraints(max_length=64)] = described(
        "Digest of the steps that step counts; other steps begin at the first one.", default=""
    )
    round: Annotated[int, Field(ge=0, le=1_000_000_000)] = described(
        "How often it began anew, after other steps or a suspension; evaluations belong to one round.", default=0
    )
    step: Annotated[int, Field(ge=0, le=MOST_STEPS)] = described("Number of the step under way, from 0.", default=0)
    step_started_at: Moment | None = described("Since when the pause counts or the evaluation runs.", default=None)
    weight: Annotated[int, Field(ge=0, le=100)] = described(
        "Share of the candidate that is in effect, in percent.", default=0
    )
    waiting: WaitingForPods | None = described("Pods that are waited for.", default=None)
    paused_for: PausedFor | None = described(
        "Why it stands still: a pause (Step), an unclear verdict (Inconclusive), or a failure (Failed).", default=None
    )
    paused_by: Annotated[
        tuple[RunKey, ...], described("Evaluations that stopped it.", max_length=16, json_schema_extra=ATOMIC)
    ] = ()
    released: Annotated[
        tuple[RunKey, ...],
        described(
            "Evaluations whose verdict a person has overruled.", max_length=MOST_RELEASED, json_schema_extra=ATOMIC
        ),
    ] = ()
    full: Annotated[bool, described("Whether it was promoted over all that was left.")] = False
    reason: Annotated[Words, described("Why it was aborted, or waits for a person.")] = ""
    aborted_at: Moment | None = described("Since when it goes back.", default=None)
    suspended_at: Moment | None = described("Since when the agent is suspended.", default=None)
    orders: Annotated[
        tuple[RolloutOrderStatus, ...],
        described(
            "Orders that have acted and are not finished yet.", max_length=MOST_ORDERS, json_schema_extra=map_by("uid")
        ),
    ] = ()


class AgentRollout(RolloutProgress):
    """How far the rollout of one revision is, and what was done about orders."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = described(
        "Number of the revision that takes over; none once it is over and only orders are left.", default=None
    )
    order: Annotated[str, StringConstraints(max_length=64)] = described(
        "UID of the AgentAction Rollback by which it takes over, where one did.", default=""
    )
    started_at: Moment | None = described(
        "Since when it takes over. What was measured in an earlier rollout of the revision does not count.",
        default=None,
    )
    steps: Annotated[int, Field(ge=0, le=MOST_STEPS + 1)] | None = described("Number of its steps.", default=None)
    traffic: Annotated[str, StringConstraints(max_length=64)] = described(
        "Digest of what Services and HTTPRoute were last asked to say.", default=""
    )
    traffic_since: Moment | None = described(
        "Since when they are asked; those who lose requests keep their pods for a while.", default=None
    )
    waits_for: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "What it waits for: Pods, Traffic, Time, Evaluation, Person or Resume. WorkloadReady says more.", default=None
    )
