"""The work of an agent that brings a pod template: a Deployment for each revision that runs.

While one revision takes over from another, both serve; revisions.py says which they are, rolling.py how many pods each
has; where the spec has a rollout, stepwise.py does all this. What a revision runs is read from its record where the
spec has moved on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import injection as injections
from aiagent_operator.core.children import deployment, revision
from aiagent_operator.core.children.revision import Work
from aiagent_operator.core.objects import Child, ChildKind, Desired, Manifest, ObjectKey, Rollout
from aiagent_operator.core.plan import Observed, Write, create, delete, replace
from aiagent_operator.core.rollout import facts as rollouts
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload import rolling
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, observed, pods, waiting
from aiagent_operator.core.workload.rolling import Pods

_NONE = Pods()


@dataclass(frozen=True, slots=True)
class Run:
    """A revision, its Deployment as it is, and as it should be."""

    record: Child
    live: Child | None
    desired: Desired
    asked: int

    def settled(self, o: Observed) -> bool:
        """Whether nothing is to be written. The API server fills in defaults, so that the spec cannot be compared; its
        generation tells of every foreign edit."""
        child = self.live
        return bool(
            child
            and not child.deleting
            and child.digest == self.desired.digest
            and child.generation == o.generations.get(child.uid, 1)
        )

    def write(self, o: Observed) -> Write | None:
        """The write that brings the Deployment to what it should be."""
        if self.live is None:
            return create(self.desired)
        if self.settled(o) or self.live.deleting or self.live.claimed_by:
            return None
        return replace(self.live, self.desired)


def plan(o: Observed, choice: Choice, work: Work | None, *, down: bool) -> WorkloadPlan:
    """Writes for the Deployments of the revisions that serve, take over, or have served. `down` asks for no pods.

    `work` is what the spec asks for, whose template is at hand.
    """
    serving = serving_of(choice)
    if unknown := unread(o, serving, work):
        return unknown
    deployments = deployments_of(o)
    former = {
        key.name: child
        for key, child in deployments.items()
        if key.name not in {record.key.name for record in serving} and not child.deleting
    }
    runs, gone = _split(o, serving, former, work, down=down)
    rollout = together(deployments.values())
    said = _said(o, runs, down=down)
    if said.complete and choice.rolling and choice.target in serving and not down:
        # Nothing more of the rollout is written: the promotion makes the others former ones, which go.
        return WorkloadPlan(verdict=said.verdict, rollout=rollout, complete=True)
    writes = [write for run in runs if (write := run.write(o))]
    writes += [delete(former[name]) for name in sorted(gone)]
    verdict, left = said.verdict, sorted(deployments.keys() - {run.desired.key for run in runs})
    if left and verdict and verdict.status:
        verdict = waiting(left[0], "to be gone")
    return WorkloadPlan(
        tuple(writes),
        verdict=verdict,
        rollout=rollout,
        complete=said.complete,
        settled=said.complete and not left and not choice.rolling,
    )


def serving_of(choice: Choice) -> list[Child]:
    """The revision that serves, and after it the one that takes over, as far as they are the operator's to run."""
    pair = (choice.stable, choice.target) if choice.rolling else (choice.stable or choice.target,)
    return [child for child in pair if child and not facts(child).adopted]


def unread(o: Observed, serving: Iterable[Child], work: Work | None) -> WorkloadPlan | None:
    """What to do first where the records of what serves have yet to be read; None where all is at hand."""
    others = [child.key for child in serving if work is None or facts(child).work != work.digest]
    if missing := [key for key in others if key not in o.live]:
        return WorkloadPlan(needs=frozenset(missing))
    lost = [key for key in others if o.live[key] is None]
    return WorkloadPlan(verdict=waiting(lost[0], "to be seen gone")) if lost else None


def run_of(o: Observed, record: Child, work: Work | None, asked: int) -> Run:
    """The revision with its Deployment, of which so many pods are asked for."""
    its = facts(record)
    given = injections.build(o.identity, its.handbook, o.agent.spec.connections)
    desired = deployment.build(o.identity, its.number, _template(o, record, work), asked, given)
    return Run(record, deployment_of(o, record), desired, asked)


def deployment_of(o: Observed, record: Child) -> Child | None:
    """The Deployment of a revision; None where there is none."""
    return o.children.get(ObjectKey(ChildKind.DEPLOYMENT, o.identity.namespace, record.key.name))


