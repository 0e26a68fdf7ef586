"""How a revision takes over from the stable one: by steps (Canary), at once (BlueGreen), or after it (Recreate).

Names and defaults are those of Argo Rollouts (https://argo-rollouts.readthedocs.io, "Canary", "BlueGreen"), and of
Deployment for `progressDeadlineSeconds`, wherever the meaning is the same.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api import durations
from aiagent_operator.api.fields import ATOMIC, Label, Model, ObjectName, cel, described, map_by, rules

MOST_STEPS: Final = 32
# Seconds. That of Deployment: a pod that is not ready ten minutes after it should be will hardly become so.
PROGRESS_DEADLINE: Final = 600
# Seconds. That of Argo Rollouts: proxies and kube-proxy have learned of a changed Service or route by then.
SCALE_DOWN_DELAY: Final = 30
DAY: Final = 86_400

Duration = Annotated[str, StringConstraints(min_length=1, max_length=durations.MAX_LENGTH, pattern=durations.PATTERN)]


class Strategy(StrEnum):
    """How the candidate comes in."""

    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"
    RECREATE = "Recreate"


class OnFailure(StrEnum):
    """What to do when a candidate fails."""

    ROLLBACK = "Rollback"
    FREEZE = "Freeze"


class Pause(Model):
    """A stop between two steps."""

    duration: Duration | None = described(
        "How long, such as 10m, counted from when the weight before it is in effect. Without it, until somebody orders "
        "Promote.",
        default=None,
    )


class EvaluationRef(Model):
    """An evaluation template of the agent."""

    name: Annotated[Label, described("Name of an entry of the agent's evaluations.")]


class Step(Model):
    """One step: a weight, a pause or an evaluation."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "[has(self.weight), has(self.pause), has(self.evaluation)].filter(x, x).size() == 1",
                "a step has exactly one of weight, pause and evaluation: make a step of its own of each",
            )
        )
    )

    weight: Annotated[int, Field(ge=0, le=100)] | None = described(
        "Share of the work that the candidate gets from here on, in percent.", default=None
    )
    pause: Pause | None = described(
        "Wait for a time, or for a person where it is empty ({}): an AgentAction Promote goes on, Abort goes back.",
        default=None,
    )
    evaluation: EvaluationRef | None = described(
        "Run an evaluation of the candidate, and go on when it is Successful.", default=None
    )


class HTTPRouteRef(Model):
    """An HTTPRoute of the Gateway API in the agent's namespace."""

    name: Annotated[ObjectName, described("Name of the HTTPRoute.")]


class TrafficRouting(Model):
    """Weights by requests instead of by pods. The author makes all three objects; the operator sets no other field."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.stableService != self.canaryService",
                "stableService and canaryService must be two Services: by one the route cannot tell revisions apart",
                path=".canaryService",
            )
        )
    )

    http_route: Annotated[
        HTTPRouteRef,
        described("Route whose backendRefs to the two Services get the weights."),
    ]
    stable_service: Annotated[
        Label, described("Service whose selector gets the key workforce.dev/revision of the stable revision.")
    ]
    canary_service: Annotated[
        Label, described("Service whose selector gets the key workforce.dev/revision of the candidate.")
    ]


class BlueGreen(Model):
    """The Services of strategy BlueGreen, and who switches them."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.previewService) || self.previewService != self.activeService",
                "previewService and activeService must be two Services: a preview of what is active already shows "
                "nothing",
                path=".previewService",
            ),
            cel(
                "!has(self.autoPromotionSeconds) || !has(self.autoPromotionEnabled) || self.autoPromotionEnabled",
                "autoPromotionSeconds promotes by itself, autoPromotionEnabled: false says never: remove one of them",
                path=".autoPromotionSeconds",
            ),
        )
    )

    active_service: Annotated[
        Label,
        described(
            "Service of the users: the key workforce.dev/revision of its selector is switched to the candidate at once."
        ),
    ]
    preview_service: Label | None = described("Service that selects the candidate before it is active.", default=None)
    auto_promotion_enabled: Annotated[
        bool, described("Whether it becomes active by itself when it is ready; else it waits for an order to Promote.")
    ] = True
    auto_promotion_seconds: Annotated[int, Field(ge=1, le=DAY)] | None = described(
        "Seconds for which all its pods have to be ready before it becomes active by itself.", default=None
    )


_ROUTED = "(self.strategy == 'Canary' && has(self.trafficRouting)) || self.strategy == 'BlueGreen'"
_WEIGHTS = "self.steps.filter(s, has(s.weight)).map(s, s.weight)"


