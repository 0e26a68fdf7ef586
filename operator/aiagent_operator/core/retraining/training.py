"""The training of an agent: when one begins, what its Job gets, and what becomes of its result.

A training is a revision from its first moment on. Its record is made first, which is what counts as its place among
those that train at once; then account and network of its run, then the Job, and only when the record says that there
was one, a Job that is missing has been removed. What the Job leaves is written into the record once. From then on the
revision is a candidate like any other, and the Job is removed. Table of states: docs/training.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiagent_operator.api import runs
from aiagent_operator.api.agentrevision import RevisionState, Trigger
from aiagent_operator.api.retraining import Retraining, raw_job_template
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import revision, run_account, run_job, run_network
from aiagent_operator.core.children.revision import Origin
from aiagent_operator.core.children.run_job import Run, RunTemplateError, Stable
from aiagent_operator.core.objects import Child, ChildKind, Desired, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Plan, Verb, Write, create, delete, report, settle
from aiagent_operator.core.retraining.due import Start
from aiagent_operator.core.retraining.facts import pending
from aiagent_operator.core.retraining.trained import Rejected, accept
from aiagent_operator.core.runs.outcome import LOOK_AGAIN, Failed, Outcome, Running, Succeeded, Waiting, outcome
from aiagent_operator.core.versions import gating, revising
from aiagent_operator.core.versions.revising import Granted, Versions
from aiagent_operator.core.versions.revisions import facts

_SUFFIX = "train"
# Characters that a revision's message may have.
_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to do about a training that is under way, or its traces. `message`: what it does, or waits for."""

    writes: tuple[Write, ...] = ()
    needs_pods: frozenset[ObjectKey] = frozenset()
    message: str = ""
    requeue_after: float | None = None


def current(known: Iterable[Child]) -> Child | None:
    """The revision that is being trained; of several, which only a stranger could make, the oldest."""
    found = [c for c in known if facts(c).state is RevisionState.TRAINING and not c.deleting]
    return min(found, key=lambda child: facts(child).number, default=None)


def base(o: Observed) -> tuple[Desired, ...]:
    """Account and network of the runs: from the first training on, for as long as the spec says how to train."""
    if _how(o) is None:
        return ()
    account = run_account.build(o.identity, RunKind.TRAINING)
    if account.key not in o.children and current(revising.known(o)) is None:
        return ()
    return account, run_network.build(o.identity, o.agent.spec.connections, o.environment.dns)


def plan(o: Observed, versions: Versions) -> TrainingPlan:
    """What to do about the training that is under way, and about what former ones have left."""
    record = current(versions.known)
    jobs = [c for k, c in sorted(o.children.items()) if k.kind is ChildKind.JOB and _trains(c)]
    number = facts(record).number if record else 0
    traces = [c for c in jobs if not c.deleting and (c.job is None or c.job.revision != number)]
    left = tuple(map(delete, traces))
    if record is None:
        kept = [write for desired in base(o) if (write := settle(o, desired))]
        return TrainingPlan((*left, *kept, *_no_longer(o, jobs)))
    here = _under_way(o, versions, record)
    return replace(here, writes=(*left, *here.writes))


def _trains(child: Child) -> bool:
    return child.job is not None and child.job.run == RunKind.TRAINING.value


def _no_longer(o: Observed, jobs: list[Child]) -> list[Write]:
    """Account and network of the runs, once nothing says any more how to train, and no run is left. Evaluations that
    are Jobs have the same network."""
    if _how(o) is not None or jobs:
        return []
    kind, namespace, name = RunKind.TRAINING, o.identity.namespace, o.identity.name
    gone = [ObjectKey(ChildKind.SERVICE_ACCOUNT, namespace, runs.account_name(name, kind))]
    if not gating.by_job(o) and not any(key.kind is ChildKind.JOB for key in o.children):
        gone.append(ObjectKey(ChildKind.NETWORK_POLICY, namespace, runs.network_name(name)))
    return [delete(child) for key in gone if (child := o.children.get(key)) and not child.deleting]


