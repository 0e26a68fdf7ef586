"""The operator is killed at every write of an onboarding, an update, a deletion, orders and a policy, one by one.
So it is at those of retrainings, from the order until what was learned serves, by each way in which that takes over.

For the first three each crash point is enumerated, with a run for each: the n-th write, from the first to the last
there is, just before it reaches the API server, and after it took effect but before the operator hears of that. For
each of all there is a run in which no operator comes to a second write: it is killed before that, and so is the next
one, from the first write to the last. CRASH_POINTS=each enumerates those of all. At no moment may the agent hold a
right that neither its old nor its new spec gives it, or that its journal does not tell of, and in the end all is
exactly as if nothing had happened.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, finalizer, gateway
from support.agents import permission, rule
from support.committee import here, new_policy
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, When
from support.runs import template as run_template
from support.services import make_services, selected
from support.snapshots import lasting, renamed
from support.workplace import Workplace

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

Rights = frozenset[tuple[str, str, str, str]]


@dataclass
class Rig:
    """An operator behind a proxy, and a place where it works."""

    place: Workplace
    proxy: FaultProxy
    operator: OperatorProcess
    crm: str
    archive: str
    finance: str
    role: str
    hiring: str = ""

    def old(self) -> list[Object]:
        """Permissions before the update."""
        return [
            permission("tickets", self.crm, rules=[rule("get list update", "tickets")]),
            permission("articles", self.archive, rules=[rule("get", "articles")]),
            permission("refund"),
        ]

    def new(self) -> list[Object]:
        """After it: narrowed in one namespace, widened in another, gone from a third, and new in a fourth."""
        return [
            permission("tickets", self.crm, rules=[rule("get", "tickets")]),
            permission("articles", self.archive, rules=[rule("get list", "articles"), rule("get", "contracts")]),
            permission("invoices", self.finance, rules=[rule("list", "invoices")]),
        ]

    def wide(self, permissions: list[Object]) -> Rights:
        """Every right that these permissions give."""
        sets = {"refund": [agents.REFUND]}
        return frozenset(
            (namespace, group, resource, verb)
            for entry in permissions
            for namespace in entry.get("namespaces", [self.place.namespace])
            for each in entry.get("rules") or sets[entry["name"]]
            for group in each["apiGroups"]
            for resource in each["resources"]
            for verb in each["verbs"]
        )

    def hires(self) -> str:
        """A role like the other, with a hiring evaluation; one for all runs, since records are called after it."""
        if not self.hiring:
            job = run_template(message='{"measurements": [{"name": "accuracy", "value": "0.9"}]}')
            asked = {"name": "interview", "job": job, "metrics": [{"name": "accuracy", "min": "0.8"}]}
            ceiling = [rule("get list update", "tickets articles contracts invoices")]
            self.hiring = self.place.new_role("hires", ceiling=ceiling, hiringEvaluations=[asked])
        return self.hiring

    def recover(self) -> None:
        """Begin a test whatever the one before has left, and without its agents: each start would look at them anew."""
        self.proxy.reset()
        if not self.operator.running():
            self.operator.restart()
        left = self._names(agents.API, "aiagents")
        for name in left:
            self.place.dismiss(name)
        gone = f"the {len(left)} agents of the test before to be gone"
        wait_for(lambda: not self._names(agents.API, "aiagents"), what=gone, timeout=300)
        for api, plural in ((agents.API, "agentactions"), ("apps/v1", "deployments")):
            for name in self._names(api, plural):
                self.place.admin.delete(api, plural, name, namespace=self.place.namespace, propagation="Background")

    def _names(self, api: str, plural: str) -> list[str]:
        found = self.place.admin.list(api, plural, namespace=self.place.namespace)
        return [each["metadata"]["name"] for each in found]

    def settle(self) -> None:
        """Wait until the operator has nothing to do."""
        self.operator.until_idle()

    def untold(self, name: str, uid: str, held: Rights) -> Rights:
        """Of the rights that were just in force, those of which neither the agent's journal tells nor its status."""
        agent = self.place.find(name)
        missing = held - self.place.installed.archive.permitted(uid, agent)
        # One that was taken away meanwhile is rightly told to be gone.
        return frozenset(missing & self.place.rights(uid)) if missing else missing

    def state(self, name: str, uid: str) -> dict[str, Object]:
        """Everything there is of an agent, without what differs from run to run."""
        found: dict[str, Object] = {}
        for (kind, namespace, child), obj in self.place.children(uid).items():
            found[renamed(f"{kind} {namespace} {child}", name, uid)] = lasting(obj, name, uid)
        agent = self.place.find(name)
        return found | ({"AIAgent": lasting(agent, name, uid)} if agent else {})