class RolloutSpec(Model):
    """How a new revision takes over from the stable one."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.steps) || self.strategy == 'Canary'",
                "steps go with strategy Canary: BlueGreen and Recreate move everything at once",
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
                "!has(self.trafficRouting) || self.strategy == 'Canary'",
                "trafficRouting goes with strategy Canary: BlueGreen switches its activeService, Recreate nothing",
                path=".trafficRouting",
            ),
            cel(
                "has(self.blueGreen) == (self.strategy == 'BlueGreen')",
                "strategy BlueGreen needs blueGreen with its activeService, and no other strategy has it",
                path=".blueGreen",
            ),
            cel(
                "!has(self.analysis) || self.strategy != 'Recreate'",
                "analysis watches the candidate beside the stable revision, which with Recreate is gone by then: use "
                "Canary or BlueGreen, or evaluate it before the rollout",
                path=".analysis",
            ),
            cel(
                "!has(self.analysis) || self.strategy != 'Canary' || "
                "(has(self.steps) && self.steps.exists(s, has(s.weight) && s.weight > 0))",
                "analysis begins with the first weight above 0: give a step with one, such as weight: 20",
                path=".analysis",
            ),
            cel(
                "!has(self.onFailure) || self.onFailure != 'Freeze' || self.strategy != 'Recreate'",
                "with Recreate nothing serves while the candidate does not, and Freeze would leave it so: use Rollback",
                path=".onFailure",
            ),
            cel(
                f"!has(self.scaleDownDelaySeconds) || {_ROUTED}",
                "scaleDownDelaySeconds waits for traffic to move, so it goes with trafficRouting or BlueGreen: "
                "otherwise pods answer for as long as they run",
                path=".scaleDownDelaySeconds",
            ),
            cel(
                f"!has(self.abortScaleDownDelaySeconds) || {_ROUTED}",
                "abortScaleDownDelaySeconds waits for traffic to move, so it goes with trafficRouting or BlueGreen: "
                "otherwise pods answer for as long as they run",
                path=".abortScaleDownDelaySeconds",
            ),
        )
    )

    strategy: Annotated[
        Strategy,
        described(
            "Canary gives the candidate its share step by step. BlueGreen brings all its pods up beside the stable "
            "revision and switches a Service at once. Recreate stops the stable revision before the candidate starts: "
            "for agents of which two versions must never run together."
        ),
    ]
    steps: Annotated[
        tuple[Step, ...],
        described(
            "Steps of a Canary. After the last one the candidate gets everything.",
            max_length=MOST_STEPS,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    analysis: Annotated[
        tuple[EvaluationRef, ...],
        described(
            "Evaluations in the background: of a Canary from the first weight above 0 on, of BlueGreen from when the "
            "candidate is ready, and there each must be Successful before it becomes active.",
            max_length=8,
            json_schema_extra=map_by("name"),
        ),
    ] = ()
    on_failure: Annotated[
        OnFailure,
        described(
            "What happens when an evaluation fails or pods do not become ready: Rollback gives everything back to the "
            "stable revision; Freeze leaves all as it is and waits for an order to Promote or Abort."
        ),
    ] = OnFailure.ROLLBACK
    progress_deadline_seconds: Annotated[int, Field(ge=1, le=DAY)] = described(
        "Seconds without progress after which a candidate whose pods are waited for has failed.",
        default=PROGRESS_DEADLINE,
    )
    scale_down_delay_seconds: Annotated[int, Field(ge=0, le=DAY)] | None = described(
        f"Seconds for which the former revision's pods stay after traffic has moved (by default {SCALE_DOWN_DELAY}).",
        default=None,
    )
    abort_scale_down_delay_seconds: Annotated[int, Field(ge=1, le=DAY)] | None = described(
        f"Seconds for which the candidate's pods stay after it has failed or was aborted (by default "
        f"{SCALE_DOWN_DELAY}).",
        default=None,
    )
    traffic_routing: TrafficRouting | None = described(
        "Weights by an HTTPRoute. Without it they are by numbers of pods, all of which the agent's Services select.",
        default=None,
    )
    blue_green: BlueGreen | None = described("Services of strategy BlueGreen.", default=None)

    @property
    def evaluations(self) -> frozenset[str]:
        """Names of the evaluations that run in it."""
        steps = (step.evaluation.name for step in self.steps if step.evaluation is not None)
        return frozenset((*steps, *(entry.name for entry in self.analysis)))
