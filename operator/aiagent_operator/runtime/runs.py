"""Reads the pods of training and evaluation runs, and the end of what a training has said.

Pods are not watched, since few decisions ask about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiagent_operator.api import runs
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core import untrusted
from aiagent_operator.core.objects import Child, ObjectKey
from aiagent_operator.core.runs import facts
from aiagent_operator.core.runs.facts import JobFacts, PodFacts
from aiagent_operator.core.runs.outcome import TAIL, wrote_last
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import Api, ApiError, pages
from aiagent_operator.runtime.gather import mount_failures

JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""Label that the Job controller puts on the pods of a Job (Kubernetes: "Well-Known Labels")."""

_PAGE: Final = 100
# Pods of a run that are asked about their mounts: a run has one at a time.
_ASKED: Final = 3
_LINE: Final = 300
# Lines from the end of a log that are asked for, bytes of them that are taken, and seconds that a kubelet has for it: a
# result waits for nobody's log.
_LINES, _BYTES, _PATIENCE = 64, 65_536, 5.0


class PodsOfRuns:
    """What one pass has read of pods of Jobs. It counts for the version of the Job that was known then.

    A Job that has moved on is asked about again: a pod that ended since then holds its result.
    """

    def __init__(self, api: Api, *, logs: bool = False) -> None:
        """`logs`: whether the end of a training's log is read too."""
        self._api, self._logs = api, logs
        self._read: dict[ObjectKey, tuple[str, tuple[PodFacts, ...]]] = {}

    async def read(self, keys: Iterable[ObjectKey], children: Mapping[ObjectKey, Child]) -> None:
        """Reads the pods of these Jobs, as they are in `children`; one that is not there has none.

        Raises ApiError.
        """
        found = [(key, children.get(key)) for key in sorted(keys)]
        answers = await asyncio.gather(*(self._of(child) for _, child in found))
        for (key, child), pods in zip(found, answers, strict=True):
            self._read[key] = (child.resource_version if child else "", pods)

    def current(self, children: Mapping[ObjectKey, Child]) -> dict[ObjectKey, tuple[PodFacts, ...]]:
        """What was read, as far as the Jobs are still as they were then."""
        versions = {key: child.resource_version if (child := children.get(key)) else "" for key in self._read}
        return {key: pods for key, (version, pods) in self._read.items() if versions[key] == version}

    async def _of(self, child: Child | None) -> tuple[PodFacts, ...]:
        if child is None or child.job is None:
            return ()
        pods = await run_pods(self._api, child.key.namespace, child.job, agent_uid=child.agent_uid)
        trained = child.job.complete and child.job.run == RunKind.TRAINING.value
        last = wrote_last(pods) if self._logs and trained and child.job.shows_log else None
        if last is None:
            return pods
        said = await log_tail(self._api, child.key.namespace, last.name, child.job.container)
        return tuple(replace(pod, log=said) if pod is last else pod for pod in pods)


async def run_pods(api: Api, namespace: str, job: JobFacts, *, agent_uid: str) -> tuple[PodFacts, ...]:
    """The pods of a Job, oldest first, with what the kubelet says of volumes that it cannot mount.

    Raises ApiError.
    """
    selector = {"labelSelector": f"{runs.LABEL_RUN_OF}={agent_uid},{JOB_NAME}={job.name}"}
    live: list[dict[str, Any]] = []
    async for page in pages(api, f"/api/v1/namespaces/{namespace}/pods", selector, size=_PAGE):
        live += page.get("items") or ()
    pods = facts.observe_pods(job, live)
    uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in live}
    starting = [pod for pod in pods if not (pod.finished or pod.running or pod.held or pod.stuck)][-_ASKED:]
    failures = await asyncio.gather(*(mount_failures(api, namespace, uids[pod.name]) for pod in starting))
    said = {pod.name: untrusted.line(min(found), _LINE) for pod, found in zip(starting, failures, strict=True) if found}
    return tuple(replace(pod, stuck=said.get(pod.name, pod.stuck)) for pod in pods)


async def log_tail(api: Api, namespace: str, pod: str, container: str) -> str:
    """The end of what the container has said, made harmless; in brackets why it is not to be had."""
    asked = {"container": container, "tailLines": str(_LINES), "limitBytes": str(_BYTES)}
    said = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE), api.opened(paths.log(namespace, pod), asked) as body:
            async for piece in body:
                said += piece
    except (ApiError, TimeoutError) as error:
        why = str(error) or f"no answer within {_PATIENCE:.0f} s"
        return untrusted.line(f"[the log of pod {namespace}/{pod} could not be read: {why}]", TAIL)
    return untrusted.tail(said.decode(errors="replace"), TAIL)
