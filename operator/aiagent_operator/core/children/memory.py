"""What archives a volume of an agent's, its memory or its decision log: a Job that mounts it read-only, with an account
that holds no right and a network in which there is nothing but the operator.

The Job's name ends in a hash of all that it is: one that another leader has made, who listens elsewhere, is another.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from aiagent_operator.api import capture, meta, runs
from aiagent_operator.api.memory import LogVolume, Memory
from aiagent_operator.core import written
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.sending import AUDIENCE
from aiagent_operator.core.children import common, network_policy, service_account
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, digest

TRIES: Final = 6
"""Retries, with pauses of 10 s, 20 s and so on (Kubernetes: "Pod backoff failure policy"): some ten minutes."""

# Its user and group where nobody says whose the files are.
_NOBODY: Final = 65532
# Seconds: the token is shown once, at the beginning. The API server accepts nothing under 600.
_TOKEN_SECONDS: Final = 600
_GRACE: Final = 600
_VOLUME, _TOKEN = "memory", f"{meta.VOLUME_PREFIX}archive"
_RESOURCES: Final = {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}


@dataclass(frozen=True, slots=True)
class Intake:
    """Where volumes are sent to: the operator's address and certificate, the image of the program, the public key of
    the archive, and in how many seconds all has to be over. `problem`: why nothing is taken in, for good; `waits`: why
    not now."""

    url: str = ""
    certificate: str = ""
    image: str = ""
    key: str = ""
    deadline: int = 0
    problem: str = ""
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """As whom the volume is read: who owns its files."""

    user: int = _NOBODY
    group: int = _NOBODY


def owner(asked: Memory, spec: Mapping[str, Any]) -> Owner:
    """As whom: what is asked for, else what the agent's own pods say, never root.

    `spec`: the agent's, as its author wrote it; its template says whose the files are that its pods have written.
    """
    pods = written.at(spec, "workload", "template", "spec")
    pod = functools.partial(written.at, pods, "securityContext")
    container = functools.partial(written.at, next(written.items(pods, "containers"), None), "securityContext")
    user = asked.run_as_user or container("runAsUser") or pod("runAsUser")
    # A volume with an fsGroup is that group's, whoever writes.
    group = asked.run_as_group or pod("fsGroup") or container("runAsGroup") or pod("runAsGroup")
    return Owner(_number(user), _number(group))


def account(agent: AgentIdentity) -> Desired:
    """The ServiceAccount of the Jobs."""
    return service_account.named(agent, capture.account_name(agent.name))


def network(agent: AgentIdentity, intake: Intake) -> Desired:
    """The NetworkPolicy of all that still runs for the agent, in place of the one of its runs: the operator, and
    nothing else, not even DNS."""
    manifest = common.header(ChildKind.NETWORK_POLICY, agent, agent.namespace, runs.network_name(agent.name))
    manifest["spec"] = {"podSelector": {"matchLabels": {runs.LABEL_RUN_OF: agent.uid}}, **only(intake)}
    return common.desired(manifest, network_policy.owned(manifest))


def only(intake: Intake) -> Manifest:
    """What a NetworkPolicy says that lets nothing out but to the operator, and nothing in."""
    parts = urlsplit(intake.url)
    address = ip_address(parts.hostname or "")
    return {
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            {
                "ports": [{"port": parts.port, "protocol": "TCP"}],
                "to": [{"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}}],
            }
        ],
    }


def job(agent: AgentIdentity, asked: Memory, whose: Owner, intake: Intake) -> Desired:
    """The Job for this volume. Its digest is of the whole."""
    made, run = _spec(agent, asked, whose, intake), run_of(asked)
    name = f"{agent.name}-{run}-{digest(made)[:8]}"
    manifest = common.header(ChildKind.JOB, agent, agent.namespace, name)
    manifest["metadata"]["labels"] |= _labels(agent, run)
    manifest["spec"] = made
    return common.desired(manifest, digest(manifest))


def run_of(asked: Memory) -> str:
    """Value of the label `workforce.dev/run` of the Job for this volume."""
    return capture.DECISIONS if isinstance(asked, LogVolume) else capture.RUN


def _spec(agent: AgentIdentity, asked: Memory, whose: Owner, intake: Intake) -> Manifest:
    made = spec(_labels(agent, run_of(asked)), capture.account_name(agent.name), asked.claim_name, whose, intake)
    if not isinstance(asked, LogVolume):
        return made
    (container,) = made["template"]["spec"]["containers"]
    told = {capture.ENV_ROOT: layout.DECISIONS} | ({capture.ENV_FOLDER: asked.path} if asked.path else {})
    container |= {
        "name": capture.DECISIONS,
        "env": [*container["env"], *({"name": key, "value": value} for key, value in told.items())],
    }
    return made | {"podFailurePolicy": _once(capture.DECISIONS)}


def _once(container: str) -> Manifest:
    """A folder that is not there is looked for once, not as often as a store that is away."""
    codes = {"containerName": container, "operator": "In", "values": [capture.NO_FOLDER]}
    return {"rules": [{"action": "FailJob", "onExitCodes": codes}]}


def spec(labels: dict[str, str], account_name: str, claim: str, whose: Owner, intake: Intake) -> Manifest:
    """What a Job is that mounts a claim, and knows nobody but the operator; its pod has these labels."""
    return {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": TRIES,
        # Where no operator is left that would end it.
        "activeDeadlineSeconds": intake.deadline + _GRACE,
        # Two pods at once would be one too many.
        "podReplacementPolicy": "Failed",
        "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(account_name, claim, whose, intake)},
    }


def _labels(agent: AgentIdentity, run: str) -> dict[str, str]:
    return {runs.LABEL_RUN: run, runs.LABEL_RUN_OF: agent.uid}


def _pod(name: str, claim: str, whose: Owner, intake: Intake) -> Manifest:
    token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}}
    return {
        "restartPolicy": "Never",
        "serviceAccountName": name,
        "serviceAccount": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": whose.user,
            "runAsGroup": whose.group,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(intake)],
        "volumes": [
            # Not read-only itself, which some drivers cannot attach beside others: the mount is.
            {"name": _VOLUME, "persistentVolumeClaim": {"claimName": claim}},
            {"name": _TOKEN, "projected": {"defaultMode": 0o444, "sources": [token]}},
        ],
    }


def _container(intake: Intake) -> Manifest:
    told = {
        capture.ENV_KEY: intake.key,
        capture.ENV_URL: intake.url,
        capture.ENV_CERTIFICATE: intake.certificate,
    }
    return {
        "name": capture.RUN,
        "image": intake.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(capture.COMMAND),
        "env": [{"name": key, "value": value} for key, value in told.items()],
        "resources": _RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": _VOLUME, "mountPath": capture.VOLUME_MOUNT, "readOnly": True},
            {"name": _TOKEN, "mountPath": capture.TOKEN_MOUNT, "readOnly": True},
        ],
    }


def _number(given: object) -> int:
    """An id as a template may have it, which is its author's text."""
    return given if isinstance(given, int) and given > 0 else _NOBODY