def _how(o: Observed) -> Retraining | None:
    """How the agent is trained; None where its spec does not say."""
    how = o.agent.spec.retraining
    return how if how is not None and how.job_template is not None else None


def stopped(o: Observed) -> str:
    """Why no training of the agent may run on; empty while it may. Its age does not count: training mends that."""
    if _how(o) is None:
        return "spec.retraining says no more how to train"
    if o.agent.spec.suspended:
        return "spec.suspended is true"
    return f"ordered by {o.orders[0]}" if o.orders else ""


def _under_way(o: Observed, versions: Versions, record: Child) -> TrainingPlan:
    if why := stopped(o):
        status = {"state": RevisionState.SUPERSEDED.value, "completionTime": o.time}
        return TrainingPlan((report(record, status | {"message": f"Training stopped: {why}"[:_MESSAGE]}),))
    wanted = base(o)
    for desired in wanted:
        if failure := o.refusal(desired):
            return _rejected(o, record, failure.message)
    if put := [write for desired in wanted if (write := settle(o, desired))]:
        return TrainingPlan(tuple(put), message=f"Waiting for {put[0].key}")
    its = facts(record)
    try:
        run = _run(o, versions, record)
        desired = run_job.desired(o.identity, run, raw_job_template(o.raw_spec))
    except RunTemplateError as error:
        return _rejected(o, record, f"no Job can be made from spec.retraining.jobTemplate: {error}")
    job = o.children.get(desired.key)
    if its.training and not its.training.made:
        if job is not None:
            return TrainingPlan((report(record, {"state": RevisionState.TRAINING.value}),))
        if failure := o.refusal(desired):
            return _rejected(o, record, failure.message)
        return TrainingPlan((create(desired),), message=f"Waiting for {desired.key} to be created")
    if job and desired.key not in o.pods:
        return TrainingPlan(needs_pods=frozenset({desired.key}), message=f"Looking at the pods of {desired.key}")
    found = outcome(job.job if job else None, o.pods.get(desired.key, ()))
    return _after(o, versions, record, found, desired.key)


def _run(o: Observed, versions: Versions, record: Child) -> Run:
    how, its = _how(o), facts(record)
    assert how is not None and its.training is not None  # noqa: PT018, S101 - looked at before
    serving = versions.choice.stable
    now = facts(serving).learned if serving else None
    image = now.image or its.training.base_image if now else its.training.base_image
    stable = Stable(facts(serving).number, now.artifact if now else "", image) if serving else None
    return Run(
        RunKind.TRAINING,
        its.number,
        _SUFFIX,
        run_job.environment(
            o.identity, RunKind.TRAINING, its.number, stable, its.training.trigger, its.training.curricula
        ),
        handbook=its.handbook,
        connections=run_job.named(how.connections, o.agent.spec.connections, run_job.CONNECTIONS),
    )


def _after(o: Observed, versions: Versions, record: Child, found: Outcome, job: ObjectKey) -> TrainingPlan:
    match found:
        case Waiting(message=message):
            return TrainingPlan(message=message, requeue_after=LOOK_AGAIN)
        case Running(problem=problem):
            return TrainingPlan(message=problem or f"{job} runs", requeue_after=LOOK_AGAIN if problem else None)
        case Failed(message=message, tail=tail):
            return _rejected(o, record, message, tail)
        case Succeeded():
            return _succeeded(o, versions, record, found)


def _succeeded(o: Observed, versions: Versions, record: Child, ended: Succeeded) -> TrainingPlan:
    how = _how(o)
    if versions.asked is None or versions.asked.work is None or how is None:
        return TrainingPlan(message="Trained; waiting for the agent's handbook and work to be known")
    adopted = not o.agent.spec.workload.by_revision
    found = accept(facts(record), ended.result, how, versions.asked.base_image, o.time, adopted=adopted)
    if isinstance(found, Rejected):
        return _rejected(o, record, found.message, ended.tail)
    learned, result = found
    work = revising.ask(o, versions.asked.effective, learned).work
    assert work is not None  # noqa: S101 - what the spec asks for is known, and so it is with this
    what: Manifest = work.to_wire()
    if work.template is not None:
        what["template"] = revision.canonical(work.template)
    status = {
        "state": RevisionState.CANDIDATE.value,
        "completionTime": o.time,
        "result": result,
        "work": what,
        "log": ended.tail or None,
    }
    return TrainingPlan((report(record, status),))


