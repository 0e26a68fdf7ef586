"""A rollout that something else keeps from going on: the step under way ends, and no other begins."""

from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import OrderKind
from support.rollouts import BLUE_GREEN, SECOND, STEPS, World, running, spec


def world(**fields: Any) -> World:
    return World(spec(**fields), 10, running(4, 10))


def held(one: World) -> Decision:
    return decide(replace(one.facts(), held="something was found"))


def settled(one: World, rounds: int = 30) -> Decision:
    """What is decided when everything that is asked for has come about."""
    for _ in range(rounds):
        decision = held(one)
        one.write(decision)
        for each in (one.stable, one.candidate):
            each.control()
            each.become_ready()
    return held(one)


def test_a_canary_stands_at_its_first_weight() -> None:
    one = world(steps=STEPS)
    decision = settled(one)
    assert (one.stable.wanted, one.candidate.wanted) == (8, 2)
    assert (decision.wait.what, decision.transition) == (WaitsFor.PERSON, Transition.NONE)
    assert decision.wait.text == "triage-5 stands after step 0: something was found"
    one.now += 86_400 * SECOND
    assert settled(one).status.step == 0


def test_a_pause_that_is_over_does_not_let_it_go_on() -> None:
    one = world(steps=[{"weight": 20}, {"pause": {"duration": "10m"}}, {"weight": 50}])
    for _ in range(30):
        one.write(one.decide())
        for each in (one.stable, one.candidate):
            each.control()
            each.become_ready()
    assert one.status.step == 1
    decision = held(one)
    assert decision.requeue_after == 600
    one.now += 601 * SECOND
    assert settled(one).status.step == 1
    assert (one.stable.wanted, one.candidate.wanted) == (8, 2)
    assert one.decide().status.step > 1, "nothing holds it any more"


def test_blue_green_is_not_switched() -> None:
    one = world(strategy="BlueGreen", blueGreen=BLUE_GREEN)
    decision = settled(one)
    assert decision.transition is Transition.NONE
    assert dict(one.traffic.selectors if one.traffic else ())["triage"] == 4
    assert (one.stable.wanted, one.candidate.wanted) == (10, 10)


@pytest.mark.parametrize("fields", [{"strategy": "Recreate"}, {"steps": []}])
def test_what_has_no_further_step_goes_on_to_its_end(fields: dict[str, Any]) -> None:
    assert settled(world(**fields)).transition is Transition.PROMOTE


def test_it_can_be_aborted() -> None:
    one = world(steps=STEPS)
    settled(one)
    one.order(OrderKind.ABORT)
    assert settled(one).transition is Transition.ROLL_BACK


def test_promote_does_not_let_it_go_on_and_says_what_holds_it() -> None:
    one = world(steps=[{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {}}])
    for _ in range(30):
        one.write(one.decide())
        for each in (one.stable, one.candidate):
            each.control()
            each.become_ready()
    assert one.status.step == 1
    one.order(OrderKind.PROMOTE)
    decision = held(one)
    assert (decision.status.step, [carried.done for carried in decision.status.orders]) == (1, [False])
    assert "something was found" in decision.status.orders[0].text
    assert "with full" in decision.status.orders[0].text
    assert settled(one).status.step == 1
    assert one.decide().status.step == 1, "an order is carried out when it is given, or not at all"


def test_promote_with_full_passes_over_what_holds_it() -> None:
    one = world(steps=STEPS)
    settled(one)
    one.order(OrderKind.PROMOTE_FULL)
    assert settled(one).transition is Transition.PROMOTE
