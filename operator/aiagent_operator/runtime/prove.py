"""Proof that an agent's rights have ended, asked of the API server rather than concluded from what was deleted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from aiagent_operator.api import meta
from aiagent_operator.core.children import role
from aiagent_operator.core.objects import AgentIdentity, ChildKind, ObjectKey
from aiagent_operator.core.plan import Held, Observed, Proof
from aiagent_operator.core.rights.asked import Asking
from aiagent_operator.core.rights.rules import Right
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.client import Api

log = logging.getLogger(__name__)

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_MOST_AT_ONCE = 16


async def prove(
    api: Api, agent: AgentIdentity, held: Iterable[Held], namespaces: Iterable[str], account_uid: str
) -> Proof:
    """Whether anything remains of what the agent held.

    Three questions: are its bindings gone, does its account (by UID) no longer exist, and does the API server refuse
    each right when asked with the account's user name and its three groups. Without the groups the answer is false: a
    right that reaches every account of the namespace reaches this name too. It is reported as residual.
    """
    slots = asyncio.Semaphore(_MOST_AT_ONCE)
    bindings = await asyncio.gather(*(_binding(api, slots, agent, namespace) for namespace in sorted(set(namespaces))))
    account = await _account(api, agent, account_uid)
    ended_at = datetime.now(UTC)
    rights = sorted({(namespace, right) for namespace, rule in held for right in rule.rights()}, key=str)
    answers = await asyncio.gather(
        *(_review(api, slots, agent, namespace, right, ended_at) for namespace, right in rights)
    )
    remaining = [text for text in (*bindings, account) if text]
    residual: list[str] = []
    for each in answers:
        if not each.allowed:
            continue
        text = f"{each.right} in {each.namespace} ({each.reason})"
        own = f'"{role.name_in(agent, each.namespace)}/{each.namespace}"' in each.reason
        (remaining if own else residual).append(text)
    return Proof(tuple(remaining), tuple(residual), tuple(answers), ended_at)


async def _binding(api: Api, slots: asyncio.Semaphore, agent: AgentIdentity, namespace: str) -> str:
    key = ObjectKey(ChildKind.ROLE_BINDING, namespace, role.name_in(agent, namespace))
    async with slots:
        live = await api.find(paths.item(key))
    if live is None or (live["metadata"].get("labels") or {}).get(meta.LABEL_AGENT_UID) not in (None, agent.uid):
        return ""
    mine = any(
        subject.get("kind") == "ServiceAccount"
        and subject.get("name") == meta.account_name(agent.name)
        and subject.get("namespace") == agent.namespace
        for subject in live.get("subjects") or ()
    )
    return f"{key} still exists" if mine else ""


async def _account(api: Api, agent: AgentIdentity, uid: str) -> str:
    key = ObjectKey(ChildKind.SERVICE_ACCOUNT, agent.namespace, meta.account_name(agent.name))
    live = await api.find(paths.item(key))
    if live is None or (uid and live["metadata"]["uid"] != uid):
        return ""
    return f"{key} still exists"


async def _review(  # noqa: PLR0917 - one question, with who asks and since when
    api: Api, slots: asyncio.Semaphore, agent: AgentIdentity, namespace: str, right: Right, revoked_at: datetime
) -> Asking:
    """What the API server says of the right."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name or "",
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": meta.username(agent.namespace, agent.name),
            "groups": list(meta.user_groups(agent.namespace)),
            "resourceAttributes": attributes,
        },
    }
    async with slots:
        answer = await api.request("POST", _REVIEWS, body=body)
    status = answer.get("status") or {}
    allowed = status.get("allowed") is True
    reason = str(status.get("reason") or ("no reason given" if allowed else ""))
    return Asking(namespace, right, revoked_at, datetime.now(UTC), allowed, reason)


async def certify(api: Api, observed: Observed, proof: Proof) -> None:
    """Says that the agent's rights have ended, in the log and as an Event."""
    agent = observed.identity
    regarding = {"namespace": agent.namespace, "name": agent.name, "uid": agent.uid}
    if proof.residual:
        text = f"Its own rights have ended; these still reach its name through others: {'; '.join(proof.residual)}"
    else:
        text = "Its rights have ended: the bindings are gone, the account is gone, and every right it held is refused"
    log.info("AIAgent %s/%s (%s): %s", agent.namespace, agent.name, agent.uid, text)
    if not observed.terminating:
        await report.event(
            api, regarding, kind="AIAgent", reason="Offboarded", message=text, warning=bool(proof.residual)
        )


def account_uid(observed: Observed) -> str:
    """UID of the account that the agent had; empty where it is not known."""
    account = meta.account_name(observed.identity.name)
    return next(
        (
            entry["uid"]
            for entry in observed.agent.status.get("inventory") or ()
            if entry["kind"] == ChildKind.SERVICE_ACCOUNT.value and entry["name"] == account
        ),
        "",
    )
