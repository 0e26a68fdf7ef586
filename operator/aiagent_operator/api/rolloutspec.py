"""The part of RolloutSpec that AIAgents have: a field enters their definition together with what stands behind it."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict
from pydantic.json_schema import SkipJsonSchema

from aiagent_operator.api.fields import ATOMIC, cel, described, rules
from aiagent_operator.api.rollout import (
    MOST_STEPS,
    EvaluationRef,
    OnFailure,
    RolloutSpec,
    Step,
)

_ABSENT: Final = "self.analysis"


def _rules_of(model: type[RolloutSpec]) -> list[dict[str, str]]:
    """The model's rules, but for those about fields that agents do not have."""
    extra: Any = model.model_config["json_schema_extra"]
    return [entry for entry in extra["x-kubernetes-validations"] if _ABSENT not in entry["rule"]]


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

    model_config = ConfigDict(json_schema_extra=rules(*_rules_of(RolloutSpec)))

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
