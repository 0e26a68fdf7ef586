"""Several policies together: the strictest of each, from whom, and never looser by one more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence.due import Cadence, Due, History, decide
from aiagent_operator.core.cadence.promise import Kept, Overdue, OverdueBeyondGrace
from aiagent_operator.core.policies.compiled import CompiledPolicy
from aiagent_operator.core.policies.merged import NOTHING, OWN, Limit, Merged, Source, Strictest, merge
from support.policies import NIGHTS, POLICIES, SUBJECT, WEEKENDS, YEAR_END, merged, policy

HOUR = timedelta(hours=1)
START = datetime(2026, 12, 1, tzinfo=UTC)


def by(*names: str) -> tuple[Source, ...]:
    """Policies of these names."""
    return tuple(map(Source, names))


def test_the_shortest_age_counts_and_names_its_policies() -> None:
    a, b, c = policy("a", maxAge="720h"), policy("b", maxAge="168h"), policy("c", maxAge="10080m")
    assert merged(a, b, c).max_age == Strictest(168 * HOUR, by("b", "c"))
    assert str(merged(a, b, c).max_age) == '168h of AgentPolicy "b" and AgentPolicy "c"'
    assert merged(a, policy("d")).max_age == Strictest(720 * HOUR, by("a"))


def test_age_and_grace_of_a_policy_belong_together() -> None:
    """Nobody asked for a suspension after 168 hours."""
    strict = policy("strict", maxAge="720h", overdue={"grace": "24h", "action": "Suspend"})
    fresh = policy("fresh", maxAge="168h", overdue={"grace": "48h"})
    found = merged(strict, fresh)
    assert found.max_age == Strictest(168 * HOUR, by("fresh"))
    assert found.beyond == Strictest(216 * HOUR, by("fresh"))
    assert found.suspends == Strictest(744 * HOUR, by("strict"))
    slow = policy("slow", maxAge="160h", overdue={"grace": "1000h", "action": "Suspend"})
    assert merged(strict, fresh, slow).suspends == Strictest(744 * HOUR, by("strict"))
    assert merged(strict, fresh, slow).beyond == Strictest(216 * HOUR, by("fresh"))


def test_all_windows_and_all_limits_hold() -> None:
    a, b = policy("a", windows=[NIGHTS], maxConcurrent=3), policy("b", windows=[YEAR_END], maxConcurrent=5)
    found = merged(b, a, policy("c"))
    assert [windows.policy for windows in found.windows] == ["a", "b"]
    assert found.limits == (Limit("a", 3), Limit("b", 5))


def test_evaluations_of_all_are_required_once() -> None:
    a = policy("a", requiredEvaluations=[{"name": "tone"}, {"name": "safety"}])
    b = policy("b", requiredEvaluations=[{"name": "safety"}])
    assert merged(b, a).evaluations == (Strictest("safety", by("a", "b")), Strictest("tone", by("a")))


def test_curricula_of_all_hold_and_a_wrong_one_breaks_its_policy() -> None:
    a, b = policy("a", curriculum="2026-2"), policy("b", curriculum="3")
    assert merged(b, a, policy("c")).curricula == (("a", "2026-2"), ("b", "3"))
    wrong = policy("wrong", curriculum="of 2026", maxAge="720h")
    assert "curriculum" in wrong.problem
    assert (merged(wrong).curricula, merged(wrong).readable) == ((), False)
    assert merged(wrong).max_age == Strictest(720 * HOUR, by("wrong"))


def test_the_longest_history_is_kept() -> None:
    a, b = policy("a", revisionHistoryLimit=3), policy("b", revisionHistoryLimit=20)
    assert merged(a, b).history == Strictest(20, by("b"))
    assert merged(policy("c")).history is None


def test_only_policies_that_select_the_agent_count() -> None:
    mine = policy("mine", maxAge="720h", selector={"roles": ["support"]})
    other = policy("other", maxAge="24h", selector={"roles": ["triage"]})
    assert merge([mine, other], SUBJECT).max_age == Strictest(720 * HOUR, by("mine"))
    assert merge([other], SUBJECT) == NOTHING == merge([], SUBJECT)


def test_the_agents_own_promise_counts_and_suspends_nobody() -> None:
    own = cadence_spec.cadence(every="100h", max_age="200h", grace="1h", spread="2h")
    strict = merged(policy("a", maxAge="720h", overdue={"grace": "24h", "action": "Suspend"}))
    joined = strict.join(Merged.own(own))
    assert joined.max_age == Strictest(200 * HOUR, (OWN,))
    assert joined.suspends == Strictest(744 * HOUR, by("a"))
    assert strict.cadence(own) == own
    shorter = merged(policy("a", maxAge="168h", overdue={"grace": "24h"}))
    assert shorter.cadence(own) == replace(own, max_age=168 * HOUR, grace=24 * HOUR)
    assert shorter.cadence(Cadence()) == Cadence(max_age=168 * HOUR, grace=24 * HOUR)
    assert NOTHING.cadence(own) == own
    assert NOTHING.cadence(Cadence()) == Cadence()


def test_a_policy_may_not_be_mistaken_for_the_agent_itself() -> None:
    named = policy("spec.retraining", maxAge="168h")
    assert str(merged(named).max_age) == '168h of AgentPolicy "spec.retraining"'
    assert str(merged().join(Merged.own(Cadence(max_age=168 * HOUR))).max_age) == "168h of spec.retraining"


@given(POLICIES)
def test_order_does_not_matter(policies: tuple[CompiledPolicy, ...]) -> None:
    assert len({merged(*order) for order in permutations(policies)}) == 1


@given(POLICIES, st.integers(0, 4))
def test_nor_does_grouping(policies: tuple[CompiledPolicy, ...], at: int) -> None:
    assert merged(*policies[:at]).join(merged(*policies[at:])) == merged(*policies)


@given(POLICIES)
def test_nor_how_often_one_is_counted(policies: tuple[CompiledPolicy, ...]) -> None:
    once = merged(*policies)
    assert once.join(once) == once
    assert merged(*policies, *policies) == once
    assert NOTHING.join(once) == once == once.join(NOTHING)


CADENCES = st.sampled_from(
    (
        Cadence(),
        cadence_spec.cadence(schedule="0 2 * * 1"),
        cadence_spec.cadence(every="36h", max_age="200h", grace="10h"),
        cadence_spec.cadence(max_age="100h", spread="5h"),
    )
)
_RANKS = {Kept: 0, Overdue: 1, OverdueBeyondGrace: 2}


@given(POLICIES, CADENCES, st.integers(0, 60 * 24 * 60))
def test_one_policy_more_never_loosens_anything(
    policies: tuple[CompiledPolicy, ...], own: Cadence, minutes: int
) -> None:
    """Judged by what follows: it is due no later, overdue no later, starts only where it could start before."""
    now = START + timedelta(minutes=minutes)
    fewer, more = merged(*policies[:-1]), merged(*policies)
    for before, after in ((fewer.suspends, more.suspends), (fewer.max_age, more.max_age), (fewer.beyond, more.beyond)):
        assert before is None or (after is not None and after.value <= before.value)
    assert fewer.history is None or (more.history is not None and more.history.value >= fewer.history.value)
    assert {each.value for each in fewer.evaluations} <= {each.value for each in more.evaluations}
    assert set(fewer.limits) <= set(more.limits)
    assert fewer.readable or not more.readable
    for each in policies:
        both = more.join(Merged.of(each))
        assert both == more, "what one of them demands is in it already"
    once, again = (decide(found.cadence(own), History(START), "a", found.windows, now) for found in (fewer, more))
    assert _RANKS[type(again.promise)] >= _RANKS[type(once.promise)]
    # Windows alone: where all let training start, so did the fewer.
    bare = Cadence(max_age=HOUR)
    if now >= START + HOUR and isinstance(decide(bare, History(START), "a", more.windows, now).start, Due):
        assert isinstance(decide(bare, History(START), "a", fewer.windows, now).start, Due)


def test_windows_of_two_policies_can_leave_nothing() -> None:
    """It is said, with both names at hand, rather than loosened."""
    days = {"name": "days", "kind": "Allow", "schedule": "0 8 * * *", "duration": "8h"}
    found = merged(policy("a", windows=[NIGHTS]), policy("b", windows=[days, WEEKENDS]))
    start = decide(Cadence(max_age=HOUR), History(START), "a", found.windows, START + 12 * HOUR).start
    assert getattr(start, "until", START) is None
    assert "no moment was found" in getattr(start, "reason", "")


def test_archive_stores_of_all_are_named_and_nobody_chooses() -> None:
    a, b, c = (policy(name, archive={"store": store}) for name, store in (("a", "eu"), ("b", "us"), ("c", "eu")))
    assert merged(c, b, a).stores == (Strictest("eu", by("a", "c")), Strictest("us", by("b")))
    assert merged(policy("d")).stores == ()
