"""Watching an agent for drift: what is asked of Prometheus when, and what is said of the answers.

Each interval has a measurement, at the agent's own place in it, so that a fleet is not measured at once. What a restart
forgets is asked again. What is known is about one rule and one training: with another one it begins anew, so each
drift makes the agent due once, and what a training has made is judged by itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.agentevaluation import LONGEST_MESSAGE
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.drift import DriftState, DriftStatus, Unmeasured
from aiagent_operator.api.durations import DurationError
from aiagent_operator.api.retraining import RetrainingTrigger
from aiagent_operator.core import texts
from aiagent_operator.core.cadence import spread
from aiagent_operator.core.evaluation.asking import Asking
from aiagent_operator.core.evaluation.query import Names
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.supervision import drift
from aiagent_operator.core.supervision.drift import Rule, Seen
from aiagent_operator.core.versions import learning, revisions

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def look(o: Observed) -> Observed:
    """What is observed, with what is known of drift. Nothing is measured of an agent that does not work."""
    what = o.agent.spec.supervision.drift if o.agent.spec.supervision else None
    if what is None or o.suspended:
        return o
    known = o.of(ChildKind.AGENT_REVISION)
    serving = revisions.stable(known)
    if serving is None:
        return o
    taught = learning.succeeded(known)
    try:
        rule = Rule.of(what)
    except DurationError as error:
        blank = _before(o, "", None)
        failed = Unmeasured(since=texts.moment(o.now), message=str(error)[:LONGEST_MESSAGE])
        unread = blank if blank.unmeasured else blank.model_copy(update={"unmeasured": failed})
        return replace(o, drift=Seen(unread, drift.bound(what)))
    status = _before(o, rule.digest, taught.by if taught else None)
    number = revisions.facts(serving).number
    # An answer about another rule, training or revision is no answer.
    uid = f"{o.identity.uid}/drift/{rule.digest}/{status.training or 0}/{number}"
    place = spread.offset(o.identity.uid, rule.interval)
    turn, into = divmod(o.now - place - _EPOCH, rule.interval)
    answers = {which: found for (asked, _, which), found in o.measured.items() if asked == uid and which <= turn}
    if answers:
        # A slow server may have answered what was asked in the interval before.
        status = drift.after(status, rule, answers[max(answers)])
    names = Names(o.identity.name, o.identity.namespace, number, number)
    asking = Asking(uid, names, ((rule.metric, turn),), what.prometheus.address)
    due = (rule.interval - into) / timedelta(seconds=1)
    return replace(o, drift=Seen(status, drift.bound(what), asking, due))


def _before(o: Observed, digest: str, training: int | None) -> DriftStatus:
    """What the status says, where it is about this rule and this training."""
    new = DriftStatus(digest=digest, training=training)
    try:
        found = DriftStatus.model_validate(o.agent.status.get("drift") or new)
    except ValidationError:
        return new  # a newer version wrote it
    return found if (found.digest, found.training) == (digest, training) else new


def told(plan: Plan, o: Observed) -> Plan:
    """The plan with what is to be said of drift, and what is to be asked.

    It stands in the status before anything is written that follows from it.
    """
    seen = None if o.suspended else o.drift
    field: dict[str, Any] = {"drift": seen.wire if seen else None}
    said = _verdict(o, seen) if seen else None
    times = [time for time in (plan.requeue_after, seen.due if seen else None) if time is not None]
    return replace(
        plan,
        verdicts=(*plan.verdicts, said) if said and plan.verdicts else plan.verdicts,
        status={**plan.status, **field},
        first={**plan.first, **field},
        measure=(*plan.measure, seen.asking) if seen and seen.asking else plan.measure,
        requeue_after=min(times, default=None),
    )


def _verdict(o: Observed, seen: Seen) -> Verdict | None:
    """DriftDetected, there only while there is something to say."""
    status = seen.status
    why = status.unmeasured
    not_now = f"not measured since {why.since}: {why.message}" if why else ""
    if status.state is None:
        text = f"Drift is {not_now}"
        return Verdict(Type.DRIFT_DETECTED, None, Reason.NOT_MEASURED, text) if why else None
    also = f". It is {not_now}" if why else ""
    what = o.agent.spec.supervision.drift if o.agent.spec.supervision else None
    assert what is not None  # noqa: S101 - else nothing would have been seen
    crossed = f"The query of {drift.FIELD} gave {status.value}, {seen.bound}"
    if status.state is DriftState.CROSSED:
        text = f"{crossed}, at {status.since}: it is drift once it has been so for {what.for_}{also}"
        return Verdict(Type.DRIFT_DETECTED, False, Reason.BOUND_CROSSED, text)
    ends = f"It ends {drift.recovery(what)}, or when a training succeeds"
    text = f"{crossed}, at {status.detected}, and has been beyond it since {status.since}. {ends}. {_follows(o)}{also}"
    return Verdict(Type.DRIFT_DETECTED, True, Reason.DRIFTING, text)


def _follows(o: Observed) -> str:
    how = o.agent.spec.retraining
    if how is not None and RetrainingTrigger.DRIFT in how.triggers:
        return "The agent is due to be trained: status.training says what that waits for"
    return "Nothing follows from it: name Drift in spec.retraining.triggers, or order a Retrain"
