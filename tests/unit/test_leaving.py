"""When an agent leaves, how, and until when it keeps its rights; and what becomes of orders about that."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentaction import ActionPhase, AgentActionSpec
from aiagent_operator.api.archive import LeaveReason, Mode
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.retirement import DRAIN
from aiagent_operator.core import leaving, offboarding, onboarding
from aiagent_operator.core.archive.steps import STEPS, Step
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey
from aiagent_operator.core.orders import AgentFacts, Order, OrderPlan, decide
from aiagent_operator.core.plan import Observed, Proof, Room
from aiagent_operator.core.rights.grants import NamespaceFacts
from support.agents import permission
from support.decisions import HOME, NAMESPACES, after, kinds, observed, said

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def order(name: str = "bye", *, action: str = "Offboard", at: float = 0, about: str = "triage", **how: Any) -> Order:
    said = {"offboarding": {"reason": "Replaced", **how}} if action == "Offboard" else {}
    spec = {
        "action": action, "agentRef": {"name": about}, "requestedBy": "ann@corp.example", "reason": "A test", **said
    }  # fmt: skip
    return Order(HOME, name, f"uid-{name}", 1, BEGAN + at * SECOND, AgentActionSpec.model_validate(spec))


def agent(*orders: Order, at: float = 0, drain: str | None = None, **facts: Any) -> Observed:
    spec = {"retirement": {"drainTimeout": drain}} if drain else {}
    moment = BEGAN + at * SECOND
    return observed(
        permission("refund"),
        spec=spec,
        offboards=orders,
        moment=moment,
        time=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **facts,
    )


def look(o: Observed) -> leaving.Leave:
    found = leaving.look(o)
    assert found is not None
    return found


def test_who_is_neither_deleted_nor_ordered_to_go_stays() -> None:
    assert leaving.look(agent()) is None
    assert leaving.look(agent(order(noticePeriod="1h"), at=3599)) is None
    assert leaving.look(agent(order(noticePeriod="1h"), at=3600)) is not None


def test_a_clock_that_is_behind_gives_nobody_rights_for_longer() -> None:
    hurry = order(mode="Emergency")
    found = look(agent(hurry, at=-3600))
    assert (found.mode, found.rights_end) == (Mode.EMERGENCY, BEGAN)
    assert leaving.notice((hurry,), BEGAN - 3600 * SECOND) is None
    assert decide(hurry, [AgentFacts("triage", False, False, False)], [], BEGAN - 3600 * SECOND).phase == "InForce"
    # One whose notice is over stays in force when the clock is set back: what is taken is not given again.
    given = order(noticePeriod="1h")
    assert leaving.look(agent(given, at=60)) is None
    begun = replace(given, phase=ActionPhase.IN_FORCE)
    assert look(agent(begun, at=60)).order == begun
    assert leaving.notice((begun,), BEGAN + 60 * SECOND) is None
    assert decide(begun, [AgentFacts("triage", False, False, False)], [], BEGAN).phase == "InForce"


@pytest.mark.parametrize(
    ("how", "drain", "mode", "lasts"),
    [
        ({}, None, Mode.PLANNED, DRAIN),
        ({}, "30s", Mode.PLANNED, 30 * SECOND),
        ({}, "0s", Mode.EMERGENCY, 0 * SECOND),
        ({"mode": "Emergency"}, "1h", Mode.EMERGENCY, 0 * SECOND),
    ],
)
def test_how_long_an_order_leaves_it_its_rights(how: Any, drain: str | None, mode: Mode, lasts: dt.timedelta) -> None:
    found = look(agent(order(**how), drain=drain))
    assert (found.reason, found.mode) == (LeaveReason.REPLACED, mode)
    assert found.rights_end - found.began == lasts


def test_an_edit_of_the_spec_gives_one_that_drains_its_rights_for_no_longer() -> None:
    first = order()
    begun = leaving.fields(agent(first, drain="30s"), look(agent(first, drain="30s")), {})
    assert look(agent(first, drain="168h", status={"offboarding": begun})).rights_end == BEGAN + 30 * SECOND
    assert look(agent(first, drain="5s", status={"offboarding": begun})).rights_end == BEGAN + 5 * SECOND
    # Another order, or a deletion, is another end.
    later = order("later", at=60)
    assert look(agent(later, at=60, drain="60s", status={"offboarding": begun})).rights_end == BEGAN + 120 * SECOND
    deleted = agent(deleting=True, drain="30s")
    begun = leaving.fields(deleted, look(deleted), {})
    longer = agent(deleting=True, drain="168h", status={"offboarding": begun})
    assert look(longer).rights_end == BEGAN + 30 * SECOND


def test_a_deletion_drains_only_where_the_spec_says_so() -> None:
    assert look(agent(deleting=True)).mode is Mode.EMERGENCY
    found = look(agent(deleting=True, drain="1m"))
    assert (found.mode, found.reason, found.deleted) == (Mode.PLANNED, LeaveReason.BUSINESS, True)
    assert found.rights_end == BEGAN + 60 * SECOND


def test_in_a_namespace_that_goes_nothing_drains() -> None:
    going = {**NAMESPACES, HOME: NamespaceFacts({}, terminating=True)}
    found = look(agent(order(), namespaces=going))
    assert (found.mode, found.rights_end) == (Mode.EMERGENCY, found.began)


ORDERS = st.lists(
    st.builds(
        lambda number, at, hurry, notice: order(
            f"o{number}",
            at=at,
            mode="Emergency" if hurry else "Planned",
            **({"noticePeriod": f"{notice}s"} if notice else {}),
        ),
        st.integers(0, 9),
        st.integers(0, 100),
        st.booleans(),
        st.integers(0, 100),
    ),
    max_size=4,
)


@given(ORDERS, st.integers(0, 400), st.booleans())
def test_no_order_more_gives_it_its_rights_for_longer(orders: list[Order], at: int, deleted: bool) -> None:
    whole = leaving.look(agent(*orders, at=at, drain="50s", deleting=deleted))
    for left_out in range(len(orders)):
        fewer = leaving.look(agent(*orders[:left_out], *orders[left_out + 1 :], at=at, drain="50s", deleting=deleted))
        assert fewer is None or (whole is not None and whole.rights_end <= fewer.rights_end)
        assert fewer is None or (whole is not None and whole.began <= fewer.began)


def test_what_is_archived_as_ended_does_not_come_back() -> None:
    known = {"reason": "Incident", "mode": "Planned", "startTime": "then", "rightsEnd": "later", "steps": []}
    for status in (
        {"journal": {"closed": True}},
        {"archive": {"name": "a", "manifests": ["sha256:1"]}},
        {"archive": {"name": "a", "capturing": "then"}},
        {"offboarding": {"completionTime": "then"}},
    ):
        found = look(agent(status={"offboarding": known} | status))
        assert found.order is None
        assert not found.deleted
    assert leaving.look(agent(status={"offboarding": known, "archive": {"captured": ["Handbook", "Logs"]}})) is None


def course(o: Observed, children: dict[ObjectKey, Child]) -> tuple[list[list[tuple[str, str, str]]], Observed]:
    """The writes of an end, round by round, as long as anything is written; and what is there then."""
    seen = []
    while True:
        o = replace(o, children=children, running=None)
        plan = offboarding.decide(o)
        if plan.needs_running:
            plan = offboarding.decide(o := replace(o, running=()))
        if not plan.writes:
            return seen, o
        seen.append(kinds(plan))
        children = after(children, plan)


def employed() -> dict[ObjectKey, Child]:
    children: dict[ObjectKey, Child] = {}
    for _ in range(6):
        children = after(children, onboarding.decide(observed(permission("refund"), children=children.values())))
    return children


def test_by_plan_the_work_ends_first_and_at_once_the_rights_do() -> None:
    planned, _ = course(agent(order(), at=1), employed())
    assert [[kind for _, kind, _ in step] for step in planned[:2]] == [["Deployment"], ["RoleBinding"]]
    hurried, _ = course(agent(order(mode="Emergency"), at=1), employed())
    assert [[kind for _, kind, _ in step] for step in hurried[:2]] == [["RoleBinding"], ["Deployment", "Role"]]
    assert set(chain(*planned)) == set(chain(*hurried))


def test_it_drains_while_a_pod_runs_and_until_its_time_is_up() -> None:
    children = {key: child for key, child in employed().items() if key.kind is not ChildKind.DEPLOYMENT}
    o = agent(order(), at=1, children=children.values())
    assert offboarding.decide(o).needs_running
    plan = offboarding.decide(replace(o, running=("triage-1-abc",)))
    assert plan.writes == ()
    assert "with its rights: waiting for pod triage-1-abc to end" in said(plan, "Ready")[2]
    assert 0 < (plan.requeue_after or 0) <= DRAIN.total_seconds()
    late = offboarding.decide(replace(o, running=("triage-1-abc",), moment=BEGAN + DRAIN))
    assert kinds(late) == [("delete", "RoleBinding", HOME)]


def test_what_its_pods_have_logged_is_read_before_they_are_told_to_end() -> None:
    o = agent(order(), at=1, children=employed().values(), journal=Room(True))
    plan = offboarding.decide(o)
    assert (plan.capture, plan.writes) == (frozenset({Capture.LOGS}), ())
    assert "with its rights: reading what its pods have logged" in said(plan, "Ready")[2]
    # That keeps no right beyond its time.
    assert plan.requeue_after == DRAIN.total_seconds() - 1
    late = offboarding.decide(replace(o, moment=BEGAN + DRAIN))
    assert kinds(late) == [("delete", "RoleBinding", HOME)]


@pytest.mark.parametrize("mode", Mode)
def test_the_steps_that_are_told_are_those_of_the_mode(mode: Mode) -> None:
    read = {"archive": {"name": "a", "captured": ["Handbook", "Logs"]}}
    _, o = course(agent(order(mode=mode.value), at=1, journal=Room(True), status=read), employed())
    o = replace(o, live=dict.fromkeys(offboarding.decide(o).needs), proof=Proof())
    last = offboarding.decide(o)
    assert last.archive
    told = [step["name"] for step in last.first["offboarding"]["steps"]]
    status = {**last.first, "archive": {"name": "a", "completed": "now"}}
    _, o = course(agent(order(mode=mode.value), at=2, journal=Room(True), status=status), dict(o.children))
    end = offboarding.decide(replace(o, live=dict.fromkeys(offboarding.decide(o).needs)))
    assert end.status["phase"] == "Retired"
    steps = [step["name"] for step in end.status["offboarding"]["steps"]]
    # Nobody is named to whom it would hand over.
    assert steps == [step.value for step in STEPS[mode] if step is not Step.HANDOVER]
    assert [*told, Step.ARCHIVE.value] == steps
    assert end.status["offboarding"]["steps"][:-1] == last.first["offboarding"]["steps"], "times stay"


def test_who_is_not_hired_gets_nothing_and_who_has_something_loses_it() -> None:
    plan = offboarding.decide(agent(order(), at=1))
    assert (plan.outside, plan.writes, said(plan, "Ready")[1]) == (True, (), "Retired")
    unheld = offboarding.decide(agent(order(), at=1, finalizers=(), children=employed().values()))
    assert (unheld.outside, unheld.finalizer.value) == (False, "add")


# Orders ---------------------------------------------------------------------------------------------------------------


def facts(*, out: bool = False, retired: bool = False, by: tuple[Order, ...] = ()) -> AgentFacts:
    return AgentFacts("triage", stopped=out, suspended=False, by_spec=False, by_orders=by, out=out, retired=retired)


def told(plan: OrderPlan) -> tuple[ActionPhase, Reason]:
    return plan.phase, plan.verdicts[0].reason


def test_an_offboard_waits_out_its_notice_and_then_stands() -> None:
    given_notice = order(noticePeriod="1h")
    plan = decide(given_notice, [facts()], [], BEGAN + 60 * SECOND)
    assert (told(plan), plan.requeue_after) == ((ActionPhase.PENDING, Reason.NOTICE), 3540)
    later = BEGAN + 365 * 86400 * SECOND
    assert told(decide(given_notice, [facts()], [], later)) == (ActionPhase.IN_FORCE, Reason.WAITING_FOR_AGENTS)
    assert told(decide(given_notice, [facts(out=True)], [], later)) == (ActionPhase.IN_FORCE, Reason.IN_FORCE)
    assert told(decide(given_notice, [], [], later)) == (ActionPhase.IN_FORCE, Reason.NO_AGENT)


def test_a_dry_run_stands_for_nothing() -> None:
    dry = order(dryRun=True)
    assert not dry.stands
    plan = decide(dry, [facts()], [], BEGAN)
    assert (told(plan), plan.previews) == ((ActionPhase.COMPLETE, Reason.PREVIEWED), "triage")
    assert told(decide(dry, [facts(out=True, retired=True)], [], BEGAN)) == (ActionPhase.FAILED, Reason.RETIRED)
    assert told(decide(dry, [], [], BEGAN)) == (ActionPhase.FAILED, Reason.NO_AGENT)


def test_a_rehire_ends_offboards_and_no_suspends() -> None:
    bye, stop = order(), order("stop", action="Suspend")
    back = order("back", action="Rehire", at=5)
    plan = decide(back, [facts(out=True, by=(bye,))], [bye, stop], BEGAN + 6 * SECOND)
    assert (told(plan), plan.ends) == ((ActionPhase.PENDING, Reason.REHIRING), (bye,))
    resume = order("go-on", action="Resume", at=5)
    assert decide(resume, [facts()], [bye, stop], BEGAN + 6 * SECOND).ends == (stop,)


@pytest.mark.parametrize(
    ("about", "phase", "reason"),
    [
        ([], ActionPhase.PENDING, Reason.WAITING_FOR_AGENTS),
        ([facts(out=True, retired=True)], ActionPhase.PENDING, Reason.REHIRING),
        ([facts(out=True)], ActionPhase.PENDING, Reason.REHIRING),
        ([facts(out=True, by=(order("all"),))], ActionPhase.FAILED, Reason.STILL_OFFBOARDED),
        ([facts()], ActionPhase.COMPLETE, Reason.CARRIED_OUT),
    ],
)
def test_what_a_rehire_waits_for(about: list[AgentFacts], phase: ActionPhase, reason: Reason) -> None:
    back = order("back", action="Rehire", at=5)
    assert told(decide(back, about, [], BEGAN + 6 * SECOND)) == (phase, reason)
