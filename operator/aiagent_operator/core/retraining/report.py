"""What is said of an agent's training: a condition, and status.training. Nothing of it changes with the clock alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.durations import format_duration
from aiagent_operator.api.trainingstatus import MOST_POLICIES
from aiagent_operator.core import texts
from aiagent_operator.core.cadence.promise import Kept, Overdue
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.policies.merged import Strictest
from aiagent_operator.core.retraining.due import Cause, Hold, Start, View, Wait

LONGEST: Final = timedelta(hours=6)
"""Until an agent is looked at again at the latest: a machine may have slept, or its clock been set."""

_MESSAGE: Final = 2000


def verdict(o: Observed) -> Verdict | None:
    """TrainingCurrent, there only where training is planned or promised, or a policy cannot be read."""
    view = o.training
    if view is None:
        return None
    if not isinstance(view.promise, Kept):
        return Verdict(Type.TRAINING_CURRENT, False, _broken(view), f"Training is {view.announcement}"[:_MESSAGE])
    if o.policies.broken:
        text = texts.some(o.policies.broken, separator="; ")
        return Verdict(Type.TRAINING_CURRENT, False, Reason.POLICY_UNREADABLE, text[:_MESSAGE])
    if view.causes:
        said = "; ".join(cause.text for cause in view.causes)
        text = f"Due since {texts.moment(min(cause.since for cause in view.causes))}: {said}"
        return Verdict(Type.TRAINING_CURRENT, False, Reason(view.causes[0].trigger.value), text[:_MESSAGE])
    if view.due is None:
        return None
    return Verdict(Type.TRAINING_CURRENT, True, Reason.UP_TO_DATE, _kept(view.promise, view, view.due))


def _broken(view: View) -> Reason:
    if view.suspend:
        return Reason.SUSPENDED_FOR_AGE
    return Reason.OVERDUE if isinstance(view.promise, Overdue) else Reason.OVERDUE_BEYOND_GRACE


def _kept(promise: Kept, view: View, due: datetime) -> str:
    if promise.until is None:
        return f"Planned for {texts.moment(due)}; no age is promised"
    return f"Current until {texts.moment(promise.until)}: training may get {view.max_age} old"


def summary(o: Observed) -> dict[str, Any] | None:
    """status.training; None where no policy is about the agent, and nothing is planned."""
    view = o.training
    if view is None:
        return None
    found = {
        "due": texts.moment(view.due) if view.due else None,
        "triggeredBy": [_cause(cause) for cause in view.causes] or None,
        "maxAge": _age(view.max_age) if view.max_age else None,
        "waitsFor": _waits_for(o, view),
        "suspendedBy": list(_suspending(o)) or None,
        "policies": list(o.policies.names[:MOST_POLICIES]) or None,
    }
    return {field: value for field, value in found.items() if value is not None}


def _cause(cause: Cause) -> dict[str, Any]:
    return {"trigger": cause.trigger.value, "since": texts.moment(cause.since), "message": cause.text[:_MESSAGE]}


def _age(strictest: Strictest[timedelta]) -> dict[str, Any]:
    named = [source.policy for source in strictest.sources if source.policy][:MOST_POLICIES]
    return {"value": format_duration(strictest.value), **({"policies": named} if named else {})}


def _waits_for(o: Observed, view: View) -> dict[str, Any] | None:
    if isinstance(view.step, Wait):
        return _wait(view.step)
    if not isinstance(view.step, Start) or o.admitted:
        return None
    if o.slot:
        return _wait(o.slot)
    # After a start of the operator it is not known yet who is next: what was said stays so long.
    before: dict[str, Any] | None = (o.agent.status.get("training") or {}).get("waitsFor")
    return before if before and before.get("reason") == Hold.SLOT.value else None


def _wait(wait: Wait) -> dict[str, Any]:
    said = {"reason": wait.hold.value, "message": wait.reason[:_MESSAGE]}
    return said | ({"until": texts.moment(wait.until)} if wait.until else {})


def _suspending(o: Observed) -> tuple[str, ...]:
    """The policies that suspend the agent for its age."""
    if o.training is None or not o.training.suspend or o.policies.suspends is None:
        return ()
    return tuple(source.policy for source in o.policies.suspends.sources[:MOST_POLICIES])


def _named(o: Observed) -> str:
    names = _suspending(o)
    return f"AgentPolicy {texts.some([texts.quoted([name]) for name in names], 4)}" if names else ""


def stops(o: Observed) -> tuple[str, ...]:
    """What suspends the agent for its age, in words."""
    named = _named(o)
    return (f"{named} suspends it for the age of its training",) if named else ()


def way_back(o: Observed) -> tuple[str, ...]:
    """What gives back the rights that its age has taken."""
    named = _named(o)
    return (f"have it trained, or have {named} changed by who may edit it,",) if named else ()


def again(o: Observed) -> float | None:
    """In how many seconds to look again though nothing happens; None where only an event changes anything."""
    if o.training is None or o.training.again is None:
        return None
    return min(o.training.again - o.now, LONGEST).total_seconds()