@pytest.fixture(scope="module")
def rig(installed: Installation) -> Iterator[Rig]:
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        place = Workplace(installed)
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        gateway.install(place.admin)
        try:
            crm, archive, finance = (place.new_namespace(name) for name in ("crm", "archive", "finance"))
            ceiling = [rule("get list update", "tickets articles contracts invoices")]
            rig = Rig(place, proxy, operator, crm, archive, finance, place.new_role(ceiling=ceiling))
            operator.start()
            place.until_alone()
            rig.settle()
            # The operator adds the finalizer itself here, which is one more write to be killed at.
            with finalizer.born_without_it(place.admin, place.namespace):
                yield rig
        except BaseException as error:
            error.add_note(operator.tail(60))
            raise
        finally:
            operator.close()
            operator.forget_lease()
            place.clean()
            gateway.remove(place.admin)


@dataclass
class Run:
    """One agent's way from one state to the next: what is done to it, and how it is then."""

    name: str
    uid: str
    old: Rights
    new: Rights
    act: Callable[[], Any]
    arrived: Callable[[], bool]


def _onboarding(rig: Rig, number: int) -> Run:
    name = f"n{number:03}"

    def act() -> None:
        run.uid = rig.place.employ(name, rig.role, *rig.old())["metadata"]["uid"]

    run = Run(name, "", frozenset(), rig.wide(rig.old()), act, lambda: rig.place.is_ready(name))
    return run


def _update(rig: Rig, number: int) -> Run:
    run = _onboarding(rig, number)
    run.act()
    rig.place.until_ready(run.name)
    run.old, run.new = rig.wide(rig.old()), rig.wide(rig.new())
    changed = {"permissions": rig.new(), "handbook": {"instructions": {"inline": "Be brief."}}}
    run.act = lambda: rig.place.change(run.name, **changed)
    return run


def _deletion(rig: Rig, number: int) -> Run:
    run = _onboarding(rig, number)
    run.act()
    rig.place.until_ready(run.name)
    run.old, run.new = rig.wide(rig.old()), frozenset()
    run.act = lambda: rig.place.dismiss(run.name)
    run.arrived = lambda: rig.place.find(run.name) is None
    return run


def _offboarded(mode: str) -> Callable[[Rig, int], Run]:
    """An order lets the agent go, which stays as an object."""

    def begin(rig: Rig, number: int) -> Run:
        run = _deletion(rig, number)
        how: Object = {"reason": "Business", "mode": mode}
        run.act = lambda: rig.place.order("Offboard", f"bye-{run.name}", run.name, offboarding=how)
        run.arrived = lambda: rig.place.is_ordered(f"bye-{run.name}", "InForce")
        return run

    return begin


def _succession(rig: Rig, number: int, acceptance: str = "None") -> Run:
    """An agent is deleted, and the one that comes after it, which waits for that, is hired."""
    run = _onboarding(rig, number)
    place, before = rig.place, f"{run.name}-before"
    place.employ(before, rig.role, *rig.old(), retirement={"successorRef": {"name": run.name}})
    place.until_ready(before)
    asked = {"predecessorRef": {"name": before}, "acceptance": acceptance}
    heir = place.employ(run.name, rig.role, *rig.old(), succession=asked)
    run.uid = heir["metadata"]["uid"]
    place.until_reason(run.name, "Ready", "WaitingForHandover", "has not left")
    run.act = lambda: place.dismiss(before)
    run.arrived = lambda: place.find(before) is None and place.is_ready(run.name)
    return run


