"""What is told of an agent: everything that differs between two statuses, once, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentevaluation import Phase as Verdict
from aiagent_operator.api.agentevaluation import Provider, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core.journal import data, evaluated
from aiagent_operator.core.journal.event import Event, check
from aiagent_operator.core.journal.happened import Turn, ended, events
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.permitted import Permitted, permitted
from aiagent_operator.core.objects import (
    Child,
    ChildKind,
    EvaluationFacts,
    ObjectKey,
    RevisionFacts,
    Training,
    digest,
)
from support.journals import NOW

Status = Mapping[str, Any]
RULE = {"apiGroups": ["crm.example"], "resources": ["tickets"], "verbs": ["get", "list"]}


def turn(before: Status, after: Status, *, told: int = 7, **facts: Any) -> tuple[Event, ...]:
    return events(Turn(before, after, told, NOW, "crm", **facts))


def told(before: Status, after: Status, **facts: Any) -> list[tuple[Kind, Mapping[str, Any]]]:
    return [(event.kind, event.data) for event in turn(before, after, **facts)]


def permission(name: str = "read", state: str = "Granted", **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "reason": state, "message": "", "rules": [RULE], **fields}


def revision(number: int, **facts: Any) -> RevisionFacts:
    return RevisionFacts(number, "sha256:w", "book", "sha256:b", RevisionState.STABLE, **facts)


def evaluation(name: str, uid: str, phase: str = "Successful", purpose: str = "Promotion") -> Child:
    its = EvaluationFacts(2, "held-out", Purpose(purpose), Provider.JOB, Verdict(phase))
    return Child(ObjectKey(ChildKind.AGENT_EVALUATION, "crm", name), uid, "1", "u1", "d", evaluation=its)


def condition(type_: str, status: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": type_, "status": status, "reason": reason, "message": "ann@corp.example did"}]}


LESSON = Training("Schedule", "2026-07-06T02:00:00Z")
GRANTED = {"namespaces": ["crm"], "rules": [RULE], "part": 1, "parts": 1}
PASSED = {"evaluation": "bias-1", "revision": 2, "phase": "Successful"}

CASES: list[tuple[str, Status, Status, list[tuple[Kind, Mapping[str, Any]]]]] = [
    ("hired", {}, {"hiredAs": "support"}, [(Kind.HIRED, {"role": "support"})]),
    ("moved", {"hiredAs": "support"}, {"hiredAs": "sales"}, [(Kind.HIRED, {"role": "sales"})]),
    (
        "granted",
        {"permissions": [permission(state="Pending", rules=[])]},
        {"permissions": [permission()]},
        [(Kind.GRANTED, {"permission": "read", **GRANTED})],
    ),
    (
        "elsewhere",
        {"permissions": [permission()]},
        {"permissions": [permission(namespaces=["crm", "sales"])]},
        [(Kind.GRANTED, {"permission": "read", **GRANTED, "namespaces": ["crm", "sales"]})],
    ),
    (
        "refused",
        {"permissions": [permission()]},
        {"permissions": [permission(state="Refused", reason="NotGrantable", rules=[])]},
        [
            (Kind.REVOKED, {"permission": "read"}),
            (Kind.REFUSED, {"permission": "read", "reason": "NotGrantable"}),
        ],
    ),
    ("not asked for", {"permissions": [permission()]}, {}, [(Kind.REVOKED, {"permission": "read"})]),
    (
        "suspended",
        {"phase": "Active"},
        {"phase": "Suspended", "training": {"suspendedBy": ["old"]}},
        [(Kind.SUSPENDED, {"orders": ["b7c6"], "policies": ["old"]})],
    ),
    ("resumed", {"phase": "Suspended"}, {"phase": "Active"}, [(Kind.RESUMED, {})]),
    (
        "leaves while suspended",
        {"phase": "Suspended"},
        {"phase": "Offboarding"},
        [(Kind.OFFBOARDING_STARTED, {})],
    ),
    (
        "revised",
        {"revision": {"latest": 1, "stable": 1}},
        {"revision": {"latest": 3, "stable": 1, "rollingOut": 3}},
        [
            (Kind.REVISED, {"revision": 2}),
            (Kind.REVISED, {"revision": 3}),
            (Kind.ROLLOUT_STARTED, {"revision": 3}),
        ],
    ),
    (
        "first",
        {"revision": {"latest": 1}},
        {"revision": {"latest": 1, "stable": 1}},
        [(Kind.ROLLED_OUT, {"revision": 1, "before": None})],
    ),
    (
        "rolled out",
        {"revision": {"latest": 2, "stable": 1, "rollingOut": 2}},
        {"revision": {"latest": 2, "stable": 2}},
        [(Kind.ROLLED_OUT, {"revision": 2, "before": 1})],
    ),
    (
        "rolled back",
        {"revision": {"latest": 2, "stable": 2}},
        {"revision": {"latest": 2, "stable": 1, "heldBack": 2}},
        [(Kind.ROLLED_BACK, {"revision": 1, "before": 2})],
    ),
    (
        "rejected",
        {"revision": {"latest": 2, "stable": 1}},
        {"revision": {"latest": 2, "stable": 1, "rejected": 2}},
        [(Kind.REJECTED, {"revision": 2})],
    ),
    (
        "trains",
        {},
        {"training": {"current": {"revision": 2, "message": "runs"}}},
        [(Kind.TRAINING_STARTED, {"revision": 2})],
    ),
    (
        "trained",
        {"training": {"current": {"revision": 2, "message": "runs"}}},
        {"training": {"last": {"revision": 2, "state": "Candidate", "completionTime": "2026-07-06T02:00:00Z"}}},
        [(Kind.TRAINED, {"revision": 2, "completed": "2026-07-06T02:00:00Z"})],
    ),
    (
        "trained in vain",
        {},
        {"training": {"last": {"revision": 3, "state": "Rejected", "completionTime": "2026-07-06T02:00:00Z"}}},
        [(Kind.TRAINING_FAILED, {"revision": 3, "completed": "2026-07-06T02:00:00Z"})],
    ),
    (
        "what becomes of it later",
        {"training": {"last": {"revision": 2, "state": "Candidate", "completionTime": "2026-07-06T02:00:00Z"}}},
        {"training": {"last": {"revision": 2, "state": "Stable", "completionTime": "2026-07-06T02:00:00Z"}}},
        [],
    ),
    (
        "policies",
        {"training": {"policies": ["a"]}},
        {"training": {"policies": ["a", "b"], "maxAge": {"value": "720h"}}},
        [(Kind.POLICY_CHANGED, {"policies": ["a", "b"], "maxAge": "720h"})],
    ),
    (
        "overdue",
        condition("TrainingCurrent", "True", "UpToDate"),
        condition("TrainingCurrent", "False", "Overdue"),
        [(Kind.OVERDUE, {"reason": "Overdue"})],
    ),
    (
        "drifts",
        {},
        condition("DriftDetected", "True", "Drifting"),
        [(Kind.DRIFTED, {"now": True, "reason": "Drifting"})],
    ),
    (
        "drifts no more",
        condition("DriftDetected", "True", "Drifting"),
        {},
        [(Kind.DRIFTED, {"now": False, "reason": "Drifting"})],
    ),
    (
        "exposed",
        {},
        condition("IdentityExposed", "True", "OthersHoldIdentity"),
        [(Kind.EXPOSED, {"now": True, "reason": "OthersHoldIdentity"})],
    ),
    ("not looked at", condition("DriftDetected", "True", "Drifting"), condition("Ready", "False", "InvalidSpec"), []),
    (
        "leaves",
        condition("IdentityExposed", "True", "OthersHoldIdentity"),
        {"phase": "Offboarding"},
        [(Kind.OFFBOARDING_STARTED, {})],
    ),
    ("is still leaving", {"phase": "Offboarding"}, {"phase": "Offboarding"}, []),
    (
        "reviewed",
        {"reviews": [{"name": "bias", "purpose": "BiasAudit", "last": {**PASSED, "evaluation": "bias-0"}}]},
        {"reviews": [{"name": "bias", "purpose": "BiasAudit", "last": PASSED}]},
        [(Kind.REVIEWED, {"purpose": "BiasAudit", "name": "bias", **PASSED})],
    ),
]


@pytest.mark.parametrize(("before", "after", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_differs_is_told(before: Status, after: Status, wanted: list[tuple[Kind, Mapping[str, Any]]]) -> None:
    found = turn(before, after, orders=("b7c6",), revisions={2: revision(2, training=LESSON)})
    assert [(event.kind, event.data) for event in found] == wanted
    for event in found:
        check(event)


def test_orders_are_told_with_what_they_did() -> None:
    back = {"revision": {"latest": 2, "stable": 1}}
    was = {"revision": {"latest": 2, "stable": 2}}
    order = {"revision": 1, "before": 2, "order": "o1"}
    assert told(was, back, revisions={1: revision(1, order="o1")}) == [(Kind.ROLLED_BACK, order)]
    overruled = revision(2, overruled=(("e1", "o3"), ("e2", "o3"), ("e3", "o2")))
    said = {"revision": 2, "before": 1, "overruled": ["o2", "o3"]}
    assert told(back, was, revisions={2: overruled}) == [(Kind.ROLLED_OUT, said)]
    given_up = {"revision": {"latest": 2, "stable": 1, "rejected": 2}}
    said = {"revision": 2, "order": "o4"}
    assert told(back, given_up, revisions={2: revision(2, aborted_by="o4")}) == [(Kind.REJECTED, said)]
    training = {"training": {"current": {"revision": 3}}}
    lesson = revision(3, training=replace(LESSON, order="o5"))
    assert told({}, training, revisions={3: lesson}) == [(Kind.TRAINING_STARTED, {"revision": 3, "order": "o5"})]


def test_verdicts_are_told_once_and_forgotten_with_their_evaluations() -> None:
    done, open_ = evaluation("triage-2-held-out", "11111111-1111-a"), evaluation("triage-2-tone", "2-b", "Running")
    audit = evaluation("triage-bias-1", "3-c", "Failed", "BiasAudit")
    children = (done, open_, audit)
    news = evaluated.fresh(children, ())
    assert news == (done,), "reviews are told from the status"
    (event,) = turn({}, {}, evaluations=news)
    check(event)
    assert (event.kind, event.cause) == (Kind.EVALUATED, f"evaluation/{done.uid}")
    assert event.data["phase"] == "Successful"
    marks = evaluated.marks(children, (), news)
    assert evaluated.fresh(children, marks) == ()
    assert evaluated.marks((), marks, ()) == ()
    many = [evaluation(f"e-{n:02}", f"{n:013}") for n in range(evaluated.MOST_AT_ONCE + 5)]
    first = evaluated.fresh(many, ())
    assert len(first) == evaluated.MOST_AT_ONCE
    assert len(evaluated.fresh(many, evaluated.marks(many, (), first))) == 5


def test_what_was_captured_is_told_after_the_steps_and_before_its_end() -> None:
    snapshot = {"items": 3, "bytes": 4096, "digest": f"sha256:{'a' * 64}", "missing": 0}
    before = {"phase": "Offboarding", "permissions": [permission()]}
    now: Status = {"phase": "Offboarding", "permissions": [permission()], "offboarding": {"steps": [{"name": "Drain"}]}}
    assert told(before, now, snapshot=snapshot) == [(Kind.DRAINED, {"timedOut": False}), (Kind.SNAPSHOTTED, snapshot)]
    end = ended(Turn(before, {**now, "permissions": []}, 7, NOW, "crm", snapshot=snapshot))
    assert [event.kind for event in end][-3:] == [Kind.SNAPSHOTTED, Kind.REVOKED, Kind.TERMINATED]
    for event in end:
        check(event)


def test_the_first_turn_begins_with_its_creation() -> None:
    assert told({}, {"phase": "Onboarding"}, told=0) == [(Kind.CREATED, {})]


def test_what_is_taken_away_is_told_before_what_is_given() -> None:
    before = {"permissions": [permission("read"), permission("write")]}
    after = {"permissions": [permission("read", namespaces=["sales"])]}
    assert [kind for kind, _ in told(before, after)] == [Kind.REVOKED, Kind.GRANTED]


def test_another_turn_never_gives_a_cause_again() -> None:
    off: Status = {"phase": "Suspended"}
    on: Status = {"phase": "Active"}
    causes = [event.cause for n in range(4) for event in turn(*((on, off), (off, on))[n % 2], told=n + 1)]
    assert len(set(causes)) == 4


def test_names_that_no_record_may_have_are_told_by_their_digest() -> None:
    rule = {**RULE, "resourceNames": ["ann@corp.example", "a b"]}
    (event,) = turn({}, {"permissions": [permission(rules=[rule])]})
    check(event)
    (said,) = event.data["rules"]
    assert said == {**RULE, "resourceNamesCount": 2, "resourceNamesDigest": f"sha256:{digest(rule['resourceNames'])}"}


def test_what_an_event_cannot_hold_is_told_in_parts() -> None:
    rules = [{**RULE, "resourceNames": [f"{'x' * 200}-{n}-{m}" for m in range(16)]} for n in range(16)]
    found = turn({}, {"permissions": [permission(rules=rules)]})
    for event in found:
        check(event)
    assert [event.data["part"] for event in found] == list(range(1, len(found) + 1))
    assert {event.data["parts"] for event in found} == {len(found)}
    assert [rule for event in found for rule in event.data["rules"]] == rules


# What may be held ----------------------------------------------------------------------------------------------------

_WORDS = st.sampled_from(["get", "list", "watch", "create"])
_RULES = st.fixed_dictionaries(
    {
        "apiGroups": st.just(["crm.example"]),
        "resources": st.lists(st.sampled_from(["tickets", "refunds"]), min_size=1, max_size=2, unique=True),
        "verbs": st.lists(_WORDS, min_size=1, max_size=4, unique=True),
    },
    optional={"resourceNames": st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=16)},
)
_PERMISSIONS = st.lists(
    st.builds(
        permission,
        st.sampled_from(["read", "write", "refund"]),
        st.sampled_from(["Granted", "Pending", "Refused"]),
        rules=st.lists(_RULES, max_size=4),
        namespaces=st.lists(st.sampled_from(["crm", "sales"]), max_size=2, unique=True),
    ),
    max_size=3,
    unique_by=lambda entry: entry["name"],
)
_STATUSES = st.fixed_dictionaries(
    {"permissions": _PERMISSIONS},
    optional={
        "phase": st.sampled_from(["Active", "Suspended", "Offboarding", "Degraded"]),
        "hiredAs": st.sampled_from(["support", "sales"]),
        "revision": st.fixed_dictionaries(
            {"latest": st.integers(1, 5)}, optional={"stable": st.integers(1, 5), "rejected": st.integers(1, 5)}
        ),
    },
)


def replayed(found: Iterable[Event], namespace: str = "crm") -> dict[str, tuple[tuple[str, ...], list[Any]]]:
    """Effective rights, from the journal alone: the last word on each permission."""
    held: dict[str, tuple[tuple[str, ...], list[Any]]] = {}
    for event in found:
        name = event.data.get("permission", "")
        if event.kind is Kind.REVOKED:
            del held[name]
        elif event.kind is Kind.GRANTED:
            rules = held[name][1] if event.data["part"] > 1 else []
            held[name] = tuple(event.data["namespaces"]), [*rules, *event.data["rules"]]
    return held


def as_told(held: Mapping[str, Permitted]) -> dict[str, tuple[tuple[str, ...], list[Any]]]:
    return {name: (each.namespaces, [rule for part in each.parts() for rule in part]) for name, each in held.items()}


@given(st.lists(_STATUSES, min_size=1, max_size=6))
def test_rights_over_time_follow_from_the_journal_alone(statuses: list[dict[str, Any]]) -> None:
    journal: list[Event] = []
    before: Status = {}
    for after in statuses:
        journal += turn(before, after, told=len(journal))
        assert replayed(journal) == as_told(permitted(after, "crm"))
        before = after
    assert len({event.key for event in journal}) == len(journal)


@given(_STATUSES, _STATUSES, st.integers(0, 1000))
def test_every_event_can_be_recorded_and_is_found_again(before: Status, after: Status, place: int) -> None:
    found = turn(before, after, told=place)
    for event in found:
        check(event)
    assert len({event.key for event in found}) == len(found)
    assert turn(before, after, told=place) == found


@given(_STATUSES, st.integers(1, 1000))
def test_of_what_stays_nothing_is_told(status: Status, place: int) -> None:
    assert turn(status, status, told=place) == ()


@given(_RULES)
def test_a_rule_always_fits(rule: dict[str, Any]) -> None:
    for part in Permitted(("crm",), (rule,) * 40).parts():
        data.check({"rules": part, "namespaces": ["crm"]})
