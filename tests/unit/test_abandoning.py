"""When an agent may be released without an archive, what is given up then, and what becomes of the order."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentaction import DEADLINE, ActionPhase, AgentActionSpec
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import abandoning, leaving, offboarding
from aiagent_operator.core.abandoning import DEFAULT, Facts
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.orders import Order, OrderPlan, decide
from aiagent_operator.core.plan import Observed, Proof, Room
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import NOTHING, Merged, merge
from support.agents import permission
from support.decisions import HOME, observed

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
WEEK = 168 * 3600


def order(action: str = "Abandon", name: str = "give-up", *, at: float, phase: Any = None, **about: Any) -> Order:
    ground = {"ground": "LegalClaims"} if action == "Hold" else {}
    spec = {
        "action": action, "agentRef": {"name": "triage", **about}, "requestedBy": "ann@corp.example",
        "reason": "The store is lost", **ground,
    }  # fmt: skip
    created = BEGAN + at * SECOND
    return Order(HOME, name, f"uid-{name}", 1, created, AgentActionSpec.model_validate(spec), None, phase)


def asked(*terms: str) -> Merged:
    policies = [
        CompiledPolicy.of(f"p{number}", {"description": "-", "selector": {}, "archive": {"abandonAfter": term}})
        for number, term in enumerate(terms)
    ]
    return merge(policies, Subject("support", {}, {}))


def facts(**known: Any) -> Facts:
    return Facts(**{"name": "triage", "since": BEGAN, "policies": NOTHING, **known})


def became(plan: OrderPlan) -> tuple[ActionPhase, Reason, str]:
    return plan.phase, plan.verdicts[0].reason, plan.verdicts[0].message


# When ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "seconds"),
    [(NOTHING, DEFAULT.total_seconds()), (asked("1h"), 3600), (asked("1h", "168h", "2h"), WEEK)],
)
def test_it_may_be_abandoned_so_long_after_the_end_of_its_rights(policies: Merged, seconds: float) -> None:
    agent = facts(policies=policies)
    phase, reason, text = became(abandoning.decide(order(at=seconds - 1), agent, ""))
    assert (phase, reason) == (ActionPhase.FAILED, Reason.TOO_EARLY)
    assert (BEGAN + seconds * SECOND).strftime("from %Y-%m-%dT%H:%M:%SZ on") in text
    assert became(abandoning.decide(order(at=seconds), agent, ""))[:2] == (ActionPhase.PENDING, Reason.ABANDONING)


def test_the_policy_that_asks_for_the_longest_is_named() -> None:
    text = became(abandoning.decide(order(at=0), facts(policies=asked("1h", "168h")), ""))[2]
    assert '168h of AgentPolicy "p1"' in text
    assert "p0" not in text


@given(st.lists(st.integers(1, 8760), max_size=4), st.integers(1, 8760))
def test_one_policy_more_never_lets_it_go_earlier(hours: list[int], more: int) -> None:
    def begins(*terms: int) -> float:
        found = asked(*(f"{each}h" for each in terms)).abandon_after
        return found.value.total_seconds() if found else 0.0

    assert begins(*hours, more) >= begins(*hours)


def test_a_policy_that_cannot_be_read_keeps_it() -> None:
    broken = asked("soon")
    assert broken.broken
    phase, reason, text = became(abandoning.decide(order(at=10 * WEEK), facts(policies=broken), ""))
    assert (phase, reason) == (ActionPhase.FAILED, Reason.POLICY_UNREADABLE)
    assert 'AgentPolicy "p0" cannot be read' in text


def test_a_legal_hold_keeps_it() -> None:
    hold = order("Hold", "case", at=0)
    phase, reason, text = became(abandoning.decide(order(at=WEEK), facts(holds=(hold,)), ""))
    assert (phase, reason) == (ActionPhase.FAILED, Reason.STILL_HELD)
    assert f"AgentAction {HOME}/case" in text


def test_who_does_not_leave_is_not_abandoned() -> None:
    assert became(abandoning.decide(order(at=WEEK), facts(since=None), ""))[1] is Reason.NOT_LEAVING
    assert became(abandoning.decide(order(at=WEEK), None, ""))[1] is Reason.NO_AGENT


def test_since_when_its_rights_have_ended() -> None:
    leaves = Order(
        HOME, "bye", "u", 1, BEGAN, AgentActionSpec.model_validate(
            {"action": "Offboard", "agentRef": {"name": "triage"}, "requestedBy": "a", "reason": "b",
             "offboarding": {"reason": "Business", "noticePeriod": "10s"}})
    )  # fmt: skip
    now = BEGAN + 60 * SECOND
    assert abandoning.since({}, None, (), now) is None
    assert abandoning.since({}, None, (leaves,), BEGAN) is None, "its notice is not over"
    assert abandoning.since({}, None, (leaves,), now) == BEGAN + 10 * SECOND
    assert abandoning.since({}, "2026-01-01T00:00:05Z", (leaves,), now) == BEGAN + 5 * SECOND
    said = {"offboarding": {"rightsEnd": "2026-01-01T00:00:30Z"}}
    assert abandoning.since(said, "2026-01-01T00:00:05Z", (), now) == BEGAN + 30 * SECOND


# What becomes of the order -------------------------------------------------------------------------------------------


def test_it_is_carried_out_once_that_is_on_record() -> None:
    given = order(at=WEEK)
    mine = {"name": "a", "abandoned": {"uid": given.uid}}
    begun = abandoning.decide(given, facts(said=mine), "")
    assert (begun.phase, begun.begun) == (ActionPhase.PENDING, True)
    assert not abandoning.decide(given, facts(said=mine), "a").verdicts[0].status, "the agent does not know it yet"
    for agent in (facts(said={**mine, "completed": "now"}), None, facts(since=None, said=None)):
        assert became(abandoning.decide(given, agent, "a"))[:2] == (ActionPhase.COMPLETE, Reason.CARRIED_OUT)
    other = facts(said={"name": "a", "abandoned": {"uid": "another"}})
    assert became(abandoning.decide(given, other, ""))[1] is Reason.OVERTAKEN


def test_what_is_archived_is_not_abandoned() -> None:
    phase, reason, text = became(abandoning.decide(order(at=WEEK), facts(said={"name": "a", "completed": "now"}), ""))
    assert (phase, reason) == (ActionPhase.FAILED, Reason.ARCHIVED)
    assert "AgentArchive a" in text


def test_what_has_begun_does_not_expire() -> None:
    given, late = order(at=0, phase=ActionPhase.PENDING), BEGAN + (DEADLINE + 1) * SECOND
    begun = OrderPlan(ActionPhase.PENDING, begun=True)
    assert decide(given, (), (), late, held=begun) == begun
    assert decide(given, (), (), late, held=OrderPlan(ActionPhase.PENDING)).phase is ActionPhase.EXPIRED


def test_an_order_from_elsewhere_is_about_nobody_in_its_own_namespace() -> None:
    there = order(at=0, namespace="doomed")
    assert there.home == "doomed"
    assert not there.covers("triage", {})
    assert order(at=0).home == HOME
    assert order(at=0).covers("triage", {})


# The agent -----------------------------------------------------------------------------------------------------------

ACCEPTED = order(at=WEEK, phase=ActionPhase.PENDING)


def left(at: float = WEEK + 10, **status: Any) -> Observed:
    """An agent that is deleted, of which nothing is left, and whose memory and logs are not captured."""
    moment = BEGAN + at * SECOND
    said = {"offboarding": {"rightsEnd": "2026-01-01T00:00:00Z"}, **status}
    remembers = {"retirement": {"memory": {"claimName": "notes"}}}
    o = observed(
        permission("refund"), spec=remembers, status=said, deleting=True, journal=Room(True), moment=moment,
        time=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip
    return replace(o, abandon=ACCEPTED)


def test_an_order_that_was_accepted_lets_it_go_as_long_as_it_has_not_expired() -> None:
    assert abandoning.granted(left())
    assert not abandoning.granted(left(at=WEEK + DEADLINE))
    assert not abandoning.granted(replace(left(), abandon=None))
    assert not abandoning.granted(replace(left(), policies=asked("336h"))), "a rule that has changed since"
    # What is on record is not taken back.
    said = {"archive": {"name": "a", "abandoned": {"uid": "u"}}}
    assert abandoning.granted(replace(left(**said), abandon=None))
    assert leaving.irrevocable(said)


def test_its_memory_is_given_up_and_its_rights_are_proved_gone_all_the_same() -> None:
    o = left()
    waits = offboarding.decide(replace(o, abandon=None))
    assert waits.needs_intake, "its memory would be captured first"
    plan = offboarding.decide(o)
    o = replace(o, live=dict.fromkeys(plan.needs))
    assert ("memory.tar", "Abandoned") in {(gap.path, gap.reason.value) for gap in offboarding.given_up(o)}
    assert not offboarding.given_up(replace(o, abandon=None))
    asking = offboarding.decide(o)
    assert asking.needs_proof
    assert not asking.archive
    assert not offboarding.decide(replace(o, proof=Proof(("create refunds",)))).archive
    released = offboarding.decide(replace(o, proof=Proof()))
    assert released.archive
    assert not released.first, "what has no room in the journal must not hold it up"


def test_its_bindings_go_before_all_else() -> None:
    o = left()
    key = next(key for key in offboarding.decide(o).needs if key.kind is ChildKind.ROLE_BINDING)
    bound = {"metadata": {"uid": "b", "name": key.name}, "subjects": [
        {"kind": "ServiceAccount", "name": "aiagent.triage", "namespace": HOME}]}  # fmt: skip
    plan = offboarding.decide(replace(o, live={**dict.fromkeys(offboarding.decide(o).needs), key: bound}))
    assert [write.key for write in plan.writes] == [key]
    assert not plan.archive


def test_what_is_lost_is_named() -> None:
    note = abandoning.note(ACCEPTED, BEGAN, "the store\nis away")
    raw = {
        "spec": {"retirement": {"memory": {}}},
        "status": {"archive": {
            "abandoned": note,
            "notCaptured": [{"path": "logs", "reason": "DeadlineExceeded", "message": "too slow"}],
        }},
    }  # fmt: skip
    found = {gap.path: (gap.reason.value, gap.message) for gap in abandoning.gaps(raw, terminating=False)}
    assert found["spec.json"] == ("Abandoned", "the store is away")
    assert found["logs"] == ("DeadlineExceeded", "too slow")
    assert found["memory.tar"][0] == "Abandoned"
    assert not {path for path in found if path.startswith("decisions")}
    for log, path in (({"store": "local"}, "decisions"), ({"volume": {}}, "decisions.tar")):
        raw["spec"] = {"retirement": {"decisionLog": log}}
        lost = {gap.path for gap in abandoning.gaps(raw, terminating=False)}
        assert {each for each in lost if each.startswith("decisions")} == {path}
    raw["spec"] = {}
    assert "memory.tar" not in {gap.path for gap in abandoning.gaps(raw, terminating=False)}
