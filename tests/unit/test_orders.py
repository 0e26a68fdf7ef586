"""Orders: who they cover, what a Resume ends, and when an order is over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiagent_operator.api.agentaction import DEADLINE, KEPT, ActionPhase, AgentActionSpec
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.api.rolloutstatus import RolloutOrderStatus
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, RevisionFacts
from aiagent_operator.core.orders import AgentFacts, Order, OrderPlan, decide
from aiagent_operator.runtime import agentrecord
from aiagent_operator.runtime.orders import ActionKey, OrderBook
from support import agents

BEGIN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def order(
    action: str,
    name: str = "one",
    *,
    after: float = 0,
    version: int = 1,
    phase: ActionPhase | None = None,
    finished: float | None = None,
    **spec: Any,
) -> Order:
    about = {"agentRef": {"name": "triage"}} if "selector" not in spec and "agentRef" not in spec else {}
    whole = {"action": action, "requestedBy": "ann@corp.example", "reason": "A test", **about, **spec}
    return Order(
        "support",
        name,
        f"uid-{name}",
        version,
        BEGIN + after * SECOND,
        AgentActionSpec.model_validate(whole),
        None if finished is None else BEGIN + finished * SECOND,
        phase,
    )


def some(**labels: str) -> dict[str, Any]:
    return {"matchLabels": labels}


def ready(plan: OrderPlan) -> tuple[bool | None, Reason, str]:
    found = next(verdict for verdict in plan.verdicts if verdict.type is Type.READY)
    return found.status, found.reason, found.message


@pytest.mark.parametrize(
    ("spec", "name", "labels", "covered"),
    [
        ({}, "triage", {}, True),
        ({}, "router", {"team": "a"}, False),
        ({"selector": some(team="a")}, "router", {"team": "a", "tier": "1"}, True),
        ({"selector": some(team="a", tier="2")}, "router", {"team": "a", "tier": "1"}, False),
        ({"selector": some(team="a")}, "router", {}, False),
    ],
)
def test_whom_an_order_covers(spec: dict[str, Any], name: str, labels: dict[str, str], covered: bool) -> None:
    assert order("Suspend", **spec).covers(name, labels) is covered


def test_a_selector_without_labels_is_refused_and_would_cover_nobody() -> None:
    with pytest.raises(ValidationError):
        order("Suspend", selector=some())


class TestSuspend:
    def test_it_is_in_force_for_agents_that_are_still_at_work(self) -> None:
        agents = [
            AgentFacts("b", stopped=True, suspended=True, by_spec=False),
            AgentFacts("a", stopped=False, suspended=False, by_spec=False),
        ]
        plan = decide(order("Suspend", selector=some(x="y")), agents, (), BEGIN)
        assert (plan.phase, plan.agents, plan.done) == (ActionPhase.IN_FORCE, 2, 1)
        assert ready(plan)[:2] == (False, Reason.WAITING_FOR_AGENTS)
        assert "rights and pods of a to be gone" in ready(plan)[2]

    def test_it_is_ready_when_all_are_suspended(self) -> None:
        plan = decide(order("Suspend"), [AgentFacts("triage", stopped=True, suspended=True, by_spec=False)], (), BEGIN)
        assert ready(plan)[:2] == (True, Reason.IN_FORCE)

    @pytest.mark.parametrize("spec", [{}, {"selector": some(x="y")}])
    def test_it_waits_for_agents_that_are_not_there(self, spec: dict[str, Any]) -> None:
        plan = decide(order("Suspend", **spec), [], (), BEGIN)
        assert ready(plan)[:2] == (True, Reason.NO_AGENT)

    def test_it_goes_by_what_is_observed_and_not_by_what_the_agent_says(self) -> None:
        broken = AgentFacts("triage", stopped=True, suspended=False, by_spec=False)
        assert ready(decide(order("Suspend"), [broken], (), BEGIN))[:2] == (True, Reason.IN_FORCE)

    @given(st.floats(min_value=0, max_value=1e9))
    def test_it_never_ends_by_itself(self, seconds: float) -> None:
        plan = decide(order("Suspend"), [], (), BEGIN + seconds * SECOND)
        assert (plan.phase, plan.remove, plan.requeue_after) == (ActionPhase.IN_FORCE, False, None)


class TestResume:
    AT_WORK = AgentFacts("triage", stopped=False, suspended=False, by_spec=False)

    def test_it_ends_what_was_ordered_before_it_about_the_same_agent(self) -> None:
        old, other = order("Suspend", "old"), order("Suspend", "other", agentRef={"name": "router"})
        resume = order("Resume", after=5)
        plan = decide(resume, [AgentFacts("triage", True, True, False, (old,))], (old, other), BEGIN + 6 * SECOND)
        assert plan.ends == (old,)
        assert (plan.phase, ready(plan)[1]) == (ActionPhase.PENDING, Reason.RESUMING)

    def test_what_is_ordered_later_stays(self) -> None:
        later = order("Suspend", "later", after=6)
        plan = decide(order("Resume", after=5), [AgentFacts("triage", True, True, False, (later,))], (later,), BEGIN)
        assert plan.ends == ()
        assert (plan.phase, ready(plan)[1]) == (ActionPhase.FAILED, Reason.STILL_SUSPENDED)
        assert "AgentAction later by ann@corp.example (A test)" in ready(plan)[2]

    @pytest.mark.parametrize(("version", "ended"), [(4, True), (6, False)])
    def test_in_the_same_second_versions_tell(self, version: int, ended: bool) -> None:
        suspend = order("Suspend", "other", version=version)
        plan = decide(
            order("Resume", version=5), [AgentFacts("triage", True, True, False, (suspend,))], (suspend,), BEGIN
        )
        assert (plan.ends == (suspend,)) is ended

    @pytest.mark.parametrize(
        ("seen", "ended"),
        [
            # What was written to the status of either since they were given says nothing about that.
            ([("one", 4, False), ("back", 5, False), ("one", 6, True)], True),
            ([("one", 4, False), ("back", 5, False), ("one", 6, True), ("back", 7, True)], True),
            ([("back", 4, False), ("one", 5, False), ("back", 6, True)], False),
            # Seen for the first time after a restart of the operator.
            ([("one", 6, True), ("back", 5, False)], False),
            ([("one", 6, True), ("back", 7, True)], True),
        ],
    )
    def test_in_the_same_second_it_counts_which_was_seen_first(
        self, seen: list[tuple[str, int, bool]], ended: bool
    ) -> None:
        orders = OrderBook(lambda _: None, lambda _: None)
        for name, version, written in seen:
            spec = {**ABOUT, "action": "Resume" if name == "back" else "Suspend"}
            status = {"status": {"phase": "Pending" if name == "back" else "InForce"}} if written else {}
            orders.observe(as_read(spec, version=version, uid=name, name=name) | status)
        suspend, resume = (orders.records[ActionKey("support", name)].order for name in ("one", "back"))
        assert suspend
        assert resume
        about = AgentFacts("triage", True, True, False, (suspend,))
        assert (decide(resume, [about], (suspend,), BEGIN).ends == (suspend,)) is ended

    def test_one_agent_is_not_taken_out_of_an_order_about_many(self) -> None:
        many = order("Suspend", "many", selector=some(team="a"))
        plan = decide(order("Resume", after=5), [AgentFacts("triage", True, True, False, (many,))], (many,), BEGIN)
        assert (plan.ends, plan.phase) == ((), ActionPhase.FAILED)
        assert "many" in ready(plan)[2]

    def test_a_selector_ends_its_like_and_orders_about_its_agents(self) -> None:
        same, one = order("Suspend", "same", selector=some(team="a")), order("Suspend", "one")
        wider = order("Suspend", "wider", selector=some(tier="1"))
        resume = order("Resume", after=5, selector=some(team="a"))
        agents = [AgentFacts("triage", True, True, False, (same, one, wider))]
        plan = decide(resume, agents, (same, one, wider), BEGIN)
        assert plan.ends == (same, one)
        plan = decide(resume, [AgentFacts("triage", True, True, False, (wider,))], (wider,), BEGIN)
        assert (plan.phase, ready(plan)[1]) == (ActionPhase.FAILED, Reason.STILL_SUSPENDED)

    def test_it_ends_an_order_about_an_agent_that_is_gone(self) -> None:
        old = order("Suspend", "old")
        assert decide(order("Resume", after=5), [], (old,), BEGIN).ends == (old,)
        assert ready(decide(order("Resume", after=5), [], (), BEGIN))[1] is Reason.NO_AGENT

    def test_it_waits_for_agents_to_be_back_but_not_for_those_that_their_spec_suspends(self) -> None:
        resume = order("Resume", selector=some(x="y"))
        by_spec = AgentFacts("router", stopped=True, suspended=True, by_spec=True)
        waiting = decide(resume, [AgentFacts("triage", True, True, False), by_spec], (), BEGIN)
        assert (waiting.phase, ready(waiting)[1], waiting.done) == (
            ActionPhase.PENDING,
            Reason.WAITING_FOR_AGENTS,
            1,
        )
        done = decide(resume, [self.AT_WORK, by_spec], (), BEGIN)
        assert (done.phase, ready(done)[:2]) == (ActionPhase.COMPLETE, (True, Reason.CARRIED_OUT))
        assert "spec.suspended is true for router" in ready(done)[2]

    def test_it_does_not_wait_for_agents_that_a_policy_suspends(self) -> None:
        """An order does not outrank a policy, and it is carried out: no order suspends them any more."""
        agents = [AgentFacts("a", stopped=True, suspended=True, by_spec=False, by_policy=True)]
        plan = decide(order("Resume"), agents, (), BEGIN)
        assert (plan.phase, ready(plan)[:2]) == (ActionPhase.COMPLETE, (True, Reason.CARRIED_OUT))
        assert "a policy suspends a for the age of training" in ready(plan)[2]

    @pytest.mark.parametrize(("given_", "deadline"), [({}, DEADLINE), ({"activeDeadlineSeconds": 60}, 60)])
    def test_it_expires(self, given_: dict[str, int], deadline: int) -> None:
        resume = order("Resume", **given_)
        agents = [AgentFacts("triage", stopped=True, suspended=True, by_spec=False)]
        before = decide(resume, agents, (), BEGIN + (deadline - 1) * SECOND)
        assert (before.phase, before.requeue_after) == (ActionPhase.PENDING, 1.0)
        over = decide(resume, agents, (order("Suspend", "old", after=-9),), BEGIN + deadline * SECOND)
        assert (over.phase, over.ends, ready(over)[1]) == (ActionPhase.EXPIRED, (), Reason.EXPIRED)

    @pytest.mark.parametrize(("given_", "kept"), [({}, KEPT), ({"ttlSecondsAfterFinished": 0}, 0)])
    @pytest.mark.parametrize("phase", [ActionPhase.COMPLETE, ActionPhase.FAILED, ActionPhase.EXPIRED])
    def test_it_is_removed_when_it_was_kept_long_enough(
        self, given_: dict[str, int], kept: int, phase: ActionPhase
    ) -> None:
        resume = order("Resume", phase=phase, finished=100, **given_)
        standing = (order("Suspend", "old", after=-9),)
        early = decide(resume, [self.AT_WORK], standing, BEGIN + (99 + kept) * SECOND)
        assert (early.phase, early.remove, early.ends, early.requeue_after) == (phase, False, (), 1.0)
        assert decide(resume, [self.AT_WORK], standing, BEGIN + (100 + kept) * SECOND).remove


class TestRollback:
    """The order and its agent say each in a status of its own that it is suspended, and the agent may say it later."""

    KNOWN = tuple(
        Child(
            ObjectKey(ChildKind.AGENT_REVISION, "support", f"triage-{number}"),
            f"uid-{number}",
            "1",
            "agent",
            "",
            revision=RevisionFacts(number, f"work-{number}", "book", "sha256:book", state, number),
        )
        for number, state in ((1, RevisionState.SUPERSEDED), (2, RevisionState.STABLE))
    )

    def facts(self, **fields: Any) -> AgentFacts:
        return AgentFacts(
            "triage", **{"stopped": True, "suspended": False, "by_spec": False, "revisions": self.KNOWN, **fields}
        )

    @pytest.mark.parametrize(
        "why",
        [{"suspended": True}, {"by_spec": True}, {"by_orders": (order("Suspend", "stop"),)}, {"by_policy": True}],
        ids=["it says so", "its spec", "an order", "a policy"],
    )
    def test_it_waits_for_an_agent_that_is_suspended(self, why: dict[str, Any]) -> None:
        plan = decide(order("Rollback", revision=1), [self.facts(**why)], (), BEGIN)
        assert ready(plan)[1] is Reason.ROLLING_BACK
        assert ready(plan)[2].startswith("AIAgent triage is suspended: waiting for it to be resumed")

    def test_it_waits_for_the_pods_of_one_that_is_not(self) -> None:
        plan = decide(order("Rollback", revision=1), [self.facts(stopped=False)], (), BEGIN)
        assert ready(plan)[2] == "Waiting for the pods of revision 1 of AIAgent triage to be ready"


class TestSteering:
    """Promote and Abort: the agent's own pass acts, and the order says what became of it."""

    OTHER = RolloutOrderStatus(uid="other", done=True, message="the pause of step 1 is over")

    @pytest.mark.parametrize("action", ["Promote", "Abort"])
    def test_it_waits_for_the_agent_to_be_looked_at(self, action: str) -> None:
        plan = decide(order(action), [self._agent(self.OTHER)], (), BEGIN)
        assert (plan.phase, ready(plan)[1]) == (ActionPhase.PENDING, Reason.WAITING_FOR_AGENTS)

    @pytest.mark.parametrize(("done", "phase", "reason"), [
        (True, ActionPhase.COMPLETE, Reason.CARRIED_OUT),
        (False, ActionPhase.FAILED, Reason.NO_ROLLOUT),
    ])  # fmt: skip
    def test_it_says_what_was_done(self, done: bool, phase: ActionPhase, reason: Reason) -> None:
        given = order("Promote")
        outcome = RolloutOrderStatus(uid=given.uid, done=done, message="there is no pause to release")
        plan = decide(given, [self._agent(self.OTHER, outcome)], (), BEGIN)
        assert (plan.phase, *ready(plan)[1:]) == (phase, reason, "There is no pause to release")

    def test_nobody_has_no_rollout(self) -> None:
        plan = decide(order("Abort"), [], (), BEGIN)
        assert (plan.phase, ready(plan)[1]) == (ActionPhase.FAILED, Reason.NO_AGENT)

    def _agent(self, *outcomes: RolloutOrderStatus) -> AgentFacts:
        return AgentFacts("triage", False, False, False, carried={each.uid: each for each in outcomes})


