"""Slots: never more than allowed, oldest first, and nobody is overtaken for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.cadence.fleet import Admission, Queued, Slots, Waiting, admit

START = datetime(2026, 7, 1, tzinfo=UTC)
POLICIES = ("p", "q", "r")


def waiting(*uids: str) -> list[Waiting]:
    """Agents that are due one minute after the other."""
    return [Waiting(uid, START + timedelta(minutes=minute)) for minute, uid in enumerate(uids)]


def slots(policy: str, most: int, running: int, *members: str) -> Slots:
    """Slots of one policy."""
    return Slots(policy, most, running, frozenset(members))


def test_oldest_first_and_equals_by_uid() -> None:
    due = [Waiting("b", START), Waiting("c", START - timedelta(seconds=1)), Waiting("a", START)]
    for order in permutations(due):
        found = admit(order, [slots("p", 2, 0, "a", "b", "c")])
        assert found == Admission(("c", "a"), (Queued("b", "p", 0),))


def test_agents_without_policy_start_at_once() -> None:
    assert admit(waiting("a", "b"), []).start == ("a", "b")
    assert admit(waiting("a", "b"), [slots("p", 0, 0, "b")]) == Admission(("a",), (Queued("b", "p", 0),))


def test_a_limit_that_was_lowered_starts_nothing() -> None:
    assert admit(waiting("a"), [slots("p", 2, 5, "a")]) == Admission((), (Queued("a", "p", 0),))


def test_an_agent_needs_a_slot_in_each_of_its_policies() -> None:
    policies = [slots("p", 3, 0, "a", "b"), slots("q", 1, 1, "a")]
    assert admit(waiting("a", "b"), policies) == Admission(("b",), (Queued("a", "q", 0),))


def test_who_waits_for_one_policy_keeps_a_slot_in_the_others() -> None:
    policies = [slots("p", 1, 0, "a", "b"), slots("q", 1, 1, "a")]
    assert admit(waiting("a", "b"), policies) == Admission((), (Queued("a", "q", 0), Queued("b", "p", 0)))


def test_only_the_oldest_keeps_a_slot() -> None:
    """Otherwise fifty that wait for one slot of q would leave p idle."""
    many = [f"a{number}" for number in range(50)]
    policies = [slots("p", 10, 0, *many, "x", "y"), slots("q", 1, 1, *many)]
    found = admit(waiting(*many, "x", "y"), policies)
    assert found.start == ("x", "y")
    assert found.queued[49] == Queued("a49", "q", 49)


def test_a_stopped_policy_takes_no_slots_from_others() -> None:
    policies = [slots("p", 1, 0, "a", "b"), slots("stopped", 0, 0, "a")]
    assert admit(waiting("a", "b"), policies).start == ("b",)


@dataclass(frozen=True)
class Case:
    """Agents and the policies that select them."""

    due: tuple[Waiting, ...]
    policies: tuple[Slots, ...]

    def free(self, slots: Slots) -> int:
        return max(0, slots.most - slots.running)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    uids = draw(st.lists(st.integers(0, 99).map(str), unique=True, max_size=12))
    due = tuple(Waiting(uid, START + timedelta(minutes=draw(st.integers(0, 4)))) for uid in uids)
    members = st.frozensets(st.sampled_from(uids)) if uids else st.just(frozenset())
    policies = tuple(
        Slots(name, draw(st.integers(0, 4)), draw(st.integers(0, 5)), draw(members))
        for name in POLICIES[: draw(st.integers(0, 3))]
    )
    return Case(due, policies)


@given(cases(), st.randoms())
def test_what_holds_of_every_admission(case: Case, random: Random) -> None:
    found = admit(case.due, case.policies)
    order = [agent.uid for agent in sorted(case.due, key=lambda agent: (agent.since, agent.uid))]
    assert [uid for uid in order if uid in found.start] == list(found.start)
    assert sorted([*found.start, *(agent.uid for agent in found.queued)]) == sorted(order)
    started = set(found.start)
    for policy in case.policies:
        assert len(started & policy.members) <= case.free(policy)
    # Whoever waits misses a slot, or an older one keeps it; no policy keeps more than one for each other.
    for agent in found.queued:
        mine = [policy for policy in case.policies if agent.uid in policy.members]
        left = [case.free(policy) - len(started & policy.members) for policy in mine]
        assert mine
        assert any(count < len(case.policies) for count in left)
        assert agent.policy in {policy.policy for policy in mine}
    shuffled = random.sample(case.due, len(case.due))
    assert admit(shuffled, case.policies) == found


@given(cases())
def test_the_oldest_starts_where_its_policies_have_slots(case: Case) -> None:
    if not case.due:
        return
    oldest = min(case.due, key=lambda agent: (agent.since, agent.uid))
    mine = [policy for policy in case.policies if oldest.uid in policy.members]
    assert (oldest.uid in admit(case.due, case.policies).start) == all(case.free(policy) for policy in mine)


@given(cases())
def test_with_one_policy_as_many_start_as_have_room(case: Case) -> None:
    for policy in case.policies:
        selected = [agent for agent in case.due if agent.uid in policy.members]
        assert len(admit(selected, [policy]).start) == min(len(selected), case.free(policy))


LONGEST = 5


@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_nobody_starves(random: Random, limits: list[int]) -> None:
    """New agents keep coming, and each training ends within `LONGEST` rounds: everybody starts within a bounded time.

    In each `LONGEST` rounds at least the oldest starts, so an agent waits at most `LONGEST` rounds for each agent
    before it, and for itself.
    """
    names = POLICIES[: len(limits)]
    members: dict[str, set[str]] = {name: set() for name in names}
    arrived: dict[str, tuple[int, int]] = {}
    due: dict[str, Waiting] = {}
    running: dict[str, int] = {}
    for now in range(60):
        for uid in [uid for uid, end in running.items() if end <= now]:
            del running[uid]
        for number in range(random.randint(0, 3)):
            uid = f"{now}-{number}"
            due[uid] = Waiting(uid, START + timedelta(minutes=now))
            arrived[uid] = (now, len(due))
            # Most need one policy; those that need all are the ones that could be overtaken.
            for name in names if random.random() < 0.3 else (random.choice(names),):
                members[name].add(uid)
        policies = [
            Slots(name, most, len(members[name] & set(running)), frozenset(members[name]))
            for name, most in zip(names, limits, strict=True)
        ]
        for uid in admit(due.values(), policies).start:
            running[uid] = now + random.randint(1, LONGEST)
            del due[uid]
        for name, most in zip(names, limits, strict=True):
            assert len(members[name] & set(running)) <= most
        for uid in due:
            since, before = arrived[uid]
            assert now - since < LONGEST * before, f"{uid} starves"


def test_an_agent_of_two_busy_policies_is_not_overtaken() -> None:
    """Slots of p and q never fall free in the same round, and there is always somebody younger for each."""
    policies = {"p": {"both"}, "q": {"both"}}
    running = {"p0": ("p", 1), "q0": ("q", 2)}
    due = {"both": Waiting("both", START)}
    for now in range(1, 10):
        running = {uid: run for uid, run in running.items() if run[1] > now}
        for name, members in policies.items():
            uid = f"{name}{now}"
            members.add(uid)
            due[uid] = Waiting(uid, START + timedelta(minutes=now))
        current = [Slots(n, 1, sum(r[0] == n for r in running.values()), frozenset(m)) for n, m in policies.items()]
        for uid in admit(due.values(), current).start:
            if uid == "both":
                assert now == 2
                return
            running[uid] = (uid[0], now + 2)
            del due[uid]
    pytest.fail("it was overtaken in every round")
