"""A successor is hired once a person accepts what it took over: which order counts for that, and for what."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.api.agentaction import Action
from aiagent_operator.cli import describe, steps
from aiagent_operator.core import texts
from aiagent_operator.core.journal import happened
from aiagent_operator.core.journal.happened import Turn
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Plan, Room, Verb
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.succession import Family
from aiagent_operator.core.versions import accepting, gating, revisions
from support.agents import permission
from support.decisions import compiled, observed, said
from support.gates import Desk, by_job, template
from unit.test_revisions import read
from unit.test_succession import DIGEST, HEIR, OLD, late, leaves, policy

REQUIRED = {"succession": {"predecessorRef": {"name": "old"}, "acceptance": "Required"}}
EVALUATED = {"retraining": {"evaluations": [template("live")]}}
ROLLOUT = {"rollout": {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {}}]}}
HANDBOOK = {"instructions": {"inline": "Be brief."}}
TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}}
ACCEPTED = {"name": "yes", "uid": "u-yes", "revision": 1}


def heir(**spec: Any) -> Desk:
    """One whose predecessor is archived."""
    desk = Desk(permission("refund"), **REQUIRED, **spec)
    desk.facts |= {"journal": Room(free=True), "family": Family(OLD)}
    return desk


def settled(desk: Desk) -> Plan:
    """Passes until the status stays as it is, too."""
    while True:
        before = copy.deepcopy(desk.status)
        plan = desk.settle()
        if desk.status == before:
            return plan


def ordered(desk: Desk, name: str = "yes", kind: OrderKind = OrderKind.PROMOTE, *, given: str = "") -> Plan:
    """A person orders something, now or then."""
    order = RolloutOrder(f"u-{name}", kind, f"AgentAction {name} by ann (why)", given or texts.moment(desk.at), name)
    desk.facts["steering"] = (*desk.facts.get("steering", ()), order)
    return settled(desk)


def outcome(desk: Desk, name: str = "yes") -> tuple[bool, str]:
    orders = desk.status["rollout"]["orders"]
    return next((o.get("done", False), o["message"]) for o in orders if o["uid"] == f"u-{name}")


def hired(desk: Desk) -> bool:
    bound = bool(desk.of(ChildKind.ROLE_BINDING))
    assert bound is bool(desk.status.get("hiredAs"))
    return bound


@pytest.mark.parametrize(
    "spec", [{}, EVALUATED, {"retraining": ROLLOUT}, {"retraining": {**EVALUATED["retraining"], **ROLLOUT}}]
)
def test_it_holds_no_right_and_runs_nothing_before_a_person_accepts(spec: dict[str, Any]) -> None:
    desk = heir(**spec)
    plan = settled(desk)
    assert not hired(desk)
    assert not desk.of(ChildKind.DEPLOYMENT)
    assert said(plan, "RevisionAccepted")[:2] == (None, "WaitingForAcceptance")
    assert said(plan, "Ready")[:2] == said(plan, "WorkloadReady")[:2] == (False, "WaitingForAcceptance")
    text = said(plan, "Ready")[2]
    assert "what the agent took over from AIAgent old; nothing serves, and no right is bound" in text
    assert "kubectl aiagent promote triage -n home --reason WHY" in text
    assert "Stalled" in {v.type.value for v in plan.verdicts}
    assert plan.status["permissions"][0]["message"].startswith("waits until a revision is accepted")
    assert plan.status["revision"] == {"latest": 1, "candidate": 1}

    desk.later(10)
    plan = ordered(desk)
    assert hired(desk)
    assert said(plan, "Ready")[0] is True
    assert desk.status["succession"]["acceptance"] == ACCEPTED
    assert desk.status["succession"]["predecessor"] == {"name": "old", "uid": "u-old"}
    assert outcome(desk) == (True, "revision 1 is accepted with what it took over from AIAgent old")
    # Which costs nothing more, and asks nothing more of what comes later.
    desk.facts["steering"] = ()
    plan = settled(desk)
    assert not plan.writes
    assert "succession" not in plan.status
    desk.spec["handbook"] = HANDBOOK
    plan = settled(desk)
    assert desk.status["revision"]["latest"] == 2
    assert "WaitingForAcceptance" not in {v.reason.value for v in plan.verdicts}


def test_no_pass_before_that_gives_anything() -> None:
    desk = heir(**EVALUATED)
    for _ in range(12):
        plan = desk.decide()
        assert not [write for write in plan.writes if write.grants or write.key.kind is ChildKind.DEPLOYMENT]
        for write in plan.writes:
            desk.write(write)
        desk.status |= plan.status
        measured = desk.measured(plan)
        desk.status |= desk.decide(measured).status
        for write in desk.decide(measured).writes:
            if write.verb is Verb.REPORT:
                desk.write(write)
    assert said(desk.decide(), "Ready")[1] == "WaitingForAcceptance"


def test_who_accepts_is_said_before_anything_is_given() -> None:
    desk = heir()
    settled(desk)
    order = RolloutOrder("u-yes", OrderKind.PROMOTE, "AgentAction yes by ann", texts.moment(desk.at), "yes")
    desk.facts["steering"] = (order,)
    plan = desk.decide()
    assert plan.first["succession"] == plan.status["succession"]
    assert plan.status["succession"]["acceptance"] == ACCEPTED
    assert not [write for write in plan.writes if write.grants]
    assert plan.requeue_after == 0.1
    # Whoever is killed now has written that, or nothing: the next one finds the same order.
    assert desk.decide().status["succession"] == plan.status["succession"]


def test_an_order_from_before_the_evaluations_passed_accepts_nothing() -> None:
    desk = heir(**EVALUATED)
    desk.answer = lambda *_: ""
    settled(desk)
    plan = ordered(desk, "early")
    assert not outcome(desk, "early")[0]
    assert "once its evaluations are passed" in outcome(desk, "early")[1]
    assert said(plan, "Ready")[:2] == (False, "Evaluating")
    # Nor does one that nobody had looked at by then.
    desk.later(60)
    before, desk.answer = texts.moment(desk.at), lambda *_: "S"
    desk.later(1)
    settled(desk)
    desk.later(60)
    ordered(desk, "late", given=before)
    assert not outcome(desk, "late")[0]
    assert not hired(desk)
    ordered(desk)
    assert hired(desk)


def test_one_from_before_the_handover_or_the_revision_accepts_nothing() -> None:
    desk = heir()
    before = texts.moment(desk.at)
    desk.later(5)
    settled(desk)
    ordered(desk, "old", given=before)
    assert not outcome(desk, "old")[0]
    now = texts.moment(desk.at)
    desk.later(5)
    desk.spec["handbook"] = HANDBOOK
    settled(desk)
    assert desk.status["revision"] == {"latest": 2, "candidate": 2}
    ordered(desk, "former", given=now)
    assert not outcome(desk, "former")[0]
    assert not hired(desk)


def test_a_promote_that_lets_an_unclear_verdict_pass_accepts_nothing_beside() -> None:
    desk = heir(**EVALUATED)
    desk.answer = lambda *_: "I"
    plan = settled(desk)
    assert said(plan, "Ready")[1] == "EvaluationInconclusive"
    desk.later(10)
    plan = ordered(desk, "pass")
    assert said(plan, "Ready")[1] == "WaitingForAcceptance"
    assert "acceptance" not in desk.status["succession"]
    assert outcome(desk, "pass")[0]
    desk.later(10)
    ordered(desk)
    assert hired(desk)
    assert desk.status["succession"]["acceptance"] == ACCEPTED


def test_what_was_accepted_is_that_revision_and_that_handover() -> None:
    desk = heir()
    settled(desk)
    desk.status["succession"] |= {"acceptance": {**ACCEPTED, "revision": 7}}
    assert said(settled(desk), "Ready")[1] == "WaitingForAcceptance"
    # Another predecessor, and what had been accepted of the one before.
    desk.status["succession"] |= {"acceptance": ACCEPTED}
    desk.facts["family"] = Family(replace(OLD, name="other", uid="u-other"))
    desk.spec["succession"] = {**REQUIRED["succession"], "predecessorRef": {"name": "other"}}
    assert said(settled(desk), "Ready")[1] == "WaitingForAcceptance"
    assert "acceptance" not in desk.status["succession"]
    assert not hired(desk)


def test_a_claim_that_is_named_later_is_no_other_handover() -> None:
    desk = heir()
    settled(desk)
    ordered(desk)
    desk.facts["steering"] = ()
    taken = desk.status["succession"]
    desk.status["succession"] = {**taken, "predecessor": {"name": "before", "uid": "u-old"}}
    settled(desk)
    assert desk.status["succession"]["predecessor"]["name"] == "old"
    assert desk.status["succession"]["acceptance"] == ACCEPTED


def test_while_it_is_suspended_nobody_accepts() -> None:
    desk = heir(suspended=True)
    settled(desk)
    ordered(desk)
    assert outcome(desk) == (
        False, "the agent is suspended, and is not hired before it is resumed: resume it, then order Promote again"
    )  # fmt: skip
    assert "acceptance" not in desk.status["succession"]


def test_an_abort_gives_nothing_up_and_says_what_does() -> None:
    desk = heir()
    settled(desk)
    ordered(desk, "no", OrderKind.ABORT)
    done, text = outcome(desk, "no")
    assert not done
    assert "Suspend stops the agent" in text


def test_hiring_evaluations_of_the_role_come_first() -> None:
    desk = heir()
    desk.facts["role"] = compiled("support", hiringEvaluations=[by_job("interview")])
    plan = settled(desk)
    assert said(plan, "Ready")[1] == "Evaluating"
    (job,) = desk.of(ChildKind.JOB)
    desk.finish(job, '{"measurements": [{"name": "m", "value": "1.5"}]}')
    desk.later(1)
    assert said(settled(desk), "Ready")[1] == "WaitingForAcceptance"
    assert not hired(desk)
    ordered(desk)
    assert hired(desk)


def test_who_is_hired_is_accepted_by_that_and_a_binding_of_somebody_is_no_hiring() -> None:
    desk = Desk(permission("refund"))
    settled(desk)
    bodies = desk.bodies
    desk.facts |= {"journal": Room(free=True), "family": Family(OLD)}
    desk.spec |= REQUIRED
    assert said(settled(desk), "Ready")[0] is True
    assert desk.status["succession"]["archive"] == OLD.archive
    thief = heir()
    settled(thief)
    for key, body in bodies.items():
        if key.kind is ChildKind.ROLE_BINDING:
            thief.bodies[key] = body
    settled(thief)
    assert not hired(thief)


def test_rights_to_an_adopted_target_wait_and_its_owners_work_goes_on() -> None:
    (serving,) = read("1:A Stable#1")
    taken = succession_of()
    order = RolloutOrder("u-yes", OrderKind.PROMOTE, "AgentAction yes by ann", taken["time"], "yes")
    made = {serving.key: {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}}
    spec = {**REQUIRED, "workload": TARGET}

    def gate(found: dict[str, Any], *orders: RolloutOrder) -> gating.Gate:
        o = observed(children=[serving], spec=spec, status={"succession": found}, live=made, steering=orders)
        return accepting.held(o, gating.look(o, revisions.choose([serving], "A", 0), [serving]))

    waits = gate(taken)
    assert (waits.shut, waits.hires, waits.choice.target) == (False, False, serving)
    assert waits.verdict is not None
    assert "no right is bound" in waits.verdict.message
    assert gate(taken, order).accepts == {**taken, "acceptance": ACCEPTED}
    assert gate({**taken, "acceptance": ACCEPTED}).hires
    assert not gate({**taken, "acceptance": {**ACCEPTED, "revision": 2}}).hires


def succession_of() -> dict[str, Any]:
    return {
        "predecessor": {"name": "old", "uid": "u-old"},
        "archive": "home.old.1",
        "digest": DIGEST,
        "time": "2026-03-01T12:00:00Z",
    }


def test_its_journal_tells_once_by_which_order() -> None:
    taken = succession_of()
    turn = Turn({"succession": taken}, {"succession": {**taken, "acceptance": ACCEPTED}}, 1, observed().now, "home")
    (event,) = happened.events(turn)
    assert event.kind.value == "Accepted"
    assert event.data == {"order": "u-yes", "name": "yes", "revision": 1, "predecessor": "u-old"}
    assert happened.events(replace(turn, before=turn.after)) == ()


def test_the_predecessor_says_who_can_accept_and_its_archive_by_which_order_that_was() -> None:
    waits = replace(HEIR, hired=False, ready="WaitingForAcceptance")
    assert "kubectl aiagent promote new -n home --reason WHY" in said(leaves(waits), "Ready")[2]
    accepted = replace(HEIR, received={**HEIR.received, "acceptance": ACCEPTED})
    plan = leaves(accepted, recorded=False)
    assert plan.handover is not None
    assert plan.handover["acceptance"] == ACCEPTED
    assert "acceptance" not in (leaves(HEIR, recorded=False).handover or {})


def test_past_the_deadline_it_goes_though_nobody_has_accepted_and_its_archive_says_so() -> None:
    waits = replace(HEIR, hired=False, ready="WaitingForAcceptance")
    assert said(late(policy("a"), seconds=3599, its=waits), "Ready")[1] == "WaitingForSuccessor"
    plan = late(policy("a"), seconds=3600, its=waits, recorded=False)
    assert plan.handover is not None
    assert plan.handover["successor"] == {"name": "new", "uid": "u-new"}
    assert "and was not hired: it was late since 2026-01-01T01:00:00Z" in plan.handover["message"]
    assert "late" not in (late(policy("a"), seconds=3600, its=HEIR, recorded=False).handover or {})["message"]
    kept = said(late(policy("a", how="Wait"), seconds=3600, its=waits), "Ready")
    assert "It is late since" in kept[2]


def test_describe_says_whether_it_is_accepted_and_who_can() -> None:
    taken = succession_of()
    assert describe.kin(REQUIRED, {"succession": taken})["Predecessor"].endswith(", not accepted yet")
    assert "accepted" not in describe.kin(REQUIRED, {"succession": taken, "hiredAs": "support"})["Predecessor"]
    known = {"succession": {**taken, "acceptance": ACCEPTED}, "hiredAs": "support"}
    assert describe.kin(REQUIRED, known)["Predecessor"].endswith(", accepted by AgentAction yes for revision 1")
    first, *_ = steps.of("WaitingForAcceptance")
    assert first.right.question("home", "triage", "support").verb == Action.PROMOTE.lower()