def _acceptance(rig: Rig, number: int) -> Run:
    """A person accepts what an agent has taken over, which is hired then, and the one before it goes."""
    run, place = _succession(rig, number, "Required"), rig.place
    over, order = run.arrived, f"yes-{run.name}"
    run.act()
    place.until_reason(run.name, "Ready", "WaitingForAcceptance")
    assert place.rights(run.uid) == set()
    run.act = lambda: place.order("Promote", order, run.name)
    run.arrived = lambda: over() and place.is_ordered(order, "Complete")
    return run


def _suspension(rig: Rig, number: int) -> Run:
    run = _onboarding(rig, number)
    run.act()
    rig.place.until_ready(run.name)
    run.old, run.new = rig.wide(rig.old()), frozenset()
    run.act = lambda: rig.place.order("Suspend", f"stop-{run.name}", run.name)
    run.arrived = lambda: rig.place.is_ordered(f"stop-{run.name}", "InForce")
    return run


def _resumption(rig: Rig, number: int) -> Run:
    run = _suspension(rig, number)
    run.act()
    wait_for(run.arrived, what=f"{run.name} to be suspended")
    run.old, run.new = frozenset(), rig.wide(rig.old())
    run.act = lambda: rig.place.order("Resume", f"go-on-{run.name}", run.name)
    run.arrived = lambda: rig.place.is_ordered(f"go-on-{run.name}", "Complete") and rig.place.is_ready(run.name)
    return run


def _rollback(rig: Rig, number: int) -> Run:
    run = _onboarding(rig, number)
    run.act()
    rig.place.until_ready(run.name)
    rig.place.change(run.name, handbook={"instructions": {"inline": "Be brief."}})
    rig.place.until_ready(run.name)
    run.old = run.new
    run.act = lambda: rig.place.order("Rollback", f"back-{run.name}", run.name)
    run.arrived = lambda: rig.place.is_ordered(f"back-{run.name}", "Complete") and rig.place.is_ready(run.name)
    return run


def _retraining(rig: Rig, number: int) -> Run:
    run = _onboarding(rig, number)
    how = {"jobTemplate": run_template()}
    run.uid = rig.place.employ(run.name, rig.role, *rig.old(), retraining=how)["metadata"]["uid"]
    rig.place.until_ready(run.name)
    run.old = run.new
    run.act = lambda: rig.place.order("Retrain", f"again-{run.name}", run.name)

    def arrived() -> bool:
        serves = (rig.place.get(run.name)["status"].get("revision") or {}) == {"stable": 2, "latest": 2}
        return serves and rig.place.is_ordered(f"again-{run.name}", "Complete") and rig.place.is_ready(run.name)

    run.arrived = arrived
    return run


def _age(rig: Rig, number: int) -> Run:
    """A policy suspends the agent for the age of its training."""
    run = _onboarding(rig, number)
    run.act()
    label = {"metadata": {"labels": {"run": run.name}}}
    rig.place.admin.patch(agents.API, "aiagents", run.name, label, namespace=rig.place.namespace)
    rig.place.until_ready(run.name)
    run.old, run.new = rig.wide(rig.old()), frozenset()
    selector = {**here(rig.place), "agentSelector": {"matchLabels": {"run": run.name}}}
    strict = {"maxAge": "1s", "overdue": {"grace": "0s", "action": "Suspend"}}
    run.act = lambda: new_policy(rig.place, f"age-{run.name}", selector, **strict)

    def arrived() -> bool:
        ready = agents.condition(rig.place.get(run.name), "Ready")
        policy = rig.place.admin.get(agents.API, "agentpolicies", rig.place.name(f"age-{run.name}"))
        return bool(ready and ready["reason"] == "Suspended" and policy["status"].get("overdue") == 1)

    run.arrived = arrived
    return run


def _forgiven(rig: Rig, number: int) -> Run:
    """That policy goes."""
    run = _age(rig, number)
    run.act()
    wait_for(run.arrived, what=f"{run.name} to be suspended for its age")
    run.old, run.new = frozenset(), rig.wide(rig.old())
    run.act = lambda: rig.place.admin.delete(agents.API, "agentpolicies", rig.place.name(f"age-{run.name}"))
    run.arrived = lambda: rig.place.is_ready(run.name)
    return run


