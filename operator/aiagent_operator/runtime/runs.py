"""Reads the pods of training and evaluation runs: they are not watched, since few decisions ask about them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiagent_operator.api import runs
from aiagent_operator.core import untrusted
from aiagent_operator.core.objects import Child, ObjectKey
from aiagent_operator.core.runs import facts
from aiagent_operator.core.runs.facts import JobFacts, PodFacts
from aiagent_operator.runtime.client import Api, pages
from aiagent_operator.runtime.gather import mount_failures

JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""Label that the Job controller puts on the pods of a Job (Kubernetes: "Well-Known Labels")."""

_PAGE: Final = 100
# Pods of a run that are asked about their mounts: a run has one at a time.
_ASKED: Final = 3
_LINE: Final = 300


class PodsOfRuns:
    """What one pass has read of pods of Jobs. It counts for the version of the Job that was known then.

    A Job that has moved on is asked about again: a pod that ended since then holds its result.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
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
        return await run_pods(self._api, child.key.namespace, child.job, agent_uid=child.agent_uid)


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
