"""The Job of a training or evaluation run, from the template that its author wrote.

A run is no part of the agent: it has an account of its own without rights, no token for the API server, none of the
labels by which an agent's pods are known, and a NetworkPolicy of its own. It gets files of those connections only that
are named for it: the Secret of a connection is for whoever wrote the connection, which is the agent's author, so
templates of roles name none (core/runs/foreign.py).

A Job is created and deleted, never replaced: queues such as Kueue change it, and the API server lets nobody change its
pods. So nothing of it is compared, and only what differs from the API server's defaults is spelled out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import jobtemplate, meta, runs
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core import injection as injections
from aiagent_operator.core import texts
from aiagent_operator.core.children import common
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Curricula, Desired, Manifest, ObjectKey, digest
from aiagent_operator.core.runs.facts import LOGS_TOO

ACTIVE_DEADLINE_SECONDS: Final = 21_600
"""Six hours, where the author says nothing: a run that hangs must not keep its place among those that may train."""

BACKOFF_LIMIT: Final = 2
"""Retries, where the author says nothing. Kubernetes' own default of 6 repeats an expensive mistake too often."""

CONNECTIONS: Final = "spec.retraining.connections"
"""Where an author names the connections whose files runs get."""

TERMINATION_LOG: Final = "/dev/termination-log"
"""Where a container leaves its message (core/v1, Container.terminationMessagePath)."""

# Fields that JobTemplate refuses. A template from before a rule came may have them all the same.
_NOT_PASSED: Final = ("selector", "manualSelector", "ttlSecondsAfterFinished", "managedBy", "completionMode")


class RunTemplateError(ValueError):
    """A Job that cannot be made from its template; the message names the container or volume and the remedy."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one revision.

    `number`: of the revision that is trained or evaluated. `suffix`: ends the Job's name, a DNS label such as `train`.
    `env`: what `environment` made, and more names that begin with WORKFORCE_. `handbook`: name of the ConfigMap to
    mount, None for no mount. `connections`: those whose files the run gets, as `named` found them.
    """

    kind: RunKind
    number: int
    suffix: str
    env: Mapping[str, str]
    handbook: str | None = None
    connections: tuple[Connection, ...] = ()


@dataclass(frozen=True, slots=True)
class Stable:
    """The revision that serves now, as runs are told about it."""

    number: int
    artifact: str = ""
    image: str = ""


def environment(  # noqa: PLR0917 - what is told, each of its own type
    agent: AgentIdentity,
    kind: RunKind,
    number: int,
    stable: Stable | None,
    trigger: str = "",
    curricula: Curricula = (),
) -> dict[str, str]:
    """What every run is told. All names are always there, empty where there is nothing to say, so that `$(...)` works.

    `stable` is None before the first revision has been promoted. `trigger`: why the revision is made.
    `curricula`: what policies demand of its training.
    """
    return {
        runs.ENV_AGENT: agent.name,
        runs.ENV_NAMESPACE: agent.namespace,
        runs.ENV_RUN: kind.value,
        runs.ENV_REVISION: str(number),
        runs.ENV_TRIGGER: trigger,
        runs.ENV_CURRICULA: " ".join(f"{policy}={version}" for policy, version in curricula),
        runs.ENV_STABLE_REVISION: str(stable.number) if stable else "",
        runs.ENV_STABLE_ARTIFACT: stable.artifact if stable else "",
        runs.ENV_STABLE_IMAGE: stable.image if stable else "",
        runs.ENV_HANDBOOK: meta.HANDBOOK_MOUNT,
    }


def named(names: Sequence[str], declared: Iterable[Connection], field: str) -> tuple[Connection, ...]:
    """The connections of the agent that a run names. `field` holds the names, and stands in the error.

    Raises RunTemplateError for a name that the agent does not declare.
    """
    known = {connection.name: connection for connection in declared}
    if missing := [name for name in names if name not in known]:
        have = texts.quoted(sorted(known)) or "none"
        raise RunTemplateError(
            f"{field} names {texts.quoted(missing)}, but spec.connections has {have}: declare it there"
        )
    return tuple(known[name] for name in dict.fromkeys(names))


def name_of(agent: AgentIdentity, run: Run) -> str:
    """Name of the Job: `<agent>-<number>-<suffix>`; one that would be too long is cut, and ends in its hash."""
    name = f"{agent.name}-{run.number}-{run.suffix}"
    if len(name) <= runs.LONGEST_JOB_NAME:
        return name
    return f"{name[: runs.LONGEST_JOB_NAME - 9]}-{digest(name)[:8]}"


