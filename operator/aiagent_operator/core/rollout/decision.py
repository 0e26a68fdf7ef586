"""What a decision about a rollout says: what to write now, what to remember, and what is waited for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout.run import Run


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who gets requests: the revision that each named Service selects, and the weights of the route's backendRefs.

    Both are sorted by the Service's name. Empty where traffic goes by numbers of pods.
    """

    selectors: tuple[tuple[str, int], ...] = ()
    route: str = ""
    weights: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when pods are waited for without progress, how many were missing at best, and for how many replicas."""

    since: datetime
    missing: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of an order. Kept while the order stands, so that it acts once and its outcome is not lost."""

    uid: str
    done: bool
    text: str


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """What is kept in the candidate's status between decisions. The default is that of a rollout that begins now."""

    course: str = ""
    """Digest of the steps that `step` counts; other steps begin anew."""
    round: int = 0
    step: int = 0
    step_started_at: datetime | None = None
    """Since when the step's weight is in effect, so that its pause counts or its evaluation runs."""
    weight: int = 0
    """The last weight that was in effect: pods ready, traffic moved."""
    waiting: Waiting | None = None
    paused_for: PausedFor | None = None
    paused_by: tuple[str, ...] = ()
    """Which evaluations, by their keys, stopped it."""
    released: tuple[str, ...] = ()
    """Keys of evaluations whose verdict a person has overruled with Promote."""
    full: bool = False
    """Promoted over all remaining steps and evaluations."""
    reason: str = ""
    """Why it is paused for a person, or was aborted."""
    aborted_at: datetime | None = None
    suspended_at: datetime | None = None
    orders: tuple[Carried, ...] = ()


class Transition(StrEnum):
    """What becomes of the candidate."""

    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    FREEZE = "Freeze"
    NONE = "None"


class WaitsFor(StrEnum):
    """What a rollout waits for."""

    PODS = "Pods"
    TRAFFIC = "Traffic"
    TIME = "Time"
    EVALUATION = "Evaluation"
    PERSON = "Person"
    RESUME = "Resume"
    NOTHING = "Nothing"


@dataclass(frozen=True, slots=True)
class Wait:
    """What is waited for; the text names the object, and who or what ends the wait."""

    what: WaitsFor
    text: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    `stable`, `candidate`: replicas to write. `lands`: an adopted target is to have the candidate's work. The status is
    to be written before anything else, and before the orders in it are finished: after a crash in between the same
    decision is made again. `runs` are the evaluations that must exist and go on; all others of the rollout may end.
    `requeue_after` is in seconds.
    """

    stable: int
    candidate: int
    traffic: Traffic
    status: RolloutStatus
    transition: Transition = Transition.NONE
    wait: Wait = Wait(WaitsFor.NOTHING)
    lands: bool = False
    runs: tuple[Run, ...] = ()
    requeue_after: float | None = None