def _rolled_out(strategy: Object, *evaluations: Object, trains: bool = True) -> Callable[[Rig, int], Run]:
    """A training whose result is measured and takes over by this strategy, or an edit that does; @ stands for the
    agent's name in the names of Services."""

    def begin(rig: Rig, number: int) -> Run:
        run = _onboarding(rig, number)
        given = json.loads(json.dumps(strategy).replace("@", run.name))
        services = [given["blueGreen"]["activeService"]] if "blueGreen" in given else []
        for name in services:
            make_services(rig.place, name, **{"workforce.dev/agent": run.name})
        how: Object = {"rollout": given, "evaluations": list(evaluations)}
        how |= {"jobTemplate": run_template()} if trains else {}
        run.uid = rig.place.employ(run.name, rig.role, *rig.old(), retraining=how)["metadata"]["uid"]
        rig.place.until_ready(run.name)
        run.old = run.new

        def arrived() -> bool:
            serves = rig.place.get(run.name)["status"]["revision"] == {"stable": 2, "latest": 2}
            switched = all(selected(rig.place)[name] == "2" for name in services)
            told = not trains or rig.place.is_ordered(f"again-{run.name}", "Complete")
            return serves and switched and told and rig.place.is_ready(run.name)

        brief = {"instructions": {"inline": "Be brief."}}
        run.act = lambda: (
            rig.place.order("Retrain", f"again-{run.name}", run.name)
            if trains
            else rig.place.change(run.name, handbook=brief)
        )
        run.arrived = arrived
        return run

    return begin


def _landed(strategy: Object | None, kind: str = "Deployment") -> Callable[[Rig, int], Run]:
    """Another image of a target, by this strategy, or by the target's own rolling update; @ stands for the agent's name
    in the names of Services and route."""

    def begin(rig: Rig, number: int) -> Run:
        run, place = _onboarding(rig, number), rig.place
        given = json.loads(json.dumps(strategy).replace("@", run.name))
        if given and "trafficRouting" in given:
            services = (run.name, f"{run.name}-next")
            make_services(place, *services, **{"workforce.dev/agent": run.name})
            place.admin.create(gateway.route(place.namespace, *services, name=run.name))
        place.admin.create(agents.workload(place.namespace, run.name, kind=kind, replicas=2))
        workload = agents.target(run.name, kind=kind, image=agents.IMAGE, take_over=True)
        how = {"retraining": {"rollout": given}} if given else {}
        run.uid = place.employ(run.name, rig.role, *rig.old(), workload=workload, **how)["metadata"]["uid"]
        place.until_ready(run.name)
        run.old = run.new

        def arrived() -> bool:
            said = place.get(run.name)["status"]["revision"]
            alone = not place.exists("Deployment", place.namespace, f"{run.name}-canary")
            turned = not given or "trafficRouting" not in given or _turned(place, run.name)
            serves = said.get("stable") == 2 and "rollingOut" not in said
            return serves and alone and turned and place.is_ready(run.name)

        image = {"container": {"image": "registry.example/agent:2"}}
        run.act = lambda: place.change(run.name, workload=image)
        run.arrived = arrived
        return run

    return begin


def _turned(place: Workplace, name: str) -> bool:
    """Whether both Services select the second revision, and the first of them gets all requests."""
    found = selected(place)
    route = place.admin.get(gateway.API, "httproutes", name, namespace=place.namespace)
    weights = {name: 100, f"{name}-next": 0}
    return [found[each] for each in weights] == ["2", "2"] and gateway.weights(route) == weights


def _evaluation(rig: Rig, number: int) -> Run:
    """A new agent that is measured by a Job before it gets anything; kwok ends the pod in the kubelet's place."""
    run = _onboarding(rig, number)

    def act() -> None:
        spec = {"retraining": {"evaluations": [_held_out()]}}
        run.uid = rig.place.employ(run.name, rig.role, *rig.old(), **spec)["metadata"]["uid"]

    run.act = act
    return run


def _held_out() -> Object:
    job = run_template(message='{"measurements": [{"name": "accuracy", "value": "0.9"}]}')
    return {"name": "held-out", "job": job, "metrics": [{"name": "accuracy", "min": "0.8"}]}


# The analysis begins with the first weight, and its Job is over before that of the step begins.
ANALYSED: Object = {
    "strategy": "Canary",
    "steps": [{"weight": 50}, {"pause": {"duration": "3s"}}, {"evaluation": {"name": "held-out"}}],
    "analysis": [{"name": "held-out"}],
}