ABOUT = {"agentRef": {"name": "triage"}, "requestedBy": "ann@corp.example", "reason": "A test"}


def as_read(spec: dict[str, Any], *, version: int = 7, uid: str = "u1", name: str = "one") -> dict[str, Any]:
    metadata = {"namespace": "support", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "creationTimestamp": "2026-03-01T12:00:00Z"}, "spec": spec}


def book(spec: dict[str, Any]) -> OrderBook:
    found = OrderBook(lambda _: None, lambda _: None)
    found.observe(as_read(spec))
    return found


def test_an_answer_does_not_bring_back_an_order_that_went_or_one_of_before() -> None:
    """A Suspend that somebody has deleted would be in force for ever."""
    suspend = {**ABOUT, "action": "Suspend"}
    orders = book(suspend)
    orders.observe(as_read(suspend, version=8), answer=True)
    assert [order.version for order in orders.over("support", "triage", {})] == [8]
    orders.forget("support", "one", "u1")
    orders.observe(as_read(suspend, version=9), answer=True)
    assert orders.over("support", "triage", {}) == ()
    orders.observe(as_read(suspend, version=12, uid="u2"))
    orders.observe(as_read(suspend, version=11), answer=True)
    assert [order.uid for order in orders.over("support", "triage", {})] == ["u2"]


