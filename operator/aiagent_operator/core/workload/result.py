"""What is decided about the work of an agent, and the sentences that all kinds of work share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, Rollout
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.targets.adoption import Patch, PatchType

KINDS = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)
_VERBS = {PatchType.APPLY: Verb.APPLY, PatchType.MERGE: Verb.MERGE}


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """Writes, objects to read first, and what is to be said of the work.

    `complete`: what should serve does, with all its pods. `settled`: and nothing of what served before is left.
    `rejected`: why what was to take over does not. `status` are fields of the agent's status that have to stand there
    before any of the writes is sent. `requeue_after` is in seconds. `step` is about evaluations
    of a rollout.
    """

    writes: tuple[Write, ...] = ()
    needs: frozenset[ObjectKey] = frozenset()
    verdict: Verdict | None = None
    rollout: Rollout | None = None
    complete: bool = False
    settled: bool = False
    rejected: str = ""
    status: Mapping[str, Any] = field(default_factory=dict)
    requeue_after: float | None = None
    step: Step = field(default_factory=Step)


def patches(key: ObjectKey, steps: Iterable[Patch]) -> list[Write]:
    """The writes of an adopted workload."""
    return [Write(_VERBS[p.type], key, p.body, force=p.force, manager=p.manager) for p in steps]


def not_ready(reason: Reason, text: str) -> Verdict:
    """The work does not do what it should."""
    return Verdict(Type.WORKLOAD_READY, False, reason, text)


def waiting(key: ObjectKey, what: str) -> Verdict:
    """The work is on its way."""
    return not_ready(Reason.PROGRESSING, f"Waiting for {key} {what}")


def observed(o: Observed, child: Child) -> WorkloadPlan:
    """What is said of a workload that is as it should be, from what its controller reports."""
    key, rollout = child.key, child.rollout
    if rollout is None:
        return WorkloadPlan(verdict=waiting(key, "to report its status"))
    if rollout.complete(child.generation):
        verdict = Verdict(
            Type.WORKLOAD_READY, True, Reason.AVAILABLE, f"{key} has {rollout.ready} of {rollout.wanted} pods ready"
        )
        return WorkloadPlan(verdict=verdict, rollout=rollout, complete=True, settled=True)
    return WorkloadPlan(
        verdict=pods(o, (child,), f"{rollout.ready} of {rollout.wanted} pods of {key} are ready"), rollout=rollout
    )


def pods(o: Observed, children: Iterable[Child], wait: str) -> Verdict:
    """Pods are not ready yet, or cannot become so."""
    failures = [child.rollout.failure for child in children if child.rollout and child.rollout.failure]
    if problems := (*failures, *o.pod_problems):
        return not_ready(Reason.PODS_FAILING, f"{wait}: {'; '.join(problems)}")
    return not_ready(Reason.PROGRESSING, f"Waiting for pods: {wait}")
