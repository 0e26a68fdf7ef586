"""What to do about the training of one agent now: start it, wait (for what, until when), or nothing.

And whether its age suspends it. All of it follows from what exists: the agent, its policies, and its revisions.
Nothing is remembered, so a restart, or a second look at the same facts, changes nothing. Who of those that may start
gets a slot is for `retraining_fleet`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.retraining import CadenceFields
from aiagent_operator.core import texts
from aiagent_operator.core.cadence import due, windows
from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence.due import BackingOff, Cadence, Decision, Held, History, NotYet
from aiagent_operator.core.cadence.promise import Kept, Overdue, OverdueBeyondGrace, Promise
from aiagent_operator.core.policies.merged import NOTHING, Limit, Merged, Strictest


class RunState(StrEnum):
    """What a training came to; see `Run`."""

    TRAINING = "Training"
    IN_FLIGHT = "InFlight"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Run:
    """One training, as its revision tells.

    Training: the Job runs. InFlight: it ended, and its result is a candidate or rolled out. Succeeded: its result was
    promoted, also where it was superseded since. Failed: the training failed, or its result was rejected or rolled
    back. One that was superseded before it was promoted is neither, and no Run.

    `at`: when it began for Training; when the training ended for InFlight and Succeeded, since that is what the age of
    training counts from; when it failed for Failed.
    """

    state: RunState
    at: datetime


class Hold(StrEnum):
    """Why a training does not start."""

    NOT_DUE = "NotDue"
    NO_RETRAINING = "NoRetraining"
    INVALID = "Invalid"
    AGENT_SUSPENDED = "AgentSuspended"
    PAUSED = "Paused"
    POLICY_UNREADABLE = "PolicyUnreadable"
    IN_FLIGHT = "InFlight"
    WINDOW = "Window"
    BACKING_OFF = "BackingOff"
    SLOT = "Slot"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an agent is due beside plan and promise: which trigger, since when, and what has changed."""

    trigger: Trigger
    since: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Start:
    """To be trained as soon as there is a slot in each of its policies. `since` is its place in the queue.

    `trigger`: what made it due first.
    """

    since: datetime
    trigger: Trigger = Trigger.SCHEDULE


@dataclass(frozen=True, slots=True)
class Wait:
    """Not to be trained yet. `until` is the earliest start, None where no clock tells; `reason` says what to change."""

    hold: Hold
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class InTraining:
    """It trains now."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing is planned or promised: it is trained by order only."""


Step = Start | Wait | InTraining | Idle


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision about one agent rests on.

    `cadence`: None where the agent has no `spec.retraining`. `problem`: why that cannot be read; empty where it can.
    `paused`: `spec.retraining.suspend`. `suspended`: what suspends the agent apart from its age (its spec, an order),
    in words; empty where nothing does. `ordered`: since when somebody orders that it is trained. `causes`: what makes
    it due at once. An agent that is being offboarded has no facts: it is not trained.
    """

    uid: str
    created: datetime
    cadence: Cadence | None
    policies: Merged = NOTHING
    runs: tuple[Run, ...] = ()
    problem: str = ""
    paused: bool = False
    suspended: str = ""
    ordered: datetime | None = None
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What is true of an agent's training now, and what to do.

    `due`: the time from which on it is due, spread and windows aside; may be past, None where nothing is planned or
    promised. `causes`: what makes it due at once. `suspend`: its age suspends it. `announcement`: what to say of a
    broken promise; empty while it is kept. `again`: when to look again, if nothing happens before; None where only an
    event changes anything.
    """

    uid: str
    due: datetime | None
    step: Step
    promise: Promise
    max_age: Strictest[timedelta] | None
    suspend: bool
    announcement: str
    again: datetime | None
    limits: tuple[Limit, ...]
    causes: tuple[Cause, ...] = ()


def cadence(fields: CadenceFields) -> Cadence:
    """The cadence that an agent's `spec.retraining` describes. Raises CadenceError that names all mistakes."""
    return cadence_spec.cadence(
        schedule=fields.schedule,
        every=fields.every,
        time_zone=fields.time_zone or "UTC",
        max_age=fields.max_age,
        grace=fields.grace or "0s",
        spread=fields.spread or "0s",
    )


def history(created: datetime, runs: Iterable[Run]) -> History:
    """What the runs say of successes and failures. Failures count since the last success."""
    ended = tuple(runs)
    success = max((run.at for run in ended if run.state is RunState.SUCCEEDED), default=None)
    failures = [run.at for run in ended if run.state is RunState.FAILED and (success is None or run.at > success)]
    return History(created, success, len(failures), max(failures, default=None))


def view(agent: Facts, now: datetime) -> View:
    """What to do about the agent now."""
    own = agent.cadence or Cadence()
    holds = agent.policies.join(Merged.own(own))
    effective = agent.policies.cadence(own)
    past = history(agent.created, agent.runs)
    triggered = min((cause.since for cause in agent.causes), default=None)
    decided = due.decide(effective, past, agent.uid, agent.policies.windows, now, triggered)
    suspend_at = past.anchor + holds.suspends.value if holds.suspends else None
    step = _step(agent, effective, decided, now)
    return View(
        uid=agent.uid,
        due=decided.start.planned if isinstance(decided.start, NotYet) else decided.start.since,
        step=step,
        promise=decided.promise,
        max_age=holds.max_age,
        suspend=suspend_at is not None and now >= suspend_at,
        announcement=_announcement(decided.promise, holds, suspend_at, now),
        again=_again(agent, step, decided, suspend_at, now),
        limits=agent.policies.limits,
        causes=agent.causes,
    )


