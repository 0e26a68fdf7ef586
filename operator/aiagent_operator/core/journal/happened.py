"""What has happened to an agent between one status and the next, as events for its journal.

The status is written at the end of a pass and says what is true, so what differs is what has happened. A pass that
ended before it could write is made again from the same status and finds the same events: their causes come from what
the status says, and from how many events were told until then, so that no later turn gives one of them a cause again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiagent_operator.api.agentstatus import PermissionState, Phase
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core.journal import evaluated
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.permitted import permitted
from aiagent_operator.core.objects import Child, RevisionFacts

Status = Mapping[str, Any]

TOLD_FROM: Final = frozenset({Type.TRAINING_CURRENT.value, Type.DRIFT_DETECTED.value, Type.IDENTITY_EXPOSED.value})
"""Types of the conditions from which events are told."""

_LEFT: Final = frozenset({Phase.OFFBOARDING.value, Phase.RETIRED.value})
_NOT_RESUMED: Final = frozenset({Phase.SUSPENDED.value, *_LEFT})
_STEPS: Final = {"Cordon": Kind.CORDONED, "Drain": Kind.DRAINED}
_OVERDUE: Final = frozenset({Reason.OVERDUE.value, Reason.OVERDUE_BEYOND_GRACE.value, Reason.SUSPENDED_FOR_AGE.value})


@dataclass(frozen=True, slots=True)
class Turn:
    """From one status of an agent to the next.

    `told`: events that were in the journal, or waited for it, before. `namespace` is the agent's own. `orders`: UIDs of
    the AgentActions that suspend it. `revisions` by their numbers. `evaluations`: those whose verdict is news.
    `snapshot`: what was captured of it, where this turn ends that.
    """

    before: Status
    after: Status
    told: int
    now: datetime
    namespace: str
    orders: tuple[str, ...] = ()
    revisions: Mapping[int, RevisionFacts] = field(default_factory=dict)
    evaluations: tuple[Child, ...] = ()
    snapshot: Mapping[str, Any] | None = None

    def event(self, kind: Kind, what: str, data: Mapping[str, Any]) -> Event:
        """An event of this turn; `what` tells it from others of its kind."""
        return Event(kind, f"{self.told}/{what}", self.now, data)


def events(turn: Turn) -> tuple[Event, ...]:
    """What has happened, in the order in which it is told: what was taken away comes before what was given."""
    first = [turn.event(Kind.CREATED, "created", {})] if turn.told == 0 else []
    parts = (
        _policies,
        _leaving,
        _rights_lost,
        _suspension,
        _took_over,
        _hired,
        _refused,
        _evaluated,
        _rights_won,
        _revisions,
        _training,
        _conditions,
    )
    return (*first, *(event for part in parts for event in part(turn)), *_reviews(turn))


def _policies(turn: Turn) -> Iterator[Event]:
    before, after = (_part(status, "training") for status in (turn.before, turn.after))
    now = {"policies": after.get("policies") or [], "maxAge": _part(after, "maxAge").get("value")}
    was = {"policies": before.get("policies") or [], "maxAge": _part(before, "maxAge").get("value")}
    if now != was:
        yield turn.event(Kind.POLICY_CHANGED, "policies", now)


def _leaving(turn: Turn) -> Iterator[Event]:
    was, now = (_part(status, "offboarding") for status in (turn.before, turn.after))
    if turn.after.get("phase") == Phase.OFFBOARDING != turn.before.get("phase"):
        order = {"order": now["order"]["uid"]} if "order" in now else {}
        said = {name: now[name] for name in ("reason", "mode") if name in now}
        yield turn.event(Kind.OFFBOARDING_STARTED, "offboarding", {**said, **order})
    known = {step["name"] for step in was.get("steps") or ()}
    for step in now.get("steps") or ():
        if step["name"] in _STEPS and step["name"] not in known:
            yield turn.event(_STEPS[step["name"]], f"step/{step['name']}", {"timedOut": "message" in step})
    if turn.snapshot is not None:
        yield turn.event(Kind.SNAPSHOTTED, "snapshot", turn.snapshot)
    before, given_up = (_part(_part(status, "archive"), "abandoned") for status in (turn.before, turn.after))
    if given_up and not before:
        yield turn.event(Kind.ABANDONED, "abandoned", {"order": given_up["uid"]})


def _rights_lost(turn: Turn) -> Iterator[Event]:
    now = permitted(turn.after, turn.namespace)
    for name in permitted(turn.before, turn.namespace):
        if name not in now:
            yield turn.event(Kind.REVOKED, f"permission/{name}", {"permission": name})


def _rights_won(turn: Turn) -> Iterator[Event]:
    """A permission that is in force otherwise than before is told whole: the last word on it is what holds."""
    was = permitted(turn.before, turn.namespace)
    for name, held in permitted(turn.after, turn.namespace).items():
        if was.get(name) == held:
            continue
        parts = held.parts()
        for number, rules in enumerate(parts, 1):
            data: dict[str, Any] = {"permission": name, "namespaces": list(held.namespaces), "rules": rules}
            data |= {"part": number, "parts": len(parts)}
            yield turn.event(Kind.GRANTED, f"permission/{name}/{number}", data)


def _refused(turn: Turn) -> Iterator[Event]:
    was = dict(_refusals(turn.before))
    for name, reason in _refusals(turn.after):
        if was.get(name) != reason:
            yield turn.event(Kind.REFUSED, f"permission/{name}", {"permission": name, "reason": reason})


def _refusals(status: Status) -> Iterator[tuple[str, str]]:
    for entry in status.get("permissions") or ():
        if entry.get("state") == PermissionState.REFUSED:
            yield entry["name"], entry.get("reason", "")


def _suspension(turn: Turn) -> Iterator[Event]:
    # What cannot be read, or leaves, is not resumed by that: of the first the phase stays, of the second it is another.
    was, now = (status.get("phase") for status in (turn.before, turn.after))
    if now == Phase.SUSPENDED and was != Phase.SUSPENDED:
        policies = _part(turn.after, "training").get("suspendedBy") or []
        yield turn.event(Kind.SUSPENDED, "suspended", {"orders": list(turn.orders), "policies": policies})
    elif was in _NOT_RESUMED and now not in _NOT_RESUMED:
        yield turn.event(Kind.RESUMED, "resumed", {})


def _took_over(turn: Turn) -> Iterator[Event]:
    was, now = (_part(status, "succession") for status in (turn.before, turn.after))
    if now and now.get("predecessor") != was.get("predecessor"):
        said = {"predecessor": now["predecessor"]["uid"], "archive": now["archive"], "digest": now["digest"]}
        yield turn.event(Kind.HANDED_OVER, "succession", said)
    order, known = _part(now, "acceptance"), _part(was, "acceptance")
    if order and order != known:
        said = {"order": order["uid"], "name": order["name"], "revision": order["revision"]}
        yield turn.event(Kind.ACCEPTED, "acceptance", {**said, "predecessor": now["predecessor"]["uid"]})


def _hired(turn: Turn) -> Iterator[Event]:
    role = turn.after.get("hiredAs")
    if role and role != turn.before.get("hiredAs"):
        yield turn.event(Kind.HIRED, "hired", {"role": role})


def _evaluated(turn: Turn) -> Iterator[Event]:
    for child in turn.evaluations:
        yield evaluated.event(child, turn.now)


def _revisions(turn: Turn) -> Iterator[Event]:
    before, after = (_part(status, "revision") for status in (turn.before, turn.after))
    for number in range(before.get("latest", 0) + 1, after.get("latest", 0) + 1):
        yield turn.event(Kind.REVISED, f"revision/{number}", {"revision": number})
    for name, kind in (("rejected", Kind.REJECTED), ("rollingOut", Kind.ROLLOUT_STARTED)):
        became = after.get(name)
        if became and became != before.get(name):
            yield turn.event(kind, f"revision/{became}", {"revision": became, **_aborted(turn, became)})
    stable, was = after.get("stable"), before.get("stable")
    if stable and stable != was:
        back = was is not None and stable < was
        data = {"revision": stable, "before": was, **_ordered(turn, stable)}
        yield turn.event(Kind.ROLLED_BACK if back else Kind.ROLLED_OUT, f"revision/{stable}", data)


def _ordered(turn: Turn, number: int) -> dict[str, Any]:
    """UIDs of the orders by which a revision serves: one that went back to it, and those that overruled verdicts."""
    facts = turn.revisions.get(number)
    if facts is None:
        return {}
    overruled = sorted({order for _, order in facts.overruled})
    return ({"order": facts.order} if facts.order else {}) | ({"overruled": overruled} if overruled else {})


def _aborted(turn: Turn, number: int) -> dict[str, Any]:
    facts = turn.revisions.get(number)
    return {"order": facts.aborted_by} if facts and facts.aborted_by else {}


def _training(turn: Turn) -> Iterator[Event]:
    before, after = (_part(status, "training") for status in (turn.before, turn.after))
    number = _part(after, "current").get("revision")
    if number and number != _part(before, "current").get("revision"):
        facts = turn.revisions.get(number)
        order = {"order": facts.training.order} if facts and facts.training and facts.training.order else {}
        yield turn.event(Kind.TRAINING_STARTED, f"revision/{number}", {"revision": number, **order})
    last, was = _part(after, "last"), _part(before, "last")
    if last and (last.get("revision"), last.get("completionTime")) != (was.get("revision"), was.get("completionTime")):
        number = last["revision"]
        facts = turn.revisions.get(number)
        kind = Kind.TRAINED if facts and facts.training and facts.work else Kind.TRAINING_FAILED
        yield turn.event(kind, f"revision/{number}", {"revision": number, "completed": last.get("completionTime")})


def _conditions(turn: Turn) -> Iterator[Event]:
    if turn.after.get("phase") in _LEFT or _reason(turn.after, Type.READY) == Reason.INVALID_SPEC:
        # Only some conditions are looked at then: that the others are not there does not say that they are over.
        return
    overdue = _reason(turn.after, Type.TRAINING_CURRENT)
    if overdue in _OVERDUE and overdue != _reason(turn.before, Type.TRAINING_CURRENT):
        yield turn.event(Kind.OVERDUE, "overdue", {"reason": overdue})
    for type_, kind in ((Type.DRIFT_DETECTED, Kind.DRIFTED), (Type.IDENTITY_EXPOSED, Kind.EXPOSED)):
        was, now = (_true(status, type_) for status in (turn.before, turn.after))
        if was != now:
            yield turn.event(kind, kind.value.lower(), {"now": now is not None, "reason": now or was})


def ended(turn: Turn) -> tuple[Event, ...]:
    """The last events of an agent whose rights are proved to be gone; `after` has no permission any more."""
    return (*events(turn), turn.event(Kind.TERMINATED, "terminated", {}))


def _reviews(turn: Turn) -> Iterator[Event]:
    was = dict(_ended(turn.before.get("reviews") or ()))
    for key, last in _ended(turn.after.get("reviews") or ()):
        if last.get("evaluation") != was.get(key, {}).get("evaluation"):
            data = {name: last.get(name) for name in ("evaluation", "revision", "phase")}
            what = {"purpose": key[0], "name": key[1], **data}
            yield turn.event(Kind.REVIEWED, f"review/{key[0]}/{key[1]}", what)


def _ended(reviews: Iterable[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for review in reviews:
        if last := review.get("last"):
            yield (review["purpose"], review["name"]), last


def _part(status: Status, name: str) -> Mapping[str, Any]:
    return status.get(name) or {}


def _condition(status: Status, type_: Type) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions") or () if c.get("type") == type_.value), {})


def _reason(status: Status, type_: Type) -> str:
    return str(_condition(status, type_).get("reason", ""))


def _true(status: Status, type_: Type) -> str | None:
    """The reason of an abnormal condition that is there; None where it is not."""
    found = _condition(status, type_)
    return str(found.get("reason", "")) if found.get("status") == "True" else None