def _hiring(rig: Rig, number: int) -> Run:
    """A new agent that is hired by an evaluation of its role."""
    run = _onboarding(rig, number)
    role = rig.hires()

    def act() -> None:
        run.uid = rig.place.employ(run.name, role, *rig.old())["metadata"]["uid"]

    run.act = act
    return run


SCENARIOS: dict[str, Callable[[Rig, int], Run]] = {
    "onboarding": _onboarding,
    "update": _update,
    "deletion": _deletion,
    "planned": _offboarded("Planned"),
    "emergency": _offboarded("Emergency"),
    "succession": _succession,
    "acceptance": _acceptance,
    "suspension": _suspension,
    "resumption": _resumption,
    "rollback": _rollback,
    "retraining": _retraining,
    "age": _age,
    "forgiven": _forgiven,
    "canary": _rolled_out(
        {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {"duration": "1s"}}]}, _held_out()
    ),
    "recreate": _rolled_out({"strategy": "Recreate"}),
    "bluegreen": _rolled_out(
        {"strategy": "BlueGreen", "blueGreen": {"activeService": "@"}, "scaleDownDelaySeconds": 1}
    ),
    "evaluation": _evaluation,
    "analysis": _rolled_out(ANALYSED, _held_out(), trains=False),
    "hiring": _hiring,
    "target": _landed(None),
    "target-canary": _landed({"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {"duration": "1s"}}]}),
    "target-partition": _landed(
        {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {"duration": "1s"}}]}, "StatefulSet"
    ),
    "target-recreate": _landed({"strategy": "Recreate"}),
    "target-route": _landed(
        {
            "strategy": "Canary",
            "steps": [{"weight": 50}, {"pause": {"duration": "1s"}}],
            "trafficRouting": {"httpRoute": {"name": "@"}, "stableService": "@", "canaryService": "@-next"},
            "scaleDownDelaySeconds": 1,
        }
    ),
}
# Writes that two runs may differ by: of what is waited for, as much is reported as is seen in between.
SLACK = {
    "succession": 8,
    "acceptance": 8,
    "retraining": 8,
    "evaluation": 8,
    "canary": 16,
    "recreate": 16,
    "bluegreen": 16,
    "analysis": 16,
    "hiring": 8,
}
SLACK |= {"target": 8, "target-partition": 8, "target-canary": 8, "target-recreate": 8, "target-route": 16}
# Before the status says which generation of a Deployment was written, each operator writes it once more, to no effect.
AGAIN = ("suspension", "resumption", "age", "forgiven")
_BASIC = ("onboarding", "update", "deletion")
_EACH = tuple(SCENARIOS) if os.environ.get("CRASH_POINTS") == "each" else _BASIC
CRASHES = [(When.BEFORE, name) for name in _EACH] + [(When.AFTER, name) for name in _BASIC]


