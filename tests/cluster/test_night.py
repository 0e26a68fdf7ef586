"""A night in which every agent comes due, and the operator is killed again and again.

Never more train at once than the policy allows, none is lost or trained twice, who is due longest goes first, and
nobody starts before its place in the spread. `make night` does the same with three thousand agents; NIGHT_* below.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support import agents
from support.committee import new_policy
from support.kube import Object, wait_for
from support.localcluster import ControlPlane
from support.night import Night, chi_square, overtaken
from support.operator import Installation, OperatorProcess, installation
from support.workplace import Workplace

AGENTS = int(os.environ.get("NIGHT_AGENTS", "100"))
SLOTS = int(os.environ.get("NIGHT_SLOTS", "10"))
KILLS = int(os.environ.get("NIGHT_KILLS", "2"))
# How long a Job's pod runs. Where few train at once, nobody would wait for a slot without.
RUNS_FOR = os.environ.get("NIGHT_RUNS_FOR", "5s")
# Seconds of the spread of those that are due first, and of those that are due a minute later.
SPREADS = (40, 20) if AGENTS < 1000 else (120, 60)
EACH = 50
REPORT = Path(__file__).parents[2] / "build" / f"night-{AGENTS}.json"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900 + AGENTS)]


@dataclass(frozen=True)
class Shift:
    """Agents that are due at the same minute, by UID."""

    due: datetime
    spread: int
    members: dict[str, Object]


@pytest.fixture(scope="module")
def installed() -> Iterator[Installation]:
    """A control plane of its own: what is counted here is everything that trains in a cluster."""
    with ControlPlane() as plane:
        yield from installation(plane)


@pytest.fixture
def night(installed: Installation) -> Iterator[Night]:
    with Night(installed.cluster.kubeconfig) as night:
        yield night


@pytest.fixture
def operator(installed: Installation) -> Iterator[OperatorProcess]:
    operator = installed.process(log_level="INFO")
    try:
        operator.start()
        yield operator
    except BaseException as error:
        error.add_note(operator.tail(60))
        raise
    finally:
        operator.close()


def trains() -> Object:
    """How each is trained; the plan comes when all are there."""
    left = json.dumps({"artifact": "s3://models/clerk/1"})
    annotations = {"localcluster/message": left, "localcluster/runs-for": RUNS_FOR}
    container = {"name": "train", "image": "registry.example/train:1"}
    pods = {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}
    return {"jobTemplate": {"spec": {"template": pods, "backoffLimit": 0}}}


def at_once(call: Callable[[Any], Object], things: Iterable[Any]) -> list[Object]:
    """The answers to many requests."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(call, things))


