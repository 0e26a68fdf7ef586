"""Runs of evaluations that are Jobs: what they need, when they begin, and what becomes of their result.

Order: the record; account and network of the runs; the Job; its beginning is written down, so that a Job that is
missing afterwards was removed; the verdict is written down; the Job is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from aiagent_operator.api import runs
from aiagent_operator.api.agentevaluation import Provider, Purpose
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core import texts
from aiagent_operator.core.children import evaluation, run_account, run_job, run_network
from aiagent_operator.core.children.run_job import Run, RunTemplateError, Stable
from aiagent_operator.core.evaluation import evaluating, jobs
from aiagent_operator.core.evaluation.evaluating import Seen, Step
from aiagent_operator.core.evaluation.jobs import JobState, SeenJob
from aiagent_operator.core.evaluation.record import RecordError, job_of
from aiagent_operator.core.objects import Child, ChildKind, Desired, Manifest, ObjectKey, digest
from aiagent_operator.core.plan import Observed, Write, create, delete
from aiagent_operator.core.runs import foreign
from aiagent_operator.core.runs.outcome import LOOK_AGAIN, Failed, Outcome, Running, Succeeded, Waiting, outcome
from aiagent_operator.core.versions.revisions import facts as revision_facts


def base(o: Observed, *, wanted: bool) -> tuple[Desired, ...]:
    """Account and network of the runs; `wanted`: the spec has evaluations that are Jobs."""
    if not wanted and not _jobs(o):
        return ()
    account = run_account.build(o.identity, RunKind.EVALUATION)
    return account, run_network.build(o.identity, o.agent.spec.connections, o.environment.dns)


def leave(o: Observed, *, wanted: bool) -> list[Write]:
    """Removes the Jobs of runs that are over, and what runs needed once there are none any more."""
    open_runs = {_key(o, child) for child in evaluating.known(o) if _is_open(child)}
    found = _jobs(o)
    over = [delete(child) for child in found if child.key not in open_runs and not child.deleting]
    if wanted or found:
        return over
    # Their network goes by what is decided about trainings, which have the same.
    account = ObjectKey(
        ChildKind.SERVICE_ACCOUNT, o.identity.namespace, runs.account_name(o.identity.name, RunKind.EVALUATION)
    )
    child = o.children.get(account)
    return [delete(child)] if child and not child.deleting else []


def rests(o: Observed, child: Child) -> Step:
    """The step of a run whose revision is not asked for now: none begins, but one that has goes on to its end."""
    return _go_on(o, child, o.children[_key(o, child)]) if _key(o, child) in o.children else Step()


def carry(o: Observed, child: Child, record: Child, stable: Child | None) -> Step:
    """The next step of a run of the revision `record`, while `stable` serves."""
    job = o.children.get(_key(o, child))
    if job is not None:
        return _go_on(o, child, job)
    seen = evaluating.read(o, child)
    if isinstance(seen, Step):
        return seen
    if seen.status.started_at is not None:
        return _written(seen, outcome(None, ()), o)
    compared = stable and revision_facts(stable).number == seen.record.spec.stable_revision
    return _begin(o, seen, record, stable if compared else None)


def is_by_job(child: Child) -> bool:
    """Whether a Job measures the run."""
    return evaluating.facts(child).provider is Provider.JOB


def has_job(o: Observed, child: Child) -> bool:
    """Whether the Job of the run is there."""
    return _key(o, child) in o.children


def _go_on(o: Observed, child: Child, job: Child) -> Step:
    seen = evaluating.read(o, child)
    if isinstance(seen, Step):
        return seen
    if seen.status.started_at is None:
        begun = jobs.begin(seen.record.spec.template.metrics, o.now)
        return Step((evaluating.written(seen, begun),))
    if job.key not in o.pods:
        return Step(needs_pods=frozenset({job.key}))
    return _written(seen, outcome(job.job, o.pods[job.key]), o)


def _written(seen: Seen, found: Outcome, o: Observed) -> Step:
    spec = seen.record.spec
    compared = spec.stable_revision is not None
    grouped = spec.purpose is Purpose.BIAS_AUDIT
    status = jobs.record(spec.template.metrics, seen.status, _seen(found), o.now, compared=compared, grouped=grouped)
    if status != seen.status:
        return Step((evaluating.written(seen, status),))
    return Step(due=LOOK_AGAIN if isinstance(found, Waiting | Running) else None)


def _seen(found: Outcome) -> SeenJob:
    match found:
        case Waiting(reason=_, message=message):
            return SeenJob(JobState.WAITING, reason=message)
        case Running(problem=problem):
            return SeenJob(JobState.RUNNING, reason=problem)
        case Succeeded(result=result):
            return SeenJob(JobState.SUCCEEDED, result)
        case Failed(reason=reason, message=message, tail=tail):
            return SeenJob(JobState.FAILED, tail or message, reason)


def _begin(o: Observed, seen: Seen, record: Child, stable: Child | None) -> Step:
    """The Job, once the account that it runs as and the network that limits it are as they should be."""
    for desired in base(o, wanted=True):
        child = o.children.get(desired.key)
        if child is None or child.digest != desired.digest or child.deleting:
            failure = o.refusal(desired)
            return Step(trouble=failure.message if failure else "")
    told = [each.key for each in (record, stable) if each]
    if unread := frozenset(told) - o.live.keys():
        return Step(needs=unread)
    try:
        desired = _job(o, seen, record, stable)
    except (RecordError, RunTemplateError) as error:
        return Step(trouble=f"evaluation {seen.record.spec.template.name}: {error}")
    failure = o.refusal(desired)
    return Step((create(desired),), trouble=failure.message if failure else "")


def _job(o: Observed, seen: Seen, record: Child, stable: Child | None) -> Desired:
    """Raises RecordError and RunTemplateError."""
    spec, how = seen.record.spec, o.agent.spec.retraining
    template = job_of(spec.template)
    if template is None:
        raise RecordError(f"evaluation {spec.template.name} has no job")
    live = o.live[record.key] or {}
    image, artifact = _made_of(o, live)
    serving = None
    if stable is not None:
        before = _made_of(o, o.live[stable.key] or {})
        serving = Stable(revision_facts(stable).number, artifact=before[1], image=before[0])
    trigger = (live.get("spec") or {}).get("trigger", "")
    env = run_job.environment(o.identity, RunKind.EVALUATION, spec.revision, serving, trigger)
    env |= {runs.ENV_IMAGE: image, runs.ENV_ARTIFACT: artifact}
    names = how.connections if how else ()
    content = template.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if spec.purpose is Purpose.HIRING:
        # The role's author has not given the agent its Secrets: such a run gets files of no connection, and names none.
        names = ()
        if problems := foreign.problems(content["spec"]["template"]["spec"]):
            raise RunTemplateError(f"it is a role's, and {texts.some(problems, 4, '; ')}")
    run = replace(
        _run(o, seen.child),
        env=env,
        handbook=revision_facts(record).handbook,
        connections=run_job.named(names, o.agent.spec.connections, run_job.CONNECTIONS),
    )
    return run_job.desired(o.identity, run, content)


def _made_of(o: Observed, live: Mapping[str, Any]) -> tuple[str, str]:
    """Image and artifact of a revision; what a training made of it goes before its beginning. The image is that of the
    template's first container, or of the container that is named of a target."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    work: Manifest = status.get("work") or spec.get("work") or {}
    if "template" in work:
        containers = orjson.loads(work["template"]).get("spec", {}).get("containers") or []
    else:
        # Of an adopted workload only the images are known.
        container, containers = o.agent.spec.workload.container, work.get("images") or []
        if name := work.get("container") or (container.name if container else ""):
            containers = [each for each in containers if each["container"] == name]
    artifact = (status.get("result") or {}).get("artifact") or (spec.get("learned") or {}).get("artifact")
    return (containers[0].get("image") or "") if containers else "", artifact or ""


def _run(o: Observed, record: Child) -> Run:
    """The run of a record. Its Job's name says of which run it is where there may be several: in a hash, since pods are
    called after it, and a dot is not for these."""
    its, name = evaluating.facts(record), record.key.name
    plain = name == evaluation.name_of(o.identity, its.revision, its.name)
    return Run(RunKind.EVALUATION, its.revision, f"eval-{its.name}" + ("" if plain else f"-{digest(name)[:8]}"), {})


def _key(o: Observed, record: Child) -> ObjectKey:
    return run_job.key_of(o.identity, _run(o, record))


def _is_open(child: Child) -> bool:
    its = evaluating.facts(child)
    return its.provider is Provider.JOB and not its.phase.completed


def _jobs(o: Observed) -> list[Child]:
    """The Jobs of evaluations."""
    own = [child for child in o.children.values() if child.job and child.job.run == RunKind.EVALUATION.value]
    return sorted(own, key=lambda child: child.key)