@pytest.mark.parametrize(("when", "scenario"), CRASHES, ids=[f"{name}-{when.value}" for when, name in CRASHES])
def test_a_crash_at_every_write(rig: Rig, when: When, scenario: str) -> None:
    begin = SCENARIOS[scenario]
    offset = 10_000 * list(When).index(when) + 100 * (1 + list(SCENARIOS).index(scenario))
    rig.recover()
    wanted, writes = _undisturbed(rig, begin(rig, offset))
    for number in range(1, 99):
        run = begin(rig, offset + number)
        rig.settle()
        if not _crashed(rig, run, number, when):
            assert rig.state(run.name, run.uid) == wanted
            # Two of a run's writes may become one, where a status is outdated before it is written.
            assert number > writes - SLACK.get(scenario, 3), (
                f"{number - 1} crash points, but an undisturbed run has {writes} writes"
            )
            return
        _never_too_much(rig, run)
        rig.proxy.reset()
        rig.operator.restart()

        def arrived(run: Run = run) -> bool:
            _never_too_much(rig, run)
            return run.arrived()

        wait_for(arrived, what=f"the {scenario} to end after a crash {when.value.lower()} write {number}")
        rig.settle()
        assert rig.state(run.name, run.uid) == wanted, f"after a crash {when.value.lower()} write {number}"
        assert rig.place.rights(run.uid) == run.new
        _told(rig, run)
    pytest.fail("98 writes are far more than any of this takes")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_operator_comes_to_a_second_write(rig: Rig, scenario: str) -> None:
    begin = SCENARIOS[scenario]
    offset = 30_000 + 100 * list(SCENARIOS).index(scenario)
    rig.recover()
    wanted, writes = _undisturbed(rig, begin(rig, offset))
    run = begin(rig, offset + 1)
    rig.settle()
    rig.proxy.reset()
    lives = 1
    # The first is at work already, and does not come to a first one.
    dead = _mortal(rig, 1)
    run.act()
    while not _ended(rig, run, dead):
        _never_too_much(rig, run)
        assert lives < 3 * writes, f"{lives} operators, each with a write, do not do what takes one {writes} writes"
        lives += 1
        rig.operator.forget_lease()
        rig.proxy.reset()
        rig.operator.start(wait_ready=False)
        # Only now: what the dead one still had on its way must not count as a write of this one, before it is there.
        dead = _mortal(rig, 3 if scenario in AGAIN else 2)
    rig.proxy.reset()
    rig.settle()
    assert rig.state(run.name, run.uid) == wanted, f"by {lives} operators"
    assert rig.place.rights(run.uid) == run.new
    _told(rig, run)
    # Writes that are on their way together reach the API server together: of one agent's, five at the most.
    assert lives > max(1, writes // 5), f"{lives} operators for {writes} writes: too few deaths"


def _told(rig: Rig, run: Run) -> None:
    """The journal is whole, ends where the status says, and knows of no other writer than those that came after."""
    archive = rig.place.installed.archive
    agent = rig.place.find(run.name)
    archive.whole(run.uid, agent["status"] if agent else None)
    told = archive.told(run.uid)
    assert not {"Recovered", "Forked"} & set(told)
    assert told.count("Created") == 1
    if agent is None or agent["status"]["phase"] == "Retired":
        assert told[-1] == "Terminated"
        archive.verified(run.uid)
        name = index.name(AgentIdentity(rig.place.namespace, run.name, run.uid))
        assert rig.place.admin.get(agents.API, "agentarchives", name)["status"]["phase"] == "Certified"


def _mortal(rig: Rig, number: int, when: When = When.BEFORE) -> threading.Event:
    """The operator dies at the write with this number; set when it is dead."""
    dead = threading.Event()

    def kill(_: Any) -> None:
        rig.operator.kill9()
        dead.set()

    rig.proxy.crash_at(number, when, kill)
    return dead


def _ended(rig: Rig, run: Run, dead: threading.Event) -> bool:
    """Whether the operator has brought it to its end, and not died before."""

    def over() -> bool:
        _never_too_much(rig, run)
        return dead.is_set() or (run.arrived() and rig.operator.is_leading() and rig.operator.is_idle())

    wait_for(
        over, what=f"the operator to come to the write at which it is killed, or {run.name} to arrive", timeout=120
    )
    rig.proxy.spare()
    return not dead.is_set()


def _undisturbed(rig: Rig, run: Run) -> tuple[dict[str, Object], int]:
    """How everything is in the end when nothing goes wrong, and the number of writes until then."""
    rig.settle()
    rig.proxy.reset()
    run.act()
    wait_for(run.arrived, what=f"{run.name} to arrive without a crash")
    rig.settle()
    assert rig.place.rights(run.uid) == run.new
    return rig.state(run.name, run.uid), rig.proxy.mutations


def _crashed(rig: Rig, run: Run, number: int, when: When) -> bool:
    """Sets out, with the operator's death at that write; False where it arrives with fewer writes than that."""
    rig.proxy.reset()
    dead = _mortal(rig, number, when)
    run.act()
    return not _ended(rig, run, dead)


def _never_too_much(rig: Rig, run: Run) -> None:
    """What Roles and bindings give together is part of the old rights, or part of the new ones: never some of both."""
    held = frozenset(rig.place.rights(run.uid))
    assert held <= run.old or held <= run.new, f"old {run.old}, new {run.new}, held {held}"
    assert rig.untold(run.name, run.uid, held) == set(), "a right was in force before anything told of it"