def employ(place: Workplace, night: Night) -> list[Object]:
    """All agents, Ready. They ask for no pods: those of their trainings are what matters here."""
    role = place.new_role()
    homes = [place.new_namespace(f"home-{number}", night="yes") for number in range(max(1, AGENTS // EACH))]

    def make(number: int) -> Object:
        home = homes[number % len(homes)]
        workload = agents.template(replicas=0)
        agent = agents.agent(home, f"clerk-{number:04}", role, retraining=trains(), workload=workload)
        return place.admin.create(agent)

    made = at_once(make, range(AGENTS))
    wait_for(
        lambda: night.check() and len(night.ready) >= AGENTS,
        what="all agents to be Ready",
        timeout=120 + AGENTS,
        state=lambda: f"{len(night.ready)} of {AGENTS} are",
    )
    return made


def plan(place: Workplace, night: Night, made: list[Object]) -> list[Shift]:
    """Gives all agents their plans: two thirds are due at the next full minute, the others a minute later."""
    begin = datetime.now(UTC) + timedelta(seconds=20 + AGENTS / 25)
    begin = begin.replace(second=0, microsecond=0) + timedelta(minutes=1)
    cut = 2 * len(made) // 3
    shifts = [
        Shift(begin + timedelta(minutes=minute), spread, {a["metadata"]["uid"]: a for a in members})
        for minute, spread, members in ((0, SPREADS[0], made[:cut]), (1, SPREADS[1], made[cut:]))
    ]

    def write(what: tuple[Object, Shift]) -> Object:
        agent, shift = what
        patch = {"schedule": f"{shift.due.minute} {shift.due.hour} * * *", "spread": f"{shift.spread}s"}
        name, home = agent["metadata"]["name"], agent["metadata"]["namespace"]
        patched = {"spec": {"retraining": patch}}
        return place.admin.patch(agents.API, "aiagents", name, patched, namespace=home)

    at_once(write, ((agent, shift) for shift in shifts for agent in shift.members.values()))
    wait_for(
        lambda: night.check() and (len(night.places) >= AGENTS or datetime.now(UTC) >= begin),
        what="all agents to say when they may start",
        timeout=300,
    )
    assert len(night.places) == AGENTS, f"the night began when {len(night.places)} of {AGENTS} had their places"
    return shifts


def kill_again_and_again(night: Night, operator: OperatorProcess) -> list[int]:
    """Kills the operator when a share of the trainings has begun; how many were under way then."""
    under_way = []
    for number in range(1, KILLS + 1):
        wanted = AGENTS * number // (KILLS + 1)
        wait_for(
            lambda wanted=wanted: night.check() and operator.running() and len(night.started) >= wanted,  # type: ignore[misc]
            what=f"{wanted} trainings to begin",
            timeout=300 + AGENTS,
            state=lambda: f"{len(night.started)} have, {len(night.records.now)} are under way\n{operator.tail()}",
        )
        operator.kill9()
        under_way.append(len(night.records.now))
        operator.forget_lease()
        operator.start(wait_ready=False)
        operator.wait_ready(seconds=300)
    return under_way


def report(night: Night, shifts: list[Shift], began: float, under_way: list[int]) -> dict[str, Any]:
    due = {uid: shift.due for shift in shifts for uid in shift.members}
    spreads = [chi_square([night.places[uid] for uid in shift.members], shift.due, shift.spread) for shift in shifts]
    most, how_many = overtaken(night.started, due, night.places)
    even = spreads[0] + spreads[1]
    last = max(each.seen for each in night.started)
    return {
        "agents": AGENTS,
        "maxConcurrent": SLOTS,
        "most records in training at once": night.records.most,
        "most Jobs at work at once": night.at_work.most,
        "trainings under way at each kill": under_way,
        "chi-square of the places": round(even.statistic, 1),
        "degrees of freedom": even.freedom,
        "standard deviations from even": round(even.deviations, 2),
        "overtaken by one at most": most,
        "that have overtaken any": how_many,
        "seconds from the first due time to the last start": round(last - began, 1),
    }


def test_all_are_trained_once_oldest_first_and_never_more_at_once_than_allowed(
    installed: Installation, operator: OperatorProcess, night: Night
) -> None:
    place = Workplace(installed)
    selector = {"namespaceSelector": {"matchLabels": {"night": "yes"}}}
    policy = new_policy(place, "night", selector, maxConcurrent=SLOTS)
    made = employ(place, night)
    shifts = plan(place, night, made)
    under_way = kill_again_and_again(night, operator)
    wait_for(
        lambda: night.over(AGENTS),
        what="all trainings to end",
        timeout=300 + AGENTS,
        state=lambda: f"{Counter(night.states.values())}, {len(night.records.now)} under way\n{operator.tail()}",
    )
    found = report(night, shifts, shifts[0].due.timestamp(), under_way)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))

    # Never more than allowed, and no slot left unused while there was a queue.
    assert night.records.most == SLOTS
    assert night.at_work.most <= SLOTS
    # None lost, none doubled.
    everybody = {agent["metadata"]["uid"] for agent in made}
    assert Counter(each.uid for each in night.started) == Counter(everybody)
    assert Counter(night.states.values()) == {"Stable": AGENTS}
    assert {uid: len(jobs) for uid, jobs in night.jobs.items()} == dict.fromkeys(everybody, 1)
    # Oldest first. As many as there are slots may have been given theirs, and be about to begin.
    assert found["overtaken by one at most"] <= SLOTS
    # Spread evenly, and nobody before its place.
    assert found["standard deviations from even"] < 4.5
    early = [each for each in night.started if each.second < night.places[each.uid]]
    assert early == []

    _in_the_morning(place, operator, made, policy)


def _in_the_morning(place: Workplace, operator: OperatorProcess, made: list[Object], policy: str) -> None:
    """All serve what they have learned, nothing is left over, and a restart finds nothing to do."""
    operator.until_idle(seconds=300)
    records: dict[str, dict[int, str]] = {}
    for record in place.admin.list(agents.API, "agentrevisions"):
        its = records.setdefault(record["spec"]["agentRef"]["uid"], {})
        its[record["spec"]["number"]] = record["status"]["state"]
    assert records == {agent["metadata"]["uid"]: {1: "Superseded", 2: "Stable"} for agent in made}
    wait_for(lambda: place.admin.list("batch/v1", "jobs") == [], what="the Jobs to be gone", timeout=300)
    operator.until_idle(seconds=300)
    for agent in place.admin.list(agents.API, "aiagents"):
        training = agent["status"]["training"]
        assert training["waitsFor"]["reason"] == "NotDue"
        assert (training["last"]["revision"], training["last"]["state"]) == (2, "Stable")
        assert training["policies"] == [policy]
    counted = place.admin.get(agents.API, "agentpolicies", policy)["status"]
    assert (counted["agents"], counted["training"]) == (AGENTS, 0)

    operator.until_idle(seconds=300)
    mark = place.plane.audit_mark()
    operator.kill9()
    operator.forget_lease()
    operator.start(wait_ready=False)
    operator.wait_ready(seconds=300)
    operator.until_idle(seconds=300)
    assert [write.uri for write in place.writes(mark)] == []