def _rejected(o: Observed, record: Child, message: str, log: str = "") -> TrainingPlan:
    status = {
        "state": RevisionState.REJECTED.value,
        "completionTime": o.time,
        "message": f"Training failed: {message}"[:_MESSAGE],
        "log": log or None,
    }
    return TrainingPlan((report(record, status),))


def kept(o: Observed, versions: Versions) -> TrainingPlan:
    """What does not wait for the agent's role and handbook: a run is stopped or read, and its limits are kept.

    No Job is made meanwhile.
    """
    here = plan(o, versions)
    makes = [write for write in here.writes if write.verb is Verb.CREATE and write.key.kind is ChildKind.JOB]
    return replace(here, writes=tuple(write for write in here.writes if write not in makes))


def step(o: Observed, versions: Versions, granted: Granted) -> TrainingPlan:
    """What to do about the agent's training now: go on with the one under way, or begin one that has its place."""
    here = plan(o, versions)
    start = o.training.step if o.training else None
    if current(versions.known) or here.writes or not isinstance(start, Start):
        return here
    began = _begin(o, versions, granted, start.trigger) if o.admitted else None
    return replace(here, writes=(began,)) if began else here


def _begin(o: Observed, versions: Versions, granted: Granted, trigger: Trigger) -> Write | None:
    """The write that begins a training; None while the agent's work is not known.

    It begins with what serves: the work of the spec, with what that revision has learned.
    """
    if versions.asked is None or versions.asked.work is None or versions.make is not None:
        return None
    order, serving = pending(o), versions.choice.stable
    learned = facts(serving).learned if serving else versions.asked.learned
    start = revising.ask(o, versions.asked.effective, learned)
    if start.work is None:
        return None
    work = start.work
    if serving:
        now = facts(serving)
        work = replace(work, handbook=now.handbook, handbook_digest=now.handbook_digest, knowledge=now.knowledge)
    origin = Origin(
        Trigger.RETRAIN if order else trigger,
        revising.permissions(granted),
        parent=facts(serving).number if serving else None,
        learned=start.learned,
        base_image=start.base_image,
        base_model=start.base_model,
        order=(order.name, order.uid) if order else None,
        curricula=o.policies.curricula,
    )
    last = (o.agent.status.get("revision") or {}).get("latest", 0)
    number = max([last, *(facts(child).number for child in versions.known)]) + 1
    return create(revision.build(o.identity, number, work, origin))


def told(composed: Plan, versions: Versions, here: TrainingPlan) -> Plan:
    """The plan with what is to be said of the training under way, and of how the last one ended."""
    times = [time for time in (composed.requeue_after, here.requeue_after) if time is not None]
    fields = {**(composed.status.get("training") or {}), **_summary(versions, here)}
    return replace(
        composed,
        needs_pods=here.needs_pods,
        status={**composed.status, "training": fields or None},
        requeue_after=min(times, default=None),
    )


def _summary(versions: Versions, here: TrainingPlan) -> Manifest:
    trained = sorted((c for c in versions.known if facts(c).training), key=lambda child: facts(child).number)
    record = current(versions.known)
    fields: Manifest = {}
    if record:
        fields["current"] = {"revision": facts(record).number, "message": here.message[:_MESSAGE]}
    ended = [child for child in trained if (its := facts(child).training) and its.ended]
    if ended:
        last = facts(ended[-1])
        when = last.training.ended if last.training else ""
        fields["last"] = {"revision": last.number, "state": last.state.value, "completionTime": when}
    return fields
