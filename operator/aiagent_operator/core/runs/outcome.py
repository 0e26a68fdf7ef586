"""What has become of a training or evaluation run, from its Job and the Job's pods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from aiagent_operator.core import untrusted
from aiagent_operator.core.runs.facts import JobFacts, PodFacts, Said

TAIL: Final = 1024
"""Characters of a log that are kept. It is shown in status, and what matters stands at the end."""


LOOK_AGAIN: Final = 30.0
"""Seconds before the pods of a run that does not get on are looked at again: nothing tells of them."""


class RunReason(StrEnum):
    """Why a run waits, or has failed where the Job itself gives no reason; else Job conditions' reasons stand."""

    QUEUED = "Queued"
    SUSPENDED = "Suspended"
    UNSCHEDULABLE = "Unschedulable"
    NO_POD = "NoPod"
    JOB_REMOVED = "JobRemoved"
    RESULT_LOST = "ResultLost"
    NO_RESULT = "NoResult"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing runs yet, or nothing any more until somebody lets it go on."""

    reason: RunReason
    message: str


@dataclass(frozen=True, slots=True)
class Running:
    """A pod of it runs. `problem`: why it may not come to an end, empty where all is well."""

    problem: str = ""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It has ended well. `result` is the termination message, to be read as a stranger's word. `tail`: the end of its
    log, made harmless; empty where it was not read."""

    result: str
    pod: str
    finished: datetime | None
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """It has ended otherwise. `tail`: the end of what the container said, made harmless; empty where it is silent."""

    reason: str
    message: str
    tail: str = ""
    finished: datetime | None = None


Outcome = Waiting | Running | Succeeded | Failed

_REMEDIES: Final = {
    "BackoffLimitExceeded": "mend what its log names",
    "PodFailurePolicy": "mend what its log names; podFailurePolicy of the jobTemplate says not to try again",
}


def outcome(job: JobFacts | None, pods: Sequence[PodFacts]) -> Outcome:
    """What has become of the run. `job` is None where it was made and is gone.

    `pods` are the Job's, oldest first, and listed after the Job was observed: else the result could be missing in them.
    """
    if job is None:
        return Failed(RunReason.JOB_REMOVED, "its Job was removed before the result was read: start the run again")
    if job.complete:
        return _result(job, pods)
    if job.failed is not None:
        return _failure(job, job.failed, pods)
    if job.deleting:
        text = f"{job} was deleted while it ran: start the run again"
        return Failed(RunReason.JOB_REMOVED, text, finished=job.finished)
    if job.ending is not None:
        return Running(f"{job} is ending ({job.ending}); its pod has still to stop")
    if job.suspended:
        return _suspended(job)
    return _under_way(job, pods)


def _result(job: JobFacts, pods: Sequence[PodFacts]) -> Outcome:
    pod = wrote_last(pods)
    if pod is None:
        text = (
            f"{job} completed, but its pod is gone, and the result with it: start the run again, and keep pods of "
            "finished Jobs from being removed"
        )
        return Failed(RunReason.RESULT_LOST, text, finished=job.finished)
    if not pod.message.strip():
        text = (
            f"{job} completed, but container {untrusted.shown(job.container)} of pod {pod.name} left no termination "
            "message: write the result to $WORKFORCE_RESULT"
        )
        return Failed(RunReason.NO_RESULT, text, pod.log, job.finished)
    return Succeeded(pod.message, pod.name, job.finished or pod.finished, pod.log)


def wrote_last(pods: Iterable[PodFacts]) -> PodFacts | None:
    """The pod whose result counts: of those that succeeded, the one that ended last."""
    ended = [(pod.finished, pod.name, pod) for pod in pods if pod.succeeded and pod.finished]
    return max(ended)[2] if ended else None


def _failure(job: JobFacts, said: Said, pods: Sequence[PodFacts]) -> Failed:
    """In the words of the Job, and of the pod that ended last."""
    last = _last_failed(pods)
    parts = [f"{job} failed ({said})"]
    if last:
        parts.append(f"pod {last.name}: {last.why}")
    if said.reason == "DeadlineExceeded":
        parts.append(f"raise activeDeadlineSeconds (now {job.deadline}), or let the run do less")
    elif said.reason in _REMEDIES:
        parts.append(_REMEDIES[said.reason])
    tail = untrusted.tail(last.message, TAIL) if last else ""
    return Failed(said.reason, "; ".join(parts), tail, job.finished)


def _last_failed(pods: Sequence[PodFacts]) -> PodFacts | None:
    ended = [(pod.finished, pod.name, pod) for pod in pods if pod.why and pod.finished]
    return max(ended)[2] if ended else None


def _suspended(job: JobFacts) -> Waiting:
    if job.queue:
        text = f"{job} waits in Kueue's queue {job.queue}: its Workload says for what (kubectl get workloads)"
        return Waiting(RunReason.QUEUED, text)
    by = f' by "{job.suspender}"' if job.suspender else ""
    return Waiting(RunReason.SUSPENDED, f"{job} is suspended{by}: set spec.suspend of the Job to false to let it run")


def _under_way(job: JobFacts, pods: Sequence[PodFacts]) -> Outcome:
    current = [pod for pod in pods if pod.finished is None]
    failed = _tried(job, pods)
    if not current:
        text = f"{job} has no pod{failed and ' now; '}{failed}"
        text += ": where this stays, its events say why, such as a quota (kubectl describe job)"
        return Waiting(RunReason.NO_POD, text)
    pod = current[-1]
    if pod.held and not pod.running:
        return Waiting(RunReason.UNSCHEDULABLE, f"pod {pod.name} of {job} has no node ({pod.held})")
    return Running("; ".join(part for part in (pod.stuck and f"pod {pod.name}: {pod.stuck}", failed) if part))


def _tried(job: JobFacts, pods: Sequence[PodFacts]) -> str:
    """How many tries have failed; empty where none has."""
    last = _last_failed(pods)
    if last is None:
        return ""
    return f"{sum(bool(pod.why) for pod in pods)} of {job.tries} tries failed, the last one: {last.why}"