def build(agent: AgentIdentity, run: Run, template: Mapping[str, Any]) -> Manifest:
    """The Job. `template` is a JobTemplate as its author wrote it, and is not changed.

    Raises RunTemplateError where the author's text and what is put in would get in each other's way.
    """
    given = _injection(agent, run)
    spec: Manifest = {key: value for key, value in template["spec"].items() if key not in _NOT_PASSED}
    pods = spec["template"]
    _check(pods["spec"], given)
    spec |= {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": spec.get("backoffLimit", BACKOFF_LIMIT),
        "activeDeadlineSeconds": spec.get("activeDeadlineSeconds", ACTIVE_DEADLINE_SECONDS),
        # Else a retry may begin while the pod before it is still writing to the same store.
        "podReplacementPolicy": spec.get("podReplacementPolicy", "Failed"),
        "template": {"metadata": _metadata(pods, given.labels), "spec": _pod_spec(pods["spec"], run, given)},
    }
    own = meta.child_labels(agent.name, agent.namespace, agent.uid) | {meta.LABEL_MANAGED_BY: meta.MANAGER}
    metadata = _metadata(template, {**given.labels, **own})
    metadata |= {"name": name_of(agent, run), "namespace": agent.namespace}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def desired(agent: AgentIdentity, run: Run, template: Mapping[str, Any]) -> Desired:
    """The Job as a child. Its digest is of the whole: a refusal is about this Job, and another is worth another try.

    Raises RunTemplateError, as `build` does.
    """
    return common.desired(manifest := build(agent, run, template), digest(manifest))


def key_of(agent: AgentIdentity, run: Run) -> ObjectKey:
    """Where the Job of the run is."""
    return ObjectKey(ChildKind.JOB, agent.namespace, name_of(agent, run))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels: the rest is for the API server, queues and controllers to change."""
    return common.owned_digest(live)


def is_own(live: Mapping[str, Any]) -> bool:
    """Whether the operator made this Job. Admission lets nobody else set that label; others of ours need not be."""
    return (live["metadata"].get("labels") or {}).get(meta.LABEL_MANAGED_BY) == meta.MANAGER


def _injection(agent: AgentIdentity, run: Run) -> Injection:
    """What the pods get: as the agent's do, but as another account, under other labels, and without its API token."""
    agents = injections.build(agent, run.handbook, run.connections)
    return Injection(
        account=runs.account_name(agent.name, run.kind),
        labels={
            runs.LABEL_RUN: run.kind.value,
            runs.LABEL_RUN_OF: agent.uid,
            runs.LABEL_REVISION: str(run.number),
        },
        volumes=tuple(volume for volume in agents.volumes if volume["name"] != injections.TOKEN_VOLUME),
        mounts=tuple(mount for mount in agents.mounts if mount["name"] != injections.TOKEN_VOLUME),
    )


def _metadata(author: Mapping[str, Any], labels: Mapping[str, str]) -> Manifest:
    """The author's labels and annotations, of which those of workforce.dev are never taken: they say what a pod is."""
    written = author.get("metadata") or {}
    metadata: Manifest = {"labels": {**_unreserved(written.get("labels")), **labels}}
    if annotations := _unreserved(written.get("annotations")):
        metadata["annotations"] = annotations
    return metadata


def _unreserved(written: Mapping[str, str] | None) -> dict[str, str]:
    return {key: value for key, value in (written or {}).items() if not key.startswith(f"{meta.GROUP}/")}


def _pod_spec(author: Mapping[str, Any], run: Run, given: Injection) -> Manifest:
    """The author's pod spec with all that a run gets. Init containers get it too: they fetch what the others read."""
    spec = injections.into({**author, "containers": [_told(c, run) for c in author["containers"]]}, given)
    if author.get("initContainers"):
        prepared = {"containers": [_told(container, run) for container in author["initContainers"]]}
        spec["initContainers"] = injections.into(prepared, given)["containers"]
    return spec | {"restartPolicy": "Never"}


def _told(container: Manifest, run: Run) -> Manifest:
    """The container with our variables first, since the kubelet lets a variable refer only to those before it."""
    ours = {**run.env, runs.ENV_RESULT: container.get("terminationMessagePath") or TERMINATION_LOG}
    env = [{"name": name, "value": value.replace("$", "$$")} for name, value in ours.items()]
    return container | {
        "env": [*env, *(container.get("env") or ())],
        "terminationMessagePolicy": container.get("terminationMessagePolicy") or LOGS_TOO,
    }


def _check(spec: Mapping[str, Any], given: Injection) -> None:
    """What the API server would refuse in words that nobody understands, or would take in another sense."""
    if problems := tuple(_problems(spec, given)):
        raise RunTemplateError("; ".join(problems[:5]))


def _problems(spec: Mapping[str, Any], given: Injection) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        if volume["name"].startswith(meta.VOLUME_PREFIX):
            yield f'volume "{volume["name"]}": names with {meta.VOLUME_PREFIX} in front are reserved: rename it'
    paths = {mount["mountPath"] for mount in given.mounts}
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        where = f'container "{container["name"]}"'
        for variable in container.get("env") or ():
            if variable["name"].startswith(jobtemplate.ENV_PREFIX):
                yield (
                    f"{where} sets {variable['name']}: variables that begin with {jobtemplate.ENV_PREFIX} are the "
                    f"operator's; give yours another name, with $({variable['name']}) as its value"
                )
        for mount in container.get("volumeMounts") or ():
            if mount["mountPath"].rstrip("/") in paths:
                yield f"{where} mounts {mount['name']} at {mount['mountPath']}, which is reserved: use another path"