def _step(agent: Facts, effective: Cadence, decided: Decision, now: datetime) -> Step:
    began = [run.at for run in agent.runs if run.state is RunState.TRAINING]
    if began:
        return InTraining(min(began))
    asked = agent.problem or agent.causes or agent.ordered is not None
    if effective.plan is None and effective.max_age is None and not asked:
        return Idle()
    if (held := _held(agent)) is not None:
        return held
    if agent.ordered is None:
        return _paused(agent) or _by_time(agent, decided)
    return _by_order(agent, agent.ordered, decided, now)


def _held(agent: Facts) -> Wait | None:
    """What holds trainings whether the agent is due or not: said before it is, so that it can be mended in time."""
    if agent.problem:
        return Wait(Hold.INVALID, agent.problem)
    if agent.cadence is None:
        asks = agent.policies.max_age
        return Wait(
            Hold.NO_RETRAINING,
            f"training may be at most {asks} old, and the agent has no spec.retraining: say there how it is trained",
        )
    if agent.suspended:
        return Wait(Hold.AGENT_SUSPENDED, f"a suspended agent is not trained: {agent.suspended}")
    if agent.policies.broken:
        return Wait(Hold.POLICY_UNREADABLE, texts.some(agent.policies.broken, separator="; "))
    return None


def _paused(agent: Facts) -> Wait | None:
    if not agent.paused:
        return None
    return Wait(Hold.PAUSED, "spec.retraining.suspend is true: set it to false to have the agent trained by its plan")


def _by_order(agent: Facts, ordered: datetime, decided: Decision, now: datetime) -> Step:
    """Windows and slots hold for orders too; plan, pause and the pause after a failure do not."""
    since = ordered if isinstance(decided.start, NotYet) else min(ordered, decided.start.since)
    if any(run.state is RunState.IN_FLIGHT for run in agent.runs):
        return _in_flight(f"ordered at {texts.moment(ordered)}")
    here = windows.opening(agent.policies.windows, now)
    if here.at == now:
        return Start(since)
    return Wait(Hold.WINDOW, here.reason, here.at or here.searched)


def _in_flight(why: str) -> Wait:
    return Wait(Hold.IN_FLIGHT, f"{why}, and the result of the last training is not promoted or rejected yet")


def _by_time(agent: Facts, decided: Decision) -> Step:
    match decided.start:
        case NotYet(following, planned):
            if following is None:
                return Idle()
            return Wait(Hold.NOT_DUE, f"planned for {texts.moment(planned or following)}", following)
        case start if any(run.state is RunState.IN_FLIGHT for run in agent.runs):
            return _in_flight(f"due since {texts.moment(start.since)}")
        case Held(_, until, _, reason):
            return Wait(Hold.WINDOW, reason, until)
        case BackingOff(_, until, failed):
            return Wait(Hold.BACKING_OFF, f"failed {failed} times since the last success", until)
        case start:
            first = next((cause.trigger for cause in agent.causes if cause.since == start.since), Trigger.SCHEDULE)
            return Start(start.since, first)


def _again(agent: Facts, step: Step, decided: Decision, suspend_at: datetime | None, now: datetime) -> datetime | None:
    times = [suspend_at]
    if isinstance(step, Start) and agent.policies.windows:
        # It may wait for a slot until a window shuts.
        times.append(windows.closing(agent.policies.windows, now, now + windows.HORIZON))
    if isinstance(step, Wait):
        times.append(step.until)
        if step.hold is Hold.WINDOW and isinstance(decided.start, Held):
            times.append(decided.start.again)
    match decided.promise:
        case Kept(until):
            times.append(until)
        case Overdue(_, grace_ends):
            times.append(grace_ends)
    return min((time for time in times if time is not None and time > now), default=None)


def _announcement(promise: Promise, holds: Merged, suspend_at: datetime | None, now: datetime) -> str:
    if isinstance(promise, Kept):
        return ""
    beyond = ""
    if isinstance(promise, OverdueBeyondGrace):
        whose = holds.beyond.sources if holds.beyond else ()
        beyond = f", beyond the grace of {' and '.join(map(str, whose))} since {texts.moment(promise.grace_ended)}"
    text = f"overdue since {texts.moment(promise.since)}, when training was {holds.max_age} old{beyond}"
    if suspend_at is None or holds.suspends is None:
        return f"{text}: see why training does not start or succeed"
    suspending = " and ".join(map(str, holds.suspends.sources))
    moment = texts.moment(suspend_at)
    if now < suspend_at:
        return f"{text}: {suspending} suspends the agent at {moment} unless one succeeds"
    return f"{text}: suspended by {suspending} since {moment}, until a training succeeds"
