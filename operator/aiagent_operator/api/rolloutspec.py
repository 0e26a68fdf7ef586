"""The part of RolloutSpec that AIAgents have: a field enters their definition together with what stands behind it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict
from pydantic.json_schema import SkipJsonSchema

from aiagent_operator.api.fields import ATOMIC, cel, described, rules
from aiagent_operator.api.rollout import (
    MOST_STEPS,
    BlueGreen,
    EvaluationRef,
    OnFailure,
    RolloutSpec,
    Step,
    TrafficRouting,
)

_WEIGHTS = "self.steps.filter(s, has(s.weight)).map(s, s.weight)"


class PlainStep(Step):
    """One step: a weight or a pause."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.weight) != has(self.pause)",
                "a step has exactly one of weight and pause: make a step of its own of each",
            )
        )
    )

    evaluation: SkipJsonSchema[EvaluationRef | None] = None


class Rollout(RolloutSpec):
    """How a new revision takes over from the stable one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.strategy != 'BlueGreen'",
                "strategy BlueGreen is not there yet: use Canary or Recreate",
                path=".strategy",
            ),
            cel(
                "!has(self.steps) || self.strategy == 'Canary'",
                "steps go with strategy Canary: Recreate moves everything at once",
                path=".steps",
            ),
            cel(
                f"!has(self.steps) || {_WEIGHTS}.isSorted()",
                "weights must rise from step to step: to go back, order Abort",
                path=".steps",
            ),
            cel(
                f"!has(self.steps) || {_WEIGHTS}.all(w, {_WEIGHTS}.filter(v, v == w).size() == 1)",
                "each weight stands in one step only: a second one of the same share changes nothing",
                path=".steps",
            ),
            cel(
                "!has(self.onFailure) || self.onFailure != 'Freeze' || self.strategy != 'Recreate'",
                "with Recreate nothing serves while the candidate does not, and Freeze would leave it so: use Rollback",
                path=".onFailure",
            ),
        )
    )

    steps: Annotated[
        tuple[PlainStep, ...],
        described(
            "Steps of a Canary. After the last one the candidate gets everything.",
            max_length=MOST_STEPS,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    on_failure: Annotated[
        OnFailure,
        described(
            "What happens when pods do not become ready: Rollback gives everything back to the stable revision; Freeze "
            "leaves all as it is and waits for an order to Promote or Abort."
        ),
    ] = OnFailure.ROLLBACK
    analysis: SkipJsonSchema[tuple[EvaluationRef, ...]] = ()
    scale_down_delay_seconds: SkipJsonSchema[int | None] = None
    abort_scale_down_delay_seconds: SkipJsonSchema[int | None] = None
    traffic_routing: SkipJsonSchema[TrafficRouting | None] = None
    blue_green: SkipJsonSchema[BlueGreen | None] = None
