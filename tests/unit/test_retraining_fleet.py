"""A fleet through a year, with crashes between any two starts: never too many at once, none lost, none doubled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import Limit, merge
from aiagent_operator.core.retraining.due import Facts, Hold, Idle, InTraining, Run, RunState, Start, View, Wait, view
from aiagent_operator.core.retraining.fleet import Starts, starts
from support.policies import NIGHTS, YEAR_END, merged, policy

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
BEGIN = datetime(2026, 6, 29, tzinfo=UTC)
END = BEGIN + 53 * WEEK
# A Monday, after BEGIN.
FIRST = datetime(2026, 6, 29, 2, tzinfo=UTC)


def waiting(uid: str, since: datetime, *limits: Limit) -> View:
    """An agent that is to be trained."""
    return _view(uid, Start(since), *limits)


def _view(uid: str, step: Start | InTraining | Idle, *limits: Limit) -> View:
    found = view(Facts(uid, BEGIN, None), BEGIN)
    return View(uid, None, step, found.promise, None, suspend=False, announcement="", again=None, limits=limits)


def test_slots_are_given_to_who_is_due_longest() -> None:
    limit = Limit("p", 2)
    agents = [
        _view("busy", InTraining(BEGIN), limit),
        waiting("late", BEGIN + HOUR, limit),
        waiting("early", BEGIN, limit),
        waiting("free", BEGIN + 2 * HOUR),
        _view("idle", Idle(), limit),
    ]
    assert starts(agents) == Starts(
        ("early", "free"),
        {"late": Wait(Hold.SLOT, 'waits for a slot: AgentPolicy "p" lets 2 train at once; who is due longest is next')},
    )


def test_where_two_passes_saw_different_limits_the_lower_one_counts() -> None:
    agents = [waiting("a", BEGIN, Limit("p", 2)), waiting("b", BEGIN + HOUR, Limit("p", 1))]
    assert starts(agents).start == starts(agents[::-1]).start == ("a",)


def test_what_one_waits_for_does_not_change_with_the_number_of_others() -> None:
    """Else each start would cost a write of the status of each that waits."""
    many = [waiting(str(number), BEGIN + number * HOUR, Limit("p", 1)) for number in range(5)]
    assert starts(many).wait["4"] == starts(many[3:]).wait["4"]


@dataclass
class Training:
    """A revision as the cluster keeps it: when its Job began and ended, when it was judged, and how."""

    began: datetime
    ended: datetime
    judged: datetime
    succeeds: bool

    def at(self, now: datetime) -> Run:
        """As it is observed now."""
        if now < self.ended:
            return Run(RunState.TRAINING, self.began)
        if now < self.judged:
            return Run(RunState.IN_FLIGHT, self.ended)
        return Run(RunState.SUCCEEDED, self.ended) if self.succeeds else Run(RunState.FAILED, self.judged)


@dataclass
class World:
    """What exists: agents and their revisions. The operator's memory is not here."""

    random: Random
    policies: tuple[CompiledPolicy, ...]
    roles: dict[str, str]
    trainings: dict[str, list[Training]] = field(default_factory=dict)
    cadence = cadence_spec.cadence(schedule="0 2 * * 1", max_age="400h", spread="3h")

    def facts(self, uid: str, now: datetime) -> Facts:
        runs = tuple(training.at(now) for training in self.trainings[uid])
        return Facts(uid, BEGIN, self.cadence, merge(self.policies, Subject(self.roles[uid], {}, {})), runs)

    def train(self, uid: str, now: datetime) -> None:
        """At most two failures in a row, so that a bound on the delay can be stated."""
        before = self.trainings[uid]
        ended = now + self.random.choice((1, 3, 9)) * HOUR
        succeeds = self.random.random() < 0.7 or (len(before) > 1 and not any(t.succeeds for t in before[-2:]))
        before.append(Training(now, ended, ended + self.random.choice((0, 1, 20)) * HOUR, succeeds))

    def events(self) -> Iterator[datetime]:
        for training in (training for trainings in self.trainings.values() for training in trainings[-1:]):
            yield training.ended
            yield training.judged

    def running(self, policy: str, now: datetime) -> int:
        members = [uid for uid, role in self.roles.items() if policy in ("all", role)]
        return sum(training.began <= now < training.ended for uid in members for training in self.trainings[uid])