def deployments_of(o: Observed) -> Mapping[ObjectKey, Child]:
    """The agent's Deployments that are wholly the operator's."""
    return {k: c for k, c in o.children.items() if k.kind is ChildKind.DEPLOYMENT and not c.claimed_by}


def _split(
    o: Observed, serving: list[Child], former: Mapping[str, Child], work: Work | None, *, down: bool
) -> tuple[list[Run], frozenset[str]]:
    wanted = 0 if down else wanted_of(o)
    pods_of = [*(_pods(deployment_of(o, each)) for each in serving), None, None]
    split = rolling.split(wanted, pods_of[0], pods_of[1], {name: _pods(child) for name, child in former.items()})
    runs = [
        run_of(o, record, work, asked) for record, asked in zip(serving, (split.stable, split.target), strict=False)
    ]
    return runs, split.gone


def wanted_of(o: Observed) -> int:
    """How many pods the agent wants."""
    replicas = o.agent.spec.workload.replicas
    return 1 if replicas is None else replicas


def _template(o: Observed, record: Child, work: Work | None) -> Manifest:
    if work and work.template is not None and facts(record).work == work.digest:
        return work.template
    live = o.live[record.key]
    assert live is not None  # noqa: S101 - looked at before
    return revision.template(live)


def _pods(child: Child | None) -> Pods:
    if child is None or child.rollout is None or child.deleting:
        return _NONE
    return Pods(child.rollout.wanted, child.rollout.replicas, child.rollout.ready)


def _said(o: Observed, runs: list[Run], *, down: bool) -> WorkloadPlan:
    """What is said of the revision that is to serve, and whether it does with all its pods."""
    if not runs:
        return WorkloadPlan(verdict=not_ready(Reason.PROGRESSING, "Waiting for the first revision to be recorded"))
    if down:
        each = [said_of(o, run) for run in runs]
        return next((plan for plan in each if not plan.complete), each[-1])
    run = runs[-1]
    found = said_of(o, run)
    if len(runs) == 1 or (found.complete and run.asked == wanted_of(o)):
        return found
    children = [run.live for run in runs if run.live]
    target, stable = (_pods(each.live) for each in (run, runs[0]))
    wait = (
        f"revision {facts(run.record).number} takes over with {target.ready} of {wanted_of(o)} pods ready, "
        f"revision {facts(runs[0].record).number} serves with {stable.ready}"
    )
    return WorkloadPlan(verdict=pods(o, children, wait))


def counted(child: Child | None, number: int, name: str) -> rollouts.Pods:
    """The pods of one that is being deleted are on their way out, but still there."""
    if child is None or child.rollout is None:
        return rollouts.Pods(number, name)
    its = child.rollout
    if child.deleting:
        return rollouts.Pods(number, name, replicas=its.replicas, terminating=its.terminating, observed=False)
    return rollouts.Pods(
        number,
        name,
        wanted=its.wanted,
        replicas=its.replicas,
        updated=its.updated,
        ready=its.ready,
        terminating=its.terminating,
        failure=its.failure,
        observed=its.observed_generation >= child.generation,
    )


def said_of(o: Observed, run: Run) -> WorkloadPlan:
    """What is said of one Deployment; complete where it is as it should be, with all its pods."""
    key, child = run.desired.key, run.live
    if child is None:
        return WorkloadPlan(verdict=waiting(key, "to be created"))
    if child.deleting:
        return WorkloadPlan(verdict=waiting(key, "to be gone, so that it can be made anew"))
    if child.claimed_by:
        return WorkloadPlan(verdict=waiting(key, "to be released by its former claim"))
    return observed(o, child) if run.settled(o) else WorkloadPlan(verdict=waiting(key, "to be updated"))


def together(children: Iterable[Child]) -> Rollout | None:
    """The pods of all Deployments, for the status; None before there is one."""
    rollouts = [child.rollout for child in children if child.rollout]
    if not rollouts:
        return None
    return Rollout(
        replicas=sum(each.replicas for each in rollouts),
        wanted=sum(each.wanted for each in rollouts),
        updated=sum(each.updated for each in rollouts),
        ready=sum(each.ready for each in rollouts),
        observed_generation=0,
    )
