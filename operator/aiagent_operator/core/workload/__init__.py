"""The work of one agent: which writes bring its Deployments, or its adopted target, to what the spec says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.core import injection
from aiagent_operator.core.children.revision import Work
from aiagent_operator.core.objects import AgentIdentity, Child, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Verb, Write, delete
from aiagent_operator.core.targets import release as releasing
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload import landing, landing_routed, stepwise
from aiagent_operator.core.workload import target as targets
from aiagent_operator.core.workload import template as templates
from aiagent_operator.core.workload import traffic as requests
from aiagent_operator.core.workload.result import KINDS, WorkloadPlan, not_ready, patches, waiting

__all__ = ["WorkloadPlan", "exists", "images", "leave", "plan", "release", "stop"]


def plan(o: Observed, choice: Choice, work: Work | None, handbook: str, *, down: bool) -> WorkloadPlan:
    """Writes for the work the spec names, and for what it no longer names. `down` asks for no pods, once no binding is
    left. `work` is what the spec asks for, None before a target is adopted; `handbook` the ConfigMap of it."""
    target = o.agent.spec.workload.target_ref
    if not o.policies.readable and choice.order is None:
        # What cannot be read may forbid that another one takes over.
        choice = replace(choice, target=choice.stable or choice.target)
    if target is None:
        rollout = o.agent.spec.retraining and o.agent.spec.retraining.rollout
        if rollout:
            own = stepwise.plan(o, choice, work, rollout, down=down)
        else:
            own = _unsteered(o, choice, templates.plan(o, choice, work, down=down))
        return _with(own, leave(o, templates.deployments_of(o)))
    key = targets.key_of(o, target)
    if not down and (released := _released(o)):
        return released
    if o.agent.spec.workload.container is None:
        given = injection.build(o.identity, handbook, o.agent.spec.connections)
        what = targets.plan(o, target, given, down=down)
    elif (record := choice.target or choice.stable) is None:
        nothing = not_ready(Reason.PROGRESSING, "Waiting for the first revision to be recorded")
        return _with(_unsteered(o, choice, WorkloadPlan(verdict=nothing)), leave(o, (key,)))
    elif not facts(record).adopted:
        # Until the gate is open for the target, what has passed it goes on serving.
        serving = replace(choice, target=choice.stable)
        return _with(
            _unsteered(o, choice, templates.plan(o, serving, None, down=down)), leave(o, templates.deployments_of(o))
        )
    elif rollout := o.agent.spec.retraining and o.agent.spec.retraining.rollout:
        own = landing.plan(o, choice, record, target, rollout, down=down)
        if own.verdict and own.verdict.status and (former := _lingering(o, key)):
            own = replace(own, verdict=former)
        beside = choice.rolling or rollout.traffic_routing is not None
        return _with(own, leave(o, (key, landing.canary_key(o, target)) if beside else (key,)))
    else:
        what = targets.of_revision(o, target, facts(record), down=down)
    if what.verdict and what.verdict.status and (former := _lingering(o, key)):
        what = replace(what, verdict=former)
    return _with(_unsteered(o, choice, what), leave(o, (key,)))


def _released(o: Observed) -> WorkloadPlan | None:
    """What is done first where no Services are to tell the revisions of a target apart any more: as long as one does,
    its pods keep their numbers. None where none does."""
    rollout = o.agent.spec.retraining and o.agent.spec.retraining.rollout
    released = requests.release(o)
    if (rollout and rollout.traffic_routing is not None) or not released.services:
        return None
    return landing_routed.released_first(o, released)


def _unsteered(o: Observed, choice: Choice, what: WorkloadPlan) -> WorkloadPlan:
    """Without a rollout in the spec there are no steps to keep, and no Services to select anything."""
    left = stepwise.none(o, choice)
    writes, needs = (*what.writes, *left.writes), what.needs | left.needs
    return replace(what, writes=writes, needs=needs, status=left.status, step=left.step)


def _with(what: WorkloadPlan, left: WorkloadPlan) -> WorkloadPlan:
    return replace(
        what,
        writes=(*what.writes, *left.writes),
        needs=what.needs | left.needs,
        settled=what.settled and not left.writes,
    )


def images(o: Observed) -> tuple[tuple[str, str], ...] | None:
    """The images of the adopted target; None before it is adopted."""
    target = o.agent.spec.workload.target_ref
    child = o.children.get(targets.key_of(o, target)) if target else None
    return child.images if child and child.claimed_by == o.identity.uid else None


def exists(o: Observed) -> bool:
    """Whether there is work of the agent's already."""
    return any(key.kind in KINDS for key in o.children)


def stop(o: Observed) -> WorkloadPlan | None:
    """Writes that stop the pods of a suspended agent whose work cannot be decided about; None where none runs.

    Whatever is missing (its role, its handbook), what exists already can be scaled down as it is.
    """
    running = [
        child
        for key, child in sorted(o.children.items())
        if key.kind in KINDS and not child.deleting and child.rollout and child.rollout.wanted
    ]
    if not running:
        return None
    verdict = waiting(running[0].key, "to be scaled down")
    needs = {child.key for child in running if child.claimed_by and child.key not in o.live}
    writes: list[Write] = []
    for child in running:
        if not child.claimed_by:
            writes.append(Write(Verb.MERGE, child.key, {"spec": {"replicas": 0}}, uid=child.uid))
        elif (live := o.live.get(child.key)) and (scale := releasing.scale(live, suspended=True)):
            writes.extend(patches(child.key, [scale]))
    return WorkloadPlan(tuple(writes), frozenset(needs), verdict) if writes or needs else None


def _lingering(o: Observed, keep: ObjectKey) -> Verdict | None:
    """What is to be said while work that the spec no longer names is on its way out: its pods still run."""
    gone = {key for key, child in o.children.items() if key.kind in KINDS and child.deleting and not child.claimed_by}
    left = sorted(gone - {keep})
    return waiting(left[0], "to be gone") if left else None


def leave(o: Observed, keep: Iterable[ObjectKey]) -> WorkloadPlan:
    """Writes that remove the agent's other Deployments and release targets it no longer names."""
    kept = set(keep)
    others = [c for k, c in o.children.items() if k.kind in KINDS and k not in kept and not c.deleting]
    released = release(o.identity, [child for child in others if child.claimed_by], o.live)
    deleted = tuple(delete(child) for child in others if not child.claimed_by)
    return WorkloadPlan((*deleted, *released.writes), released.needs)


def release(agent: AgentIdentity, claimed: Iterable[Child], live: Mapping[ObjectKey, Manifest | None]) -> WorkloadPlan:
    """Gives adopted targets back, one step at a time: each next one is made from what the last one left."""
    writes: list[Write] = []
    needs: set[ObjectKey] = set()
    for child in claimed:
        if child.key not in live:
            needs.add(child.key)
        elif (manifest := live[child.key]) is not None:
            writes.extend(patches(child.key, releasing.release(manifest, agent)))
    return WorkloadPlan(tuple(writes), frozenset(needs))
