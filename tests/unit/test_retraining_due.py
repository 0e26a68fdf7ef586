"""What to do about one agent's training now, from its cadence, its policies and its revisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.retraining import CadenceFields
from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence.due import Cadence, History
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.cadence.promise import Kept, Overdue, OverdueBeyondGrace
from aiagent_operator.core.policies.merged import Limit
from aiagent_operator.core.retraining import due as retraining_due
from aiagent_operator.core.retraining.due import (
    Cause,
    Facts,
    Hold,
    Idle,
    InTraining,
    Run,
    RunState,
    Start,
    Step,
    Wait,
    history,
    view,
)
from support.policies import NIGHTS, YEAR_END, merged, policy

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# A Monday.
PLANNED = datetime(2026, 7, 6, 2, tzinfo=UTC)
TRAINED = PLANNED - 7 * DAY + HOUR
AGENT = Facts(
    uid="6f1f2a52",
    created=datetime(2026, 1, 1, tzinfo=UTC),
    cadence=cadence_spec.cadence(schedule="0 2 * * 1"),
    runs=(Run(RunState.SUCCEEDED, TRAINED),),
)
SUSPENDING = policy("strict", maxAge="240h", overdue={"grace": "24h", "action": "Suspend"})
OVERDUE = TRAINED + 240 * HOUR


def step(agent: Facts, at: datetime = PLANNED) -> Step:
    """What to do."""
    return view(agent, at).step


def waits(agent: Facts, at: datetime = PLANNED) -> Wait:
    """What it waits for."""
    found = step(agent, at)
    assert isinstance(found, Wait), found
    return found


def test_it_starts_when_its_plan_says() -> None:
    before = view(AGENT, PLANNED - SECOND)
    assert before.step == Wait(Hold.NOT_DUE, "planned for 2026-07-06T02:00:00Z", PLANNED)
    assert (before.due, before.again) == (PLANNED, PLANNED)
    assert view(AGENT, PLANNED).step == Start(PLANNED)
    assert step(AGENT, PLANNED + 30 * DAY) == Start(PLANNED), "its place in the queue stays"


def test_while_it_trains_nothing_starts() -> None:
    running = Run(RunState.TRAINING, PLANNED + MINUTE)
    busy = replace(AGENT, runs=(*AGENT.runs, running), suspended="spec.suspended", paused=True)
    assert step(busy, PLANNED + DAY) == InTraining(PLANNED + MINUTE)


def test_a_result_that_is_not_promoted_yet_is_waited_for() -> None:
    candidate = replace(AGENT, runs=(*AGENT.runs, Run(RunState.IN_FLIGHT, PLANNED + HOUR)))
    assert waits(candidate, PLANNED + DAY).hold is Hold.IN_FLIGHT
    assert "due since 2026-07-06T02:00:00Z" in waits(candidate, PLANNED + DAY).reason
    assert waits(candidate, PLANNED - SECOND).hold is Hold.NOT_DUE


def test_after_its_success_it_is_planned_anew() -> None:
    done = replace(AGENT, runs=(*AGENT.runs, Run(RunState.SUCCEEDED, PLANNED + HOUR)))
    assert waits(done, PLANNED + DAY).until == PLANNED + 7 * DAY


def test_what_is_rolled_back_counts_as_failed_and_the_older_one_counts_again() -> None:
    back = replace(AGENT, runs=(*AGENT.runs, Run(RunState.FAILED, PLANNED + HOUR)))
    found = waits(back, PLANNED + HOUR)
    assert (found.hold, found.until) == (Hold.BACKING_OFF, PLANNED + HOUR + 10 * MINUTE)
    assert step(back, PLANNED + HOUR + 10 * MINUTE) == Start(PLANNED)


def test_a_window_that_shuts_while_it_waits_for_a_slot_is_looked_at() -> None:
    found = view(replace(AGENT, policies=merged(policy(windows=[NIGHTS]))), PLANNED)
    assert found.step == Start(PLANNED)
    assert found.again == PLANNED + 2 * HOUR


def test_windows_hold_it_and_are_named() -> None:
    held = waits(replace(AGENT, policies=merged(policy(windows=[NIGHTS]))), PLANNED + 3 * HOUR)
    assert (held.hold, held.until) == (Hold.WINDOW, PLANNED + 20 * HOUR)
    assert 'allow windows of AgentPolicy "corp": the next, "nights"' in held.reason
    never = replace(AGENT, policies=merged(policy(windows=[NIGHTS, {**NIGHTS, "name": "no", "kind": "Freeze"}])))
    found = view(never, PLANNED)
    assert isinstance(found.step, Wait)
    assert found.step.until is None
    assert found.again is not None, "it is looked at again, though no clock tells when"


@pytest.mark.parametrize("at", [PLANNED - DAY, PLANNED, PLANNED + 30 * DAY])
@pytest.mark.parametrize(
    ("change", "hold", "says"),
    [
        ({"suspended": "AgentAction stop"}, Hold.AGENT_SUSPENDED, "a suspended agent is not trained: AgentAction stop"),
        ({"paused": True}, Hold.PAUSED, "set it to false"),
        ({"problem": "spec.retraining.every is empty"}, Hold.INVALID, "spec.retraining.every is empty"),
        ({"policies": merged(policy(maxAge="90000h"))}, Hold.POLICY_UNREADABLE, 'AgentPolicy "corp" cannot be read'),
        (
            {"policies": merged(policy(maxAge="240h")), "cadence": None},
            Hold.NO_RETRAINING,
            '240h of AgentPolicy "corp" old, and the agent has no spec.retraining',
        ),
    ],
)
def test_what_holds_it_is_said_before_it_is_due(change: dict[str, object], hold: Hold, says: str, at: datetime) -> None:
    held = waits(replace(AGENT, **change), at)  # type: ignore[arg-type]
    assert held.hold is hold
    assert says in held.reason
    assert held.until is None


def test_without_plan_and_promise_it_is_trained_by_order_only() -> None:
    for cadence in (None, Cadence()):
        found = view(replace(AGENT, cadence=cadence), PLANNED)
        assert (found.step, found.due, found.again, found.announcement) == (Idle(), None, None, "")


def test_the_promise_of_a_policy_makes_it_due() -> None:
    lazy = replace(AGENT, cadence=Cadence(), policies=merged(policy(maxAge="100h")))
    assert waits(lazy, TRAINED + 99 * HOUR).until == TRAINED + 100 * HOUR
    assert step(lazy, TRAINED + 100 * HOUR) == Start(TRAINED + 100 * HOUR)


def test_overdue_is_announced_and_then_suspends() -> None:
    agent = replace(AGENT, paused=True, policies=merged(SUSPENDING))
    kept = view(agent, OVERDUE - SECOND)
    assert (kept.promise, kept.announcement, kept.suspend) == (Kept(OVERDUE), "", False)
    assert kept.again == OVERDUE
    overdue = view(agent, OVERDUE)
    assert overdue.promise == Overdue(OVERDUE, OVERDUE + DAY)
    assert overdue.announcement == (
        'overdue since 2026-07-09T03:00:00Z, when training was 240h of AgentPolicy "strict" old: '
        'AgentPolicy "strict" suspends the agent at 2026-07-10T03:00:00Z unless one succeeds'
    )
    assert (overdue.suspend, overdue.again) == (False, OVERDUE + DAY)
    assert not view(agent, OVERDUE + DAY - SECOND).suspend
    beyond = view(agent, OVERDUE + DAY)
    assert beyond.promise == OverdueBeyondGrace(OVERDUE, OVERDUE + DAY)
    assert beyond.suspend
    assert beyond.announcement.endswith(
        'beyond the grace of AgentPolicy "strict" since 2026-07-10T03:00:00Z: suspended by AgentPolicy "strict" since '
        "2026-07-10T03:00:00Z, until a training succeeds"
    )
    assert beyond.again is None


def test_where_it_is_announced_only_nothing_is_suspended() -> None:
    own = cadence_spec.cadence(max_age="240h", grace="24h")
    for agent in (
        replace(AGENT, policies=merged(policy(maxAge="240h", overdue={"grace": "24h"}))),
        replace(AGENT, cadence=own),
    ):
        found = view(agent, OVERDUE + 100 * DAY)
        assert not found.suspend
        assert "beyond the grace of" in found.announcement
        assert "see why training does not start" in found.announcement


def test_each_step_of_a_broken_promise_is_looked_at() -> None:
    """Also where one policy announces and another one suspends later."""
    first = policy("first", maxAge="240h", overdue={"grace": "24h"})
    later = policy("later", maxAge="240h", overdue={"grace": "72h", "action": "Suspend"})
    agent = replace(AGENT, paused=True, policies=merged(first, later))
    moments = [OVERDUE - HOUR, OVERDUE, OVERDUE + DAY, OVERDUE + 3 * DAY]
    assert [view(agent, moment).again for moment in moments] == [*moments[1:], None]
    assert [view(agent, moment).suspend for moment in moments] == [False, False, False, True]
    assert 'grace of AgentPolicy "first"' in view(agent, moments[2]).announcement
    assert 'AgentPolicy "later" suspends the agent at 2026-07-12T03:00:00Z' in view(agent, moments[2]).announcement
    announced = replace(agent, policies=merged(first))
    assert [view(announced, moment).again for moment in moments] == [OVERDUE, OVERDUE + DAY, None, None]


def test_the_windows_of_all_its_policies_hold_it() -> None:
    days = {"name": "days", "kind": "Freeze", "schedule": "0 1 * * *", "duration": "20h"}
    both = merged(policy("a", windows=[NIGHTS]), policy("b", windows=[days]))
    held = waits(replace(AGENT, policies=both))
    assert (held.hold, held.until) == (Hold.WINDOW, PLANNED + 20 * HOUR)
    assert 'freeze window "days" of AgentPolicy "b"' in held.reason
    assert step(replace(AGENT, policies=both), PLANNED + 20 * HOUR) == Start(PLANNED)


def test_an_agent_that_its_age_suspends_is_trained_and_comes_back() -> None:
    """Else it would never come back."""
    agent = replace(AGENT, policies=merged(SUSPENDING))
    late = OVERDUE + 2 * DAY
    assert view(agent, late).suspend
    assert isinstance(step(agent, late), Start)
    training = replace(agent, runs=(*agent.runs, Run(RunState.TRAINING, late)))
    assert view(training, late + HOUR).suspend, "a training that has not succeeded changes nothing"
    trained = replace(agent, runs=(*agent.runs, Run(RunState.SUCCEEDED, late + HOUR)))
    found = view(trained, late + HOUR)
    assert (found.suspend, found.announcement) == (False, "")


def test_an_owner_cannot_evade_the_promise_by_leaving_retraining_out() -> None:
    for change in ({"cadence": None}, {"paused": True}, {"problem": "unreadable"}, {"suspended": "spec.suspended"}):
        found = view(replace(AGENT, policies=merged(SUSPENDING), **change), OVERDUE + DAY)  # type: ignore[arg-type]
        assert found.suspend
        assert found.announcement


def test_the_limits_of_its_policies_are_those_of_the_view() -> None:
    policies = merged(policy("a", maxConcurrent=2), policy("b"))
    assert view(replace(AGENT, policies=policies), PLANNED).limits == (Limit("a", 2),)


def test_failures_count_since_the_last_success() -> None:
    runs = [
        Run(RunState.FAILED, TRAINED - DAY),
        Run(RunState.SUCCEEDED, TRAINED),
        Run(RunState.FAILED, TRAINED + DAY),
        Run(RunState.FAILED, TRAINED + 2 * DAY),
        Run(RunState.TRAINING, TRAINED + 3 * DAY),
    ]
    expected = History(AGENT.created, TRAINED, 2, TRAINED + 2 * DAY)
    for order in permutations(runs):
        assert history(AGENT.created, order) == expected
    assert history(AGENT.created, ()) == History(AGENT.created)


def test_the_cadence_that_an_agent_describes() -> None:
    fields = CadenceFields.model_validate(
        {"schedule": "0 2 * * 1", "timeZone": "Europe/Zurich", "maxAge": "240h", "grace": "24h", "spread": "2h"}
    )
    assert retraining_due.cadence(fields) == cadence_spec.cadence(
        schedule="0 2 * * 1", time_zone="Europe/Zurich", max_age="240h", grace="24h", spread="2h"
    )
    assert retraining_due.cadence(CadenceFields()) == Cadence()
    wrong = CadenceFields.model_validate({"schedule": "0 25 * * *", "timeZone": "Mars", "maxAge": "90000h"})
    with pytest.raises(CadenceError, match=r"retraining\.schedule.*retraining\.timeZone.*retraining\.maxAge"):
        retraining_due.cadence(wrong)


def test_a_freeze_over_the_turn_of_the_year_is_announced_with_its_end() -> None:
    frozen = replace(AGENT, policies=merged(policy(windows=[YEAR_END])), runs=())
    now = datetime(2026, 12, 28, 3, tzinfo=UTC)
    assert waits(frozen, now).until == datetime(2027, 1, 5, tzinfo=UTC)


def test_what_triggers_it_makes_it_due_at_once_and_keeps_its_place() -> None:
    since = PLANNED - 3 * DAY
    drifts = Cause(Trigger.DRIFT, since, "the agent drifts")
    spread = cadence_spec.cadence(schedule="0 2 * * 1", spread="5h")
    agent = replace(AGENT, cadence=spread, causes=(drifts, Cause(Trigger.POLICY_CHANGE, since + HOUR, "taught 1")))
    found = view(agent, since)
    assert (found.due, found.step, found.causes) == (since, Start(since, Trigger.DRIFT), agent.causes)
    assert step(agent, since + DAY) == Start(since, Trigger.DRIFT)
    assert step(replace(agent, causes=(Cause(Trigger.DRIFT, PLANNED + HOUR, "x"),)), PLANNED + HOUR) == Start(PLANNED)
    assert step(replace(agent, cadence=Cadence()), since) == Start(since, Trigger.DRIFT)


def test_what_is_triggered_waits_for_all_that_a_plan_waits_for() -> None:
    since = PLANNED - 3 * DAY
    agent = replace(AGENT, causes=(Cause(Trigger.DRIFT, since, "the agent drifts"),))
    assert waits(replace(agent, paused=True), since).hold is Hold.PAUSED
    assert waits(replace(agent, suspended="spec.suspended is true"), since).hold is Hold.AGENT_SUSPENDED
    nights = merged(policy(windows=[NIGHTS]))
    held = waits(replace(agent, policies=nights), since + 3 * HOUR)
    assert (held.hold, held.until) == (Hold.WINDOW, since + 20 * HOUR)
    failed = replace(agent, runs=(*agent.runs, Run(RunState.FAILED, since)))
    assert waits(failed, since + MINUTE) == Wait(
        Hold.BACKING_OFF, "failed 1 times since the last success", since + 10 * MINUTE
    )
    assert step(failed, since + 10 * MINUTE) == Start(since, Trigger.DRIFT)
    candidate = replace(agent, runs=(*agent.runs, Run(RunState.IN_FLIGHT, since)))
    assert waits(candidate, since + MINUTE).hold is Hold.IN_FLIGHT
    ordered = replace(failed, ordered=since + MINUTE)
    assert step(ordered, since + MINUTE) == Start(since), "an order does not wait for the pause"
