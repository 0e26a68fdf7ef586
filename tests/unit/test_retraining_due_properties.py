"""What holds of every decision about one agent's training: nothing is missed, and no policy more loosens anything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.policies.compiled import CompiledPolicy
from aiagent_operator.core.retraining.due import Cause, Facts, Hold, Run, RunState, Start, View, Wait, view
from support.policies import POLICIES, merged

DAY = timedelta(days=1)
# A Monday.
PLANNED = datetime(2026, 7, 6, 2, tzinfo=UTC)
AGENT = Facts("6f1f2a52", datetime(2026, 1, 1, tzinfo=UTC), None)

RUNS = st.lists(
    st.builds(
        Run,
        st.sampled_from((RunState.SUCCEEDED, RunState.FAILED)),
        st.integers(0, 60 * 24).map(lambda hours: PLANNED + timedelta(hours=hours)),
    ),
    max_size=4,
).map(tuple)
CADENCES = st.sampled_from(
    (
        None,
        Cadence(),
        cadence_spec.cadence(schedule="0 2 * * 1", spread="5h"),
        cadence_spec.cadence(schedule="30 1 * * *", max_age="100h", grace="5h"),
        cadence_spec.cadence(every="36h", max_age="200h"),
    )
)
CAUSES = st.lists(
    st.builds(
        Cause,
        st.sampled_from((Trigger.DRIFT, Trigger.KNOWLEDGE_CHANGE, Trigger.POLICY_CHANGE)),
        st.integers(0, 60 * 24).map(lambda hours: PLANNED + timedelta(hours=hours)),
        st.just("changed"),
    ),
    max_size=3,
    unique_by=lambda cause: cause.trigger,
).map(lambda found: tuple(sorted(found, key=lambda cause: cause.since)))


def _told(found: View) -> tuple[object, ...]:
    """What follows from a view. Which of several things still holds a training may change; until when may not."""
    start = found.step
    if isinstance(start, Wait):
        return start.until, type(found.promise), found.suspend, found.announcement
    return start, type(found.promise), found.suspend, found.announcement


@given(CADENCES, POLICIES, RUNS, CAUSES, st.integers(0, 90 * 24 * 60), st.floats(0, 0.999))
def test_nothing_changes_before_it_is_looked_at_again(
    cadence: Cadence | None,
    policies: tuple[CompiledPolicy, ...],
    runs: tuple[Run, ...],
    causes: tuple[Cause, ...],
    minutes: int,
    part: float,
) -> None:
    """So a sleep until `again` misses nothing."""
    now = PLANNED + timedelta(minutes=minutes)
    agent = replace(AGENT, cadence=cadence, policies=merged(*policies), runs=runs, causes=causes)
    found = view(agent, now)
    assert found == view(agent, now), "a second look changes nothing"
    end = found.again or now + 400 * DAY
    assert end > now
    assert _told(view(agent, now + (end - now) * part)) == _told(found)


@given(CADENCES, POLICIES, RUNS, st.integers(0, 90 * 24 * 60))
def test_a_policy_more_never_lets_an_agent_start_or_work_that_could_not(
    cadence: Cadence | None, policies: tuple[CompiledPolicy, ...], runs: tuple[Run, ...], minutes: int
) -> None:
    now = PLANNED + timedelta(minutes=minutes)
    agent = replace(AGENT, cadence=cadence, runs=runs)
    fewer = view(replace(agent, policies=merged(*policies[:-1])), now)
    more = view(replace(agent, policies=merged(*policies)), now)
    assert more.suspend or not fewer.suspend
    assert bool(more.announcement) or not fewer.announcement
    if (
        isinstance(more.step, Start)
        and fewer.due is not None
        and fewer.due <= now
        and not isinstance(fewer.step, Start)
    ):
        # Both are due: only the place in the spread may differ, which the policy's earlier promise ends earlier.
        assert isinstance(fewer.step, Wait)
        assert fewer.step.hold in (Hold.NOT_DUE, Hold.WINDOW)
        assert cadence is not None
        assert cadence.spread or fewer.due != more.due


@given(CADENCES, POLICIES, RUNS, CAUSES, st.integers(0, 90 * 24 * 60))
def test_a_trigger_makes_it_due_at_once_and_outranks_no_policy(
    cadence: Cadence | None,
    policies: tuple[CompiledPolicy, ...],
    runs: tuple[Run, ...],
    causes: tuple[Cause, ...],
    minutes: int,
) -> None:
    now = PLANNED + timedelta(minutes=minutes)
    planned = replace(AGENT, cadence=cadence, policies=merged(*policies), runs=runs)
    without, found = view(planned, now), view(replace(planned, causes=causes), now)
    assert (found.suspend, found.announcement, found.promise) == (
        without.suspend,
        without.announcement,
        without.promise,
    )
    if not causes:
        assert found == without
        return
    first = causes[0]
    assert found.due is not None
    assert found.due == (first.since if without.due is None else min(first.since, without.due))
    match found.step:
        case Start(since, trigger):
            assert since == found.due
            assert trigger is (first.trigger if since == first.since else Trigger.SCHEDULE)
            ordered = view(replace(planned, ordered=now), now)
            assert isinstance(ordered.step, Start), "whose windows hold for orders too"
        case Wait(hold):
            lets = (Hold.NO_RETRAINING, Hold.POLICY_UNREADABLE, Hold.WINDOW, Hold.BACKING_OFF)
            assert hold in lets
        case other:
            raise AssertionError(f"it is due, and {other}")
    if isinstance(without.step, Start):
        assert isinstance(found.step, Start), "one cause more holds nothing up"
