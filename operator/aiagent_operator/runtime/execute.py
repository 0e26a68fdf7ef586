"""Sends the writes of a plan, and sorts out what the API server says to them.

A refusal that more tries will not change becomes a Failure that the next decision reads. Anything else that went wrong
is raised, and the agent is tried again later. Every answer goes into the store, where the next round sees it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.children import belongs, observe
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Manifest, ObjectKey, TrafficKind
from aiagent_operator.core.plan import Failure, Verb, Write, onto
from aiagent_operator.core.targets import disputes
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import APPLY_PATCH, MERGE_PATCH, Api, ApiError
from aiagent_operator.runtime.slots import Slots
from aiagent_operator.runtime.store import Store

log = logging.getLogger(__name__)

# Seconds of the Lease that must be left when a granting write is sent: it must have arrived before another may lead.
LEASE_MARGIN = 5.0


class LeaseExpiringError(Exception):
    """The Lease does not last long enough for a write that grants."""


class Executor:
    """Writes children, at most `in_flight` at a time. `lease` gives the seconds that the leadership is sure to last."""

    def __init__(self, api: Api, store: Store, *, in_flight: int, lease: Callable[[], float]) -> None:
        self._api, self._store, self._lease = api, store, lease
        self.slots = Slots(in_flight)
        self.generations: dict[str, int] = {}

    async def send(
        self, agent: AgentIdentity, write: Write, known: frozenset[str], *, urgent: bool = False
    ) -> Failure | None:
        """One write. `known` are UIDs in the agent's inventory: objects that are its own whatever their labels say.

        `urgent`: it goes before the writes of other agents that wait.
        """
        async with self.slots.take(urgent=urgent):
            if write.grants and self._lease() < LEASE_MARGIN:
                raise LeaseExpiringError(f"{write.verb} of {write.key} not sent: the Lease is about to end")
            try:
                answer = await self._request(write)
            except ApiError as error:
                return await self._refused(agent, write, error, known)
        log.debug("%s of %s for %s/%s", write.verb, write.key, agent.namespace, agent.name)
        self._took_effect(write, answer)
        return None

    async def _request(self, write: Write) -> dict[str, Any]:
        path = paths.item(write.key)
        match write.verb:
            case Verb.CREATE:
                return await self._api.request(
                    "POST", paths.collection(write.key.kind, write.key.namespace), body=write.body, params=_AS_MANAGER
                )
            case Verb.REPLACE:
                live = await self._api.request("GET", path)
                return await self._api.request("PUT", path, body=onto(live, write.body or {}), params=_AS_MANAGER)
            case Verb.DELETE:
                # These stay until their pods are gone, and with them what limits the pods. Kubernetes' own default for
                # Jobs leaves the pods behind.
                foreground = write.key.kind in (ChildKind.DEPLOYMENT, ChildKind.JOB)
                options = {
                    "preconditions": {"uid": write.uid},
                    "propagationPolicy": "Foreground" if foreground else "Background",
                }
                return await self._api.request("DELETE", path, body=options)
            case Verb.APPLY:
                params = {"fieldManager": meta.MANAGER, "force": "true" if write.force else "false"}
                return await self._api.request("PATCH", path, body=write.body, params=params, content_type=APPLY_PATCH)
            case Verb.REPORT:
                return await self._api.request(
                    "PATCH", f"{path}/status", body=write.body, params=_AS_MANAGER, content_type=MERGE_PATCH
                )
            case Verb.MERGE:
                params = {"fieldManager": write.manager or meta.MANAGER}
                return await self._api.request("PATCH", path, body=write.body, params=params, content_type=MERGE_PATCH)

    def _took_effect(self, write: Write, answer: dict[str, Any]) -> None:
        metadata = answer.get("metadata") or {}
        if write.verb is Verb.DELETE:
            self.generations.pop(write.uid, None)
        if write.verb is Verb.DELETE and not metadata.get("deletionTimestamp"):
            self._store.end_child(write.key, write.uid)
            return
        self.see(write.key, answer)
        if write.key.kind is ChildKind.DEPLOYMENT and write.verb in (Verb.CREATE, Verb.REPLACE):
            self.generations[metadata["uid"]] = metadata["generation"]

    def see(self, key: ObjectKey, live: dict[str, Any]) -> None:
        """Takes in an object as it was read or written just now. What is somebody else's is not kept."""
        if isinstance(key.kind, TrafficKind):
            return
        if belongs(key.kind, live):
            self._store.observe_child(observe(key.kind, live), notify=False)
        else:
            self._store.forget_child(key, version=live["metadata"]["resourceVersion"], notify=False)

    def saw(self, live: Mapping[ObjectKey, Manifest | None]) -> None:
        """Takes in objects that were read whole, or found to be gone."""
        for key, manifest in live.items():
            if manifest is None:
                self._store.forget_child(key, notify=False)
            else:
                self.see(key, manifest)

    async def _refused(
        self, agent: AgentIdentity, write: Write, error: ApiError, known: frozenset[str]
    ) -> Failure | None:
        key = write.key
        if error.status == 404:
            if write.verb is Verb.CREATE:
                return Failure(
                    write.digest,
                    Reason.NAMESPACE_NOT_FOUND,
                    f"{key}: namespace {key.namespace} does not exist: create it",
                )
            self._store.forget_child(key, notify=False)
            return None
        if error.status == 409:
            return await self._conflict(agent, write, error, known)
        if error.status == 403:
            if _cause(error) == "NamespaceTerminating":
                return Failure(
                    write.digest, Reason.NAMESPACE_TERMINATING, f"{key}: namespace {key.namespace} is being deleted"
                )
            return Failure(
                write.digest,
                Reason.REFUSED_BY_API,
                f"{write.verb} of {key} was refused: {error.message[:600]}. Check what ClusterRole "
                f"{meta.GRANTABLE_CLUSTER_ROLE} holds, and the admission policies",
            )
        if error.status == 422 and write.verb is Verb.REPLACE and key.kind is ChildKind.ROLE_BINDING:
            # Its roleRef is another, which is immutable: it goes, and is made anew in the next round.
            await self._api.request("DELETE", paths.item(key), body={"preconditions": {"uid": write.uid}})
            self._store.forget_child(key, write.uid, notify=False)
            return None
        if error.status in (400, 413, 422):
            return Failure(
                write.digest, Reason.WORKLOAD_INVALID, f"{write.verb} of {key} is invalid: {error.message[:1200]}"
            )
        raise error

    async def _conflict(
        self, agent: AgentIdentity, write: Write, error: ApiError, known: frozenset[str]
    ) -> Failure | None:
        """409: somebody was faster (look again), owns the field (say so), or the name (say so)."""
        if write.verb is Verb.APPLY and (conflict := disputes.conflict_message(error.body, write.body or {})):
            return Failure(write.digest, Reason.FIELD_CONFLICT, conflict.message)
        kind = write.key.kind
        if isinstance(kind, TrafficKind):
            return None
        live = await self._api.find(paths.item(write.key))
        if live is None:
            self._store.forget_child(write.key, notify=False)
            return None
        metadata = live["metadata"]
        label = (metadata.get("labels") or {}).get(meta.LABEL_AGENT_UID)
        if label == agent.uid and belongs(kind, live):
            self.see(write.key, live)
            return None
        if metadata["uid"] in known:
            # One of the agent's own whose label somebody took or changed: kept as wrong, so that the next round puts it
            # right.
            mine = dataclasses.replace(observe(kind, live), agent_uid=agent.uid, digest="")
            self._store.observe_child(mine, notify=False, disputed=True)
            return None
        if write.verb is not Verb.CREATE:
            self._store.forget_child(write.key, notify=False)
            return None
        owned = label and label != agent.uid
        owner = f"it belongs to the agent with UID {label}" if owned else "it is not the operator's"
        return Failure(
            write.digest,
            Reason.NAME_TAKEN,
            f"{write.key} exists already and {owner}: delete or rename it, or rename the agent",
        )


_AS_MANAGER = {"fieldManager": meta.MANAGER}


def _cause(error: ApiError) -> str:
    causes = (error.body.get("details") or {}).get("causes") or ()
    return next((cause.get("reason", "") for cause in causes), "")
