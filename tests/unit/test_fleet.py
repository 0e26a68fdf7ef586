"""The fleet's slots: never more than the limit, none lost, oldest first, through crashes, deletions and restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.core.cadence.promise import Kept, Overdue
from aiagent_operator.core.policies.merged import Limit, Merged
from aiagent_operator.core.retraining.due import Hold, Idle, InTraining, Start, Step, View, Wait
from aiagent_operator.runtime.fleet import Counts, Fleet
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.store import AgentKey, Key

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ONE = (Limit("one", 1),)


def key(uid: str) -> AgentKey:
    return AgentKey("crm", uid)


def demands(*limits: Limit) -> Merged:
    return Merged(limits=limits, names=tuple(limit.policy for limit in limits))


def view(uid: str, step: Step, *limits: Limit, late: bool = False) -> View:
    promise = Overdue(BEGIN, BEGIN) if late else Kept(None)
    return View(uid, None, step, promise, None, suspend=False, announcement="", again=None, limits=limits)


def waits(uid: str, since: int, *limits: Limit) -> View:
    return view(uid, Start(BEGIN + since * SECOND), *limits)


@dataclass
class Clock:
    """Time that passes when told to, and what was put off."""

    now: float = 0.0
    calls: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append((self.now + seconds, call))

    def run(self, seconds: float = 1.0) -> int:
        """Lets time pass; how many calls that made."""
        self.now += seconds
        made = 0
        while due := [entry for entry in self.calls if entry[0] <= self.now]:
            for entry in due:
                self.calls.remove(entry)
                entry[1]()
                made += 1
        return made


class Tried(Fleet):
    """A fleet with a clock, that keeps whom it told."""

    def __init__(self, *views: View, bare: View | None = None) -> None:
        self.told: list[Key] = []
        self.clock = Clock()
        super().__init__(
            self.told.append, lambda _: (bare, ("one",)), later=self.clock.later, clock=lambda: self.clock.now
        )
        self.begin(key(each.uid) for each in views)
        self.look(*views)

    def look(self, *views: View) -> None:
        for each in views:
            self.seen(key(each.uid), each, tuple(limit.policy for limit in each.limits))

    def agents(self) -> list[Key]:
        """The agents that were told since the last call."""
        found = [each for each in self.told if isinstance(each, AgentKey)]
        self.told.clear()
        return found

    def has(self, uid: str, *limits: Limit) -> bool:
        return self.admitted(uid, demands(*(limits or ONE)))


def test_an_agent_that_no_policy_limits_is_admitted_at_once() -> None:
    fleet = Tried()
    assert fleet.admitted("a", Merged())
    assert fleet.admitted("a", Merged(names=("p",)))
    assert not fleet.has("a")


def test_the_oldest_gets_the_slot_and_the_others_are_told_what_they_wait_for() -> None:
    fleet = Tried(waits("late", 2, *ONE), waits("early", 1, *ONE))
    assert not fleet.has("early"), "not before it is computed"
    fleet.clock.run()
    assert set(fleet.agents()) == {key("early"), key("late")}
    assert (fleet.has("early"), fleet.has("late")) == (True, False)
    slot = fleet.slot("late")
    assert slot
    assert slot.hold is Hold.SLOT
    assert fleet.slot("early") is None


def test_what_was_given_is_held_until_the_agent_trains_or_no_longer_wants_to() -> None:
    fleet = Tried(waits("early", 1, *ONE), waits("late", 2, *ONE))
    for _ in range(3):
        fleet.clock.run()
        fleet.look(waits("early", 1, *ONE))
        assert (fleet.has("early"), fleet.has("late")) == (True, False)
    fleet.look(view("early", InTraining(BEGIN), *ONE))
    fleet.clock.run()
    assert (fleet.has("early"), fleet.has("late")) == (False, False)
    fleet.look(view("early", Idle(), *ONE))
    fleet.agents()
    fleet.clock.run()
    assert fleet.has("late")
    assert fleet.agents() == [key("late")]


def test_no_slot_is_given_before_every_agent_was_looked_at_once() -> None:
    fleet = Tried()
    fleet.begin([key("a"), key("b"), key("c")])
    fleet.look(waits("a", 2, *ONE))
    fleet.ended(key("a"))
    fleet.clock.run()
    assert not fleet.has("a")
    fleet.forget(key("c"))
    fleet.look(waits("b", 1, *ONE))
    fleet.clock.run()
    assert (fleet.has("a"), fleet.has("b")) == (False, True)


@pytest.mark.parametrize("trains", [True, False])
def test_an_agent_that_cannot_be_decided_about_holds_up_nobody_and_its_training_counts(trains: bool) -> None:
    fleet = Tried(bare=view("b", InTraining(BEGIN) if trains else Idle(), *ONE))
    fleet.begin([key("a"), key("b")])
    fleet.look(waits("a", 1, *ONE))
    fleet.ended(key("b"))
    fleet.clock.run()
    assert fleet.has("a") is not trains


def test_a_slot_is_one_in_the_policies_that_limit_now() -> None:
    fleet = Tried(waits("a", 1, *ONE), view("b", InTraining(BEGIN), Limit("two", 1)))
    fleet.clock.run()
    both = (*ONE, Limit("two", 1))
    assert fleet.has("a")
    assert not fleet.has("a", *both), "a policy that selects it since has given it nothing"
    fleet.look(waits("a", 1, *both))
    fleet.clock.run()
    assert not fleet.has("a", *both)
    fleet.look(view("b", Idle(), Limit("two", 1)))
    fleet.clock.run()
    assert fleet.has("a", *both)


def test_who_is_deleted_gives_its_slot_back() -> None:
    fleet = Tried(waits("a", 1, *ONE), waits("b", 2, *ONE))
    fleet.clock.run()
    fleet.forget(key("a"))
    fleet.clock.run()
    assert (fleet.has("a"), fleet.has("b")) == (False, True)


def test_who_comes_back_under_the_same_name_is_another() -> None:
    fleet = Tried(waits("a", 1, *ONE), waits("b", 2, *ONE))
    fleet.clock.run()
    again = waits("other", 3, *ONE)
    fleet.seen(key("a"), again, ("one",))
    fleet.clock.run()
    assert (fleet.has("a"), fleet.has("b")) == (False, True)


def test_who_does_not_begin_lets_others_go_first_and_is_not_lost() -> None:
    fleet = Tried(waits("stuck", 1, *ONE), waits("late", 2, *ONE))
    for _ in range(3):
        fleet.clock.run()
        fleet.look(waits("stuck", 1, *ONE))
        fleet.finished(key("stuck"))
    fleet.clock.run()
    assert (fleet.has("stuck"), fleet.has("late")) == (False, True)
    slot = fleet.slot("stuck")
    assert slot
    assert "did not begin" in slot.reason
    fleet.look(view("late", Idle(), *ONE))
    fleet.clock.run()
    assert not fleet.has("stuck")
    fleet.clock.run(600)
    fleet.clock.run()
    assert fleet.has("stuck")


def test_passes_of_who_has_no_slot_are_nothing() -> None:
    fleet = Tried(waits("early", 1, *ONE), waits("late", 2, *ONE))
    fleet.clock.run()
    for _ in range(10):
        fleet.finished(key("late"))
        fleet.finished(key("unknown"))
    fleet.clock.run()
    assert fleet.has("early")


def test_many_changes_cost_one_computation_and_no_change_costs_none() -> None:
    fleet = Tried(*(waits(f"a{n}", n, *ONE) for n in range(1000)))
    assert fleet.clock.run() == 1
    fleet.agents()
    fleet.look(*(waits(f"a{n}", n, *ONE) for n in range(1000)))
    assert fleet.clock.run() == 0
    fleet.look(*(view(f"a{n}", Idle(), *ONE) for n in range(1, 500)))
    assert fleet.clock.run() == 1
    assert fleet.agents() == [], "nobody's turn has come, and who waits hears nothing new"


def test_agents_of_a_policy_are_counted_and_the_policy_hears_of_changes_alone() -> None:
    fleet = Tried(
        view("a", InTraining(BEGIN), *ONE),
        view("b", Idle(), *ONE, late=True),
        view("c", Idle(), Limit("two", 5), *ONE),
    )
    assert fleet.counts("one") is None, "not known yet"
    assert fleet.counts("none") is None
    fleet.clock.run()
    assert (fleet.counts("one"), fleet.counts("two")) == (Counts(3, 1, 1), Counts(1, 0, 0))
    assert fleet.counts("none") == Counts(0, 0, 0)
    assert set(fleet.told) == {PolicyKey("one"), PolicyKey("two"), PolicyKey("none")}
    fleet.told.clear()
    fleet.look(view("c", Idle(), *ONE))
    fleet.clock.run()
    assert fleet.told == [PolicyKey("two")]
    fleet.told.clear()
    fleet.forget(key("a"))
    fleet.clock.run()
    assert fleet.counts("one") == Counts(2, 0, 1)
    assert fleet.told == [PolicyKey("one")]


def test_who_was_given_a_slot_does_not_count_as_training_yet() -> None:
    fleet = Tried(waits("a", 1, *ONE))
    fleet.clock.run()
    fleet.clock.run()
    assert fleet.counts("one") == Counts(1, 0, 0)


@dataclass
class World:
    """What exists in the cluster: who is due since when, who trains, who is done; and what the operator has seen."""

    due: dict[str, int]
    limits: dict[str, tuple[Limit, ...]]
    training: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    began: list[str] = field(default_factory=list)

    def view(self, uid: str) -> View:
        if uid in self.training:
            return view(uid, InTraining(BEGIN), *self.limits[uid])
        if uid in self.done:
            return view(uid, Wait(Hold.NOT_DUE, "done"), *self.limits[uid])
        return waits(uid, self.due[uid], *self.limits[uid])

    def started(self) -> Tried:
        """An operator that has just been started: it looks at all agents before it works."""
        return Tried(*(self.view(uid) for uid in self.due))

    def one_pass(self, fleet: Fleet, uid: str, *, crash: bool) -> None:
        """As the operator makes one: asks, decides, writes, decides again; it may die once the write was sent."""
        admitted = fleet.admitted(uid, demands(*self.limits[uid]))
        seen = self.view(uid)
        fleet.seen(key(uid), seen, tuple(limit.policy for limit in self.limits[uid]))
        if admitted and isinstance(seen.step, Start):
            self.training.append(uid)
            self.began.append(uid)
            if not crash:
                fleet.seen(key(uid), self.view(uid), tuple(limit.policy for limit in self.limits[uid]))
        if not crash:
            fleet.finished(key(uid))

    def check(self) -> None:
        for policy, most in {(limit.policy, limit.most) for limits in self.limits.values() for limit in limits}:
            running = [uid for uid in self.training if any(limit.policy == policy for limit in self.limits[uid])]
            assert len(running) <= most, f"{running} train at once"
        assert len(set(self.began)) == len(self.began), "trained twice"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    most = {"one": draw(st.integers(1, 3)), "two": draw(st.integers(1, 2))}
    uids = [f"a{number}" for number in range(draw(st.integers(1, 8)))]
    chosen = st.sampled_from([(), ("one",), ("two",), ("one", "two")])
    limits = {uid: tuple(Limit(name, most[name]) for name in draw(chosen)) for uid in uids}
    return World({uid: draw(st.integers(0, 5)) for uid in uids}, limits)


@settings(max_examples=200, deadline=None)
@given(worlds(), st.data())
def test_whatever_happens_the_limits_hold_and_all_are_trained_in_the_end(world: World, data: st.DataObject) -> None:
    fleet = world.started()
    for _ in range(data.draw(st.integers(0, 40))):
        match data.draw(st.sampled_from(("pass", "pass", "pass", "time", "ends", "fails", "crash", "restart"))):
            case "time":
                fleet.clock.run()
            case "ends" if world.training:
                uid = data.draw(st.sampled_from(world.training))
                world.training.remove(uid)
                world.done.append(uid)
            case "pass":
                world.one_pass(fleet, data.draw(st.sampled_from(sorted(world.due))), crash=False)
            case "fails":
                world.one_pass(fleet, data.draw(st.sampled_from(sorted(world.due))), crash=True)
            case "crash":
                world.one_pass(fleet, data.draw(st.sampled_from(sorted(world.due))), crash=True)
                fleet = world.started()
            case "restart":
                fleet = world.started()
        world.check()
    for _ in range(10 * len(world.due)):
        fleet.clock.run()
        for uid in world.due:
            world.one_pass(fleet, uid, crash=False)
            world.check()
        for uid in world.training[:1]:
            world.training.remove(uid)
            world.done.append(uid)
            world.one_pass(fleet, uid, crash=False)
    assert sorted(world.done) == sorted(world.due), "lost"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 3))
def test_in_one_policy_the_oldest_are_trained_first(since: list[int], most: int) -> None:
    limits = (Limit("one", most),)
    world = World(
        {f"a{number}": due for number, due in enumerate(since)}, {f"a{number}": limits for number in range(len(since))}
    )
    fleet = world.started()
    order: list[list[str]] = []
    while len(world.done) < len(since):
        fleet.clock.run()
        before = len(world.began)
        for uid in world.due:
            world.one_pass(fleet, uid, crash=False)
        order.append(sorted(world.began[before:]))
        for uid in list(world.training):
            world.training.remove(uid)
            world.done.append(uid)
            world.one_pass(fleet, uid, crash=False)
    oldest = sorted(world.due, key=lambda uid: (world.due[uid], uid))
    assert order == [sorted(oldest[at : at + most]) for at in range(0, len(oldest), most)]


def test_the_views_of_others_stay_as_they_are() -> None:
    fleet = Tried(waits("a", 1, *ONE))
    fleet.clock.run()
    fleet.look(replace(waits("a", 1, *ONE), again=BEGIN))
    fleet.clock.run()
    assert fleet.has("a")
