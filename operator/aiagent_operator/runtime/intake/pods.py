"""Whether a pod that asks for something is one of the Job that is waited for."""

from __future__ import annotations

from collections.abc import Container

from aiagent_operator.api import meta
from aiagent_operator.core.objects import AgentIdentity, Child
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.intake.callers import Account, Caller
from aiagent_operator.runtime.intake.endpoint import RefusedError
from aiagent_operator.runtime.store import AgentKey, Store


def waited_for(
    store: Store, account: Account, run: str, kinds: Container[str] | None = None
) -> tuple[AgentIdentity, Child] | None:
    """The agent whose account for Jobs of that kind this is, and its Job that runs as the account, if any.

    `kinds`: those of Jobs that run as it, where there are others.
    """
    agent = meta.agent_of_run(account.name, run)
    record = store.agents.get(AgentKey(account.namespace, agent)) if agent else None
    if record is None or agent is None:
        return None
    identity = AgentIdentity(account.namespace, agent, record.uid)
    for child in store.children(record.uid).values():
        its = child.job
        if its is None or its.run not in (kinds or {run}) or its.account != account.name:
            continue
        if not (child.deleting or its.complete or its.failed is not None):
            return identity, child
    return None


async def is_of(api: Api, caller: Caller, job: Child) -> bool:
    """Whether the pod is there, and controlled by the Job. Raises ApiError."""
    pods = await api.request(
        "GET",
        f"/api/v1/namespaces/{caller.account.namespace}/pods",
        params={"fieldSelector": f"metadata.name={caller.pod}"},
    )
    return any(
        pod["metadata"]["uid"] == caller.pod_uid and owner.get("controller") and owner["uid"] == job.uid
        for pod in pods.get("items") or ()
        for owner in pod["metadata"].get("ownerReferences") or ()
    )


def refuse_stranger() -> RefusedError:
    """The pod is not of the Job."""
    return RefusedError(403, "the pod is not of the Job that is waited for")
