"""What decisions need of a live Job and its pods; nothing of the objects themselves is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiagent_operator.api import runs
from aiagent_operator.core import untrusted
from aiagent_operator.core.targets import managed_fields

KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"
"""Label of a Job that Kueue holds until there is quota (Kueue: "Run A Kubernetes Job")."""

LOGS_TOO: Final = "FallbackToLogsOnError"
"""Of a container (`terminationMessagePolicy`): the end of its log may stand for its message (Kubernetes: "Determine the
Reason for Pod Failure"). Jobs have it unless their author says otherwise."""

_LINE: Final = 300
_FINISHED: Final = ("Succeeded", "Failed")
_STARTING: Final = (None, "ContainerCreating", "PodInitializing")
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Said:
    """A reason in one word, and what Kubernetes says about it, on one line."""

    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A Job as it was last observed.

    `run`: what it is for, the value of its label. `revision`: number of the revision that it trains or evaluates, 0
    where its label is none. `account`: that its pods run as. `container`: the one that leaves the result. `shows_log`:
    whether its author lets the end of that container's log be shown (`terminationMessagePolicy`). `tries`: pods
    that it may have one after another. `deadline`: seconds. `queue`: of Kueue, where it is in one. `suspender`: who
    suspended it, empty where nobody but its author or the operator is known to have done so. `ending`: why its pods are
    being ended, until they are. `finished`: when it completed or failed.
    """

    namespace: str
    name: str
    uid: str
    account: str
    container: str
    run: str = ""
    revision: int = 0
    shows_log: bool = False
    tries: int = 1
    deadline: int = 0
    queue: str = ""
    suspended: bool = False
    suspender: str = ""
    active: int = 0
    complete: bool = False
    failed: Said | None = None
    ending: Said | None = None
    deleting: bool = False
    started: datetime | None = None
    finished: datetime | None = None

    def __str__(self) -> str:
        return f"Job {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod of a Job as it was last observed.

    `finished`: when it ended, None while it has not. `message`: what the container of the result left, or where the
    pod failed, the container that failed. `log`: the end of the log of the container of the result, where it was read.
    `why`: why it failed. `held`: why it has no node. `stuck`: why it does not get on.
    """

    name: str
    created: datetime
    running: bool = False
    succeeded: bool = False
    finished: datetime | None = None
    message: str = ""
    log: str = ""
    why: str = ""
    held: Said | None = None
    stuck: str = ""


def observe(live: Mapping[str, Any]) -> JobFacts:
    """The facts of a Job (batch/v1)."""
    metadata, spec, status = live["metadata"], live["spec"], live.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    ended = conditions.get("Complete") or conditions.get("Failed") or {}
    suspended = bool(spec.get("suspend"))
    pods, labels = spec["template"]["spec"], metadata.get("labels") or {}
    number = labels.get(runs.LABEL_REVISION, "")
    return JobFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        account=pods.get("serviceAccountName") or "default",
        container=pods["containers"][0]["name"],
        run=labels.get(runs.LABEL_RUN, ""),
        revision=int(number) if number.isdecimal() else 0,
        shows_log=pods["containers"][0].get("terminationMessagePolicy") == LOGS_TOO,
        tries=spec.get("backoffLimit", 6) + 1,
        deadline=spec.get("activeDeadlineSeconds", 0),
        queue=labels.get(KUEUE_QUEUE, ""),
        suspended=suspended,
        suspender=_suspender(live) if suspended else "",
        active=status.get("active", 0),
        complete="Complete" in conditions,
        failed=_said(conditions.get("Failed")),
        ending=_said(conditions.get("FailureTarget") or conditions.get("SuccessCriteriaMet")),
        deleting="deletionTimestamp" in metadata,
        started=_time(status.get("startTime")),
        finished=_time(status.get("completionTime") or ended.get("lastTransitionTime")),
    )


def observe_pods(job: JobFacts, live: Iterable[Mapping[str, Any]]) -> tuple[PodFacts, ...]:
    """The facts of the Job's pods, oldest first. Whatever others have given its labels is left out.

    A pod is the Job's where the Job controls it and it runs as the run's account, which admission gives to no other.
    """
    own = (pod for pod in live if _controller(pod) == job.uid and pod["spec"].get("serviceAccountName") == job.account)
    return tuple(sorted((_pod(job, pod) for pod in own), key=lambda pod: (pod.created, pod.name)))


def _suspender(live: Mapping[str, Any]) -> str:
    """The manager, other than the operator, that wrote `spec.suspend` last."""
    found = managed_fields.others(live, "spec", "suspend")
    return untrusted.line(found[-1].manager, _LINE) if found else ""


def _said(condition: Mapping[str, Any] | None) -> Said | None:
    if condition is None:
        return None
    return Said(condition.get("reason") or condition["type"], untrusted.line(condition.get("message") or "", _LINE))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _controller(pod: Mapping[str, Any]) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def _pod(job: JobFacts, live: Mapping[str, Any]) -> PodFacts:
    status = live.get("status") or {}
    created = _time(live["metadata"].get("creationTimestamp")) or _LONG_AGO
    phase, containers = status.get("phase", "Pending"), _containers(job, status)
    name = live["metadata"]["name"]
    if phase not in _FINISHED:
        conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "False"}
        held = _said(conditions.get("PodScheduled"))
        return PodFacts(name, created, phase == "Running", held=held, stuck=_stuck(containers))
    finished = max(_ends(status, containers), default=created)
    if phase == "Succeeded":
        message = next((_ended(c).get("message") or "" for c in containers if c["name"] == job.container), "")
        return PodFacts(name, created, succeeded=True, finished=finished, message=message)
    failed = next((c for c in containers if _ended(c).get("exitCode", 0) != 0), None)
    left = (_ended(failed).get("message") or "") if failed else ""
    return PodFacts(name, created, finished=finished, message=left, why=_why(status, failed))


def _containers(job: JobFacts, status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Statuses of all containers, that of the result first: it has the most to say."""
    every = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return sorted(every, key=lambda container: container["name"] != job.container)


def _ended(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("state") or {}).get("terminated") or {}


def _ends(status: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Iterator[datetime]:
    """When its containers ended; a pod that was evicted before it had any tells by its conditions."""
    times = [time for container in containers if (time := _time(_ended(container).get("finishedAt")))]
    yield from times or filter(None, (_time(c.get("lastTransitionTime")) for c in status.get("conditions") or ()))


def _why(status: Mapping[str, Any], failed: Mapping[str, Any] | None) -> str:
    """Why a pod failed: what befell the pod (evicted, preempted) says more than what its container did then."""
    disrupted = [c for c in status.get("conditions") or () if c["type"] == "DisruptionTarget" and c["status"] == "True"]
    if status.get("reason"):
        return str(Said(status["reason"], untrusted.line(status.get("message") or "", _LINE)))
    if disrupted:
        return str(_said(disrupted[0]))
    if failed is None:
        return "it says no reason"
    ended = _ended(failed)
    reason = ended.get("reason") or "Error"
    signal = f", signal {ended['signal']}" if ended.get("signal") else ""
    return f'container "{failed["name"]}" ended with exit code {ended["exitCode"]}{signal} ({reason})'


def _stuck(containers: Iterable[Mapping[str, Any]]) -> str:
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in _STARTING:
            said = Said(waiting["reason"], untrusted.line(waiting.get("message") or "", _LINE))
            return f'container "{container["name"]}": {said}'
    return ""