@pytest.mark.parametrize(
    ("how", "mode", "why", "notice"),
    [
        ({"reason": "Promoted"}, "Planned", "Business", None),
        ({"reason": "Incident", "mode": "Gentle"}, "Emergency", "Incident", None),
        ({"reason": "Incident", "noticePeriod": ["1h"]}, "Planned", "Incident", None),
        ({"reason": None, "noticePeriod": "1h"}, "Planned", "Business", "1h"),
        ("soon", "Emergency", "Business", None),
    ],
)
def test_an_offboard_of_a_newer_version_stays_in_force(how: Any, mode: str, why: str, notice: str | None) -> None:
    found = book({**ABOUT, "action": "Offboard", "offboarding": how})
    (given,) = found.offboards("support", "triage", {})
    assert given.spec.offboarding is not None
    assert (given.spec.offboarding.mode, given.spec.offboarding.reason) == (mode, why)
    assert given.spec.offboarding.notice_period == notice
    assert given.partial, "no record is made of what it does not say"
    (record,) = found.records.values()
    assert "this version of the operator cannot read spec.offboarding" in record.problem


def test_no_change_of_labels_takes_an_agent_out_of_an_offboard_that_has_begun() -> None:
    about = {"selector": some(team="desk"), "requestedBy": "ann@corp.example", "reason": "A test"}
    found = book({**about, "action": "Offboard", "offboarding": {"reason": "Business"}})
    assert found.offboards("support", "triage", {"team": "desk"})
    assert not found.offboards("support", "triage", {"team": "other"})
    assert found.offboards("support", "triage", {"team": "other"}, "u1")
    assert not found.offboards("support", "triage", {"team": "other"}, "u2")
    status = {"offboarding": {"order": {"name": "one", "uid": "u1"}}}
    body = agents.agent("support", "triage", "support")
    body["metadata"] |= {"uid": "a", "resourceVersion": "1"}
    assert agentrecord.read({**body, "status": status}).leaves_by == "u1"


def test_so_do_a_suspend_and_a_hold_and_what_acts_once_does_nothing() -> None:
    assert book({**ABOUT, "action": "Suspend", "activeDeadlineSeconds": "soon"}).over("support", "triage", {})
    (held,) = book({**ABOUT, "action": "Hold", "ground": "Archaeology"}).holds("support", "triage", "")
    assert held.spec.ground is not None
    for spec in (
        {**ABOUT, "action": "Offboard", "offboarding": {"reason": "Promoted", "dryRun": True}},
        {**ABOUT, "action": "Erase", "archiveRef": 4},
        {**ABOUT, "action": "Promote", "full": "much"},
        {**ABOUT, "action": "Hire"},
        {**ABOUT, "action": "Suspend", "agentRef": {"name": 4}},
        {},
    ):
        (record,) = book(spec).records.values()
        assert record.order is None
        assert record.problem