def _live(world: World) -> None:
    """The operator's loop: it looks at an agent when something happens to it, or its view says so; at times it dies."""
    now, known = BEGIN, dict[str, View]()
    while now < END:
        for uid in world.roles:
            seen = known.get(uid)
            changed = any(now in (training.ended, training.judged) for training in world.trainings[uid])
            if seen is None or changed or (seen.again is not None and seen.again <= now):
                known[uid] = view(world.facts(uid, now), now)
        given = starts(known.values()).start
        dies = world.random.random() < 0.03
        for uid in given[: world.random.randint(0, len(given))] if dies else given:
            world.train(uid, now)
            known[uid] = view(world.facts(uid, now), now)
        _check(world, now)
        if dies:
            known = {}
            now += world.random.choice((1, 5, 60)) * HOUR
            continue
        agains = [seen.again for seen in known.values() if seen.again is not None]
        now = min(time for time in (*agains, *world.events(), END) if time > now)


def _check(world: World, now: datetime) -> None:
    for each in world.policies:
        assert each.most is not None
        assert world.running(each.name, now) <= each.most
    for trainings in world.trainings.values():
        assert sum(training.began <= now < training.judged for training in trainings) <= 1, "doubled"


def _planned_after(at: datetime) -> datetime:
    """The first Monday, 02:00, later than `at`: by counting weeks."""
    return FIRST + ((at - FIRST) // WEEK + 1) * WEEK


def _open(world: World, role: str, now: datetime) -> bool:
    """The windows of the policies below, by the clock."""
    frozen = datetime(2026, 12, 15, tzinfo=UTC) <= now < datetime(2027, 1, 5, tzinfo=UTC)
    night = now.hour >= 22 or now.hour < 4
    return not frozen and (role != "nightly" or night)


@settings(max_examples=4)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 2))
def test_a_year_of_a_fleet(seed: int, most: int, nightly: int) -> None:
    random = Random(seed)
    policies = (
        policy("all", windows=[YEAR_END], maxConcurrent=most),
        policy("nightly", windows=[NIGHTS], maxConcurrent=nightly, selector={"roles": ["nightly"]}),
    )
    roles = {f"agent-{number}": random.choice(("nightly", "daily")) for number in range(6)}
    world = World(random, policies, roles, {uid: [] for uid in roles})
    _live(world)
    for uid, trainings in world.trainings.items():
        last = BEGIN
        for training in trainings:
            assert training.began >= _planned_after(last), "trained before it was due: doubled"
            assert _open(world, roles[uid], training.began)
            assert training.ended - _planned_after(last) < 30 * DAY, "lost"
            if training.succeeds and training.judged < END:
                last = training.ended
        assert END - last < 30 * DAY, "lost"
        assert 35 <= sum(training.succeeds for training in trainings) <= 53


def test_an_unreadable_policy_holds_the_fleet_it_selects() -> None:
    broken = policy("broken", windows=[{**NIGHTS, "timeZone": "Mars"}], selector={"roles": ["support"]})
    late = BEGIN + 9 * DAY
    cadence = cadence_spec.cadence(schedule="0 2 * * 1")
    held, free = (
        view(Facts(uid, BEGIN, cadence, merge([broken], Subject(role, {}, {}))), late)
        for uid, role in (("held", "support"), ("free", "triage"))
    )
    assert starts([held, free]).start == ("free",)
    assert isinstance(held.step, Wait)
    assert held.step.hold is Hold.POLICY_UNREADABLE
    assert merged(broken).windows == ()
