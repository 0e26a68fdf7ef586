"""Children of an agent: one pure builder per kind, and how a live object is read for decisions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.children import (
    deployment,
    evaluation,
    handbook,
    network_policy,
    revision,
    role,
    role_binding,
    run_job,
    service_account,
)
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, Rollout
from aiagent_operator.core.runs import facts as runs
from aiagent_operator.core.targets import contents, seen

_WORKLOADS = frozenset({ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET})


def belongs(kind: ChildKind, live: Mapping[str, Any]) -> bool:
    """Whether a live object is some agent's child. `selector` says the same to the API server.

    A Job counts only where the operator made it: its result is believed, and whoever may create Jobs may give them an
    agent's labels.
    """
    labelled = meta.LABEL_AGENT_UID in (live["metadata"].get("labels") or {})
    return labelled and (kind is not ChildKind.JOB or run_job.is_own(live))


def selector(kind: ChildKind) -> str:
    """The label selector of agents' children of the kind."""
    own = f",{meta.LABEL_MANAGED_BY}={meta.MANAGER}" if kind is ChildKind.JOB else ""
    return f"{meta.LABEL_AGENT_UID}{own}"


def observe(kind: ChildKind, live: Mapping[str, Any]) -> Child:
    """What decisions need of a live object; nothing of the object itself is kept.

    Namespaces and UIDs are shared between children, since many thousands of these stay in memory.
    """
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    owner = sys.intern(labels.get(meta.LABEL_AGENT_UID, ""))
    claimed_by = _claimed_by(live, owner) if kind in _WORKLOADS else ""
    return Child(
        key=ObjectKey(kind, sys.intern(metadata["namespace"]), metadata["name"]),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        agent_uid=owner,
        digest=_OWNED[kind](live),
        generation=metadata.get("generation", 0),
        deleting="deletionTimestamp" in metadata,
        rules=role.rules(live) if kind is ChildKind.ROLE else (),
        rollout=_rollout(live) if kind in _WORKLOADS else None,
        claimed_by=claimed_by,
        images=revision.images(live["spec"]["template"]["spec"]) if claimed_by else (),
        template=seen.owners_part(live) if claimed_by else "",
        revision=revision.facts(live) if kind is ChildKind.AGENT_REVISION else None,
        evaluation=evaluation.facts(live) if kind is ChildKind.AGENT_EVALUATION else None,
        job=runs.observe(live) if kind is ChildKind.JOB else None,
    )


def _claimed_by(live: Mapping[str, Any], owner: str) -> str:
    """The agent that has adopted it. A lost annotation does not make somebody's workload one that may be deleted."""
    return "" if seen.is_template_made(live) else sys.intern(seen.claim(live) or owner)


def _deployment_owned(live: Mapping[str, Any]) -> str:
    return deployment.owned(live) if seen.is_template_made(live) else contents.owned(live)


_OWNED: Mapping[ChildKind, Callable[[Mapping[str, Any]], str]] = {
    ChildKind.SERVICE_ACCOUNT: service_account.owned,
    ChildKind.ROLE: role.owned,
    ChildKind.ROLE_BINDING: role_binding.owned,
    ChildKind.NETWORK_POLICY: network_policy.owned,
    ChildKind.CONFIG_MAP: handbook.owned,
    ChildKind.DEPLOYMENT: _deployment_owned,
    ChildKind.STATEFUL_SET: contents.owned,
    ChildKind.AGENT_REVISION: revision.owned,
    ChildKind.AGENT_EVALUATION: evaluation.owned,
    ChildKind.JOB: run_job.owned,
}


def _rollout(live: Mapping[str, Any]) -> Rollout:
    status = live.get("status") or {}
    return Rollout(
        replicas=status.get("replicas", 0),
        wanted=live["spec"].get("replicas", 1),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        observed_generation=status.get("observedGeneration", 0),
        failure=_failure(status.get("conditions") or ()),
        terminating=status.get("terminatingReplicas", 0),
    )


# A pod that cannot be created says more than a rollout that takes too long because of it.
_FAILURES = (("ReplicaFailure", "True"), ("Progressing", "False"))


def _failure(conditions: Any) -> str:
    """Why the workload's controller cannot go on, in its own words; empty while it can (Deployment conditions)."""
    by_state = {(condition["type"], condition["status"]): condition for condition in conditions}
    for state in _FAILURES:
        if condition := by_state.get(state):
            return f"{condition.get('reason', state[0])}: {condition.get('message', 'no message given')}"
    return ""
