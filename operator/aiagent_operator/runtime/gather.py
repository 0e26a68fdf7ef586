"""Collects what a decision about an agent rests on: from the store, and from the API server what only it can say."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from aiagent_operator.api import meta
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.fields import unreadable
from aiagent_operator.core import agent_reading
from aiagent_operator.core.archive import index
from aiagent_operator.core.children import handbook
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.evaluation.asking import Measured
from aiagent_operator.core.leaving import in_force, irrevocable
from aiagent_operator.core.objects import AgentIdentity, Child, Manifest, ObjectKey, TrafficKind
from aiagent_operator.core.plan import Environment, Failure, Observed, Proof, Room
from aiagent_operator.core.rights.exposure import Exposure
from aiagent_operator.core.rights.grants import CompiledRole
from aiagent_operator.core.runs.facts import PodFacts
from aiagent_operator.core.succession import Became
from aiagent_operator.runtime import kinship, paths
from aiagent_operator.runtime.agentrecord import AgentRecord, unpacked
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.fleet import Fleet
from aiagent_operator.runtime.reflector import METADATA_ONLY
from aiagent_operator.runtime.report import now
from aiagent_operator.runtime.store import AgentKey, Store

# What was read of the pods of Jobs, as far as the Jobs are still as they were then.
ReadPods = Callable[[Mapping[ObjectKey, Child]], Mapping[ObjectKey, tuple[PodFacts, ...]]]

_DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/aiagents.{meta.GROUP}"


class InvalidSpecError(Exception):
    """The spec is not one that this version of the operator understands; the message says where.

    `readable`: the agent with what can be read of it, by which it can be let go.
    """

    def __init__(self, message: str, readable: AIAgent) -> None:
        super().__init__(message)
        self.readable = readable


@lru_cache(maxsize=256)
def parse(packed: bytes) -> tuple[Manifest, AIAgent]:
    """The agent as it was stored and as a model; the rounds of one pass share it. Neither may be changed.

    Raises InvalidSpecError, naming the fields.
    """
    raw = unpacked(packed)
    try:
        return raw, AIAgent.model_validate(raw)
    except ValidationError as error:
        text = f"{unreadable(error)}; everything stays as it is meanwhile"
        raise InvalidSpecError(text, agent_reading.readable(raw, error)) from error


class Gatherer:
    """Reads for decisions. `environment` and `exposures` are asked at each pass, since they change; `room` says of an
    agent's status whether its journal takes another event."""

    def __init__(
        self,
        api: Api,
        store: Store,
        fleet: Fleet,
        *,
        environment: Callable[[], Environment],
        exposures: Callable[[AgentIdentity], tuple[Exposure, ...]],
        generations: Mapping[str, int],
        room: Callable[[Mapping[str, Any]], Room | None],
    ) -> None:
        self._api, self._store, self.fleet = api, store, fleet
        self._room = room
        self.environment = environment
        self._exposures, self._generations = exposures, generations
        self._definition: tuple[float, bool] = (0.0, False)
        self._definition_lock = asyncio.Lock()

    async def observe(
        self,
        key: AgentKey,
        record: AgentRecord,
        *,
        failures: Mapping[ObjectKey, Failure],
        live: Mapping[ObjectKey, Manifest | None],
        proof: Proof | None,
        pods: ReadPods,
        measured: Measured,
        pod_problems: tuple[str, ...],
        running: tuple[str, ...] | None,
        since: float,
        intake: Intake | None = None,
        bequest: Became | None = None,
    ) -> Observed:
        """What is known of the agent. `since` is the monotonic time after which facts must have been read."""
        moment = dt.datetime.now(dt.UTC)
        offboards = self._store.orders.offboards(*key, dict(record.labels), record.leaves_by)
        goes = bool(in_force(offboards, moment))
        try:
            raw, agent = parse(record.packed)
        except InvalidSpecError as error:
            raw, agent = record.load(), error.readable
            if not (goes or "deletionTimestamp" in raw["metadata"] or irrevocable(agent.status)):
                raise
        deleted = agent.metadata.deletion_timestamp is not None
        leaving = deleted or goes
        named = agent.spec.role_ref.name
        # One that cannot be read has a name that stands in for it.
        role = None if leaving and named != record.role else await self._role(named)
        text, missing = (None, "") if leaving or role is None else await self._instructions(key, agent, role)
        identity = AgentIdentity(key.namespace, key.name, record.uid)
        written = {e["uid"]: e["generation"] for e in agent.status.get("inventory") or () if "generation" in e}
        children = self._store.children(record.uid)
        written.update((c.uid, self._generations[c.uid]) for c in children.values() if c.uid in self._generations)
        demands = self._store.demands(key, record)
        return Observed(
            agent=agent,
            raw_spec=raw["spec"],
            identity=identity,
            environment=self.environment(),
            role=role,
            namespaces=self._store.namespaces,
            children=dict(children),
            failures=failures,
            live=live,
            generations=written,
            instructions=text,
            instructions_missing=missing,
            exposures=self._exposures(identity),
            pods=pods(children),
            measured=measured,
            pod_problems=pod_problems,
            proof=proof,
            intake=intake,
            bequest=bequest,
            family=kinship.family(self._store, key, raw["spec"]),
            ended=self._store.ended,
            rollback=self._store.orders.rollback(key.namespace, key.name),
            retrains=self._store.orders.retrains(key.namespace, key.name, agent.metadata.labels),
            policies=demands,
            slot=self.fleet.slot(record.uid),
            admitted=self.fleet.admitted(record.uid, demands),
            steering=self._store.orders.steering(key.namespace, key.name),
            time=now(),
            moment=moment,
            offboards=offboards,
            abandon=self._store.orders.abandon(key.namespace, key.name, index.name(identity)),
            running=running,
            orders=self._store.orders.over(key.namespace, key.name, agent.metadata.labels),
            journal=self._room(agent.status),
            definition_terminating=deleted and await self._definition_terminating(since),
        )

    async def _role(self, name: str) -> CompiledRole | None:
        """The role; asked of the API server before it is said to be missing, since that takes rights away."""
        record = self._store.roles.get(name)
        if record is None:
            if await self._api.find(paths.role(name)) is None:
                return None
            raise NotYetSeenError(f"AgentRole {name} exists, but its watch has not told of it yet")
        return record.compiled

    async def _instructions(self, key: AgentKey, agent: AIAgent, role: CompiledRole) -> tuple[str | None, str]:
        """(text, what is missing): the instructions, inline or from a ConfigMap's key."""
        source = handbook.resolve(agent.spec, role.role.spec).instructions
        if source is None or source.config_map_key_ref is None:
            return (source.inline if source else None), ""
        ref = source.config_map_key_ref
        where = f"ConfigMap {key.namespace}/{ref.name}, named by spec.handbook.instructions.configMapKeyRef,"
        live = await self._api.find(f"/api/v1/namespaces/{key.namespace}/configmaps/{ref.name}")
        if live is None:
            return None, f"{where} does not exist: create it"
        text = (live.get("data") or {}).get(ref.key)
        if text is None:
            return None, f"{where} has no key {ref.key}: add it, or name another"
        if len(text.encode()) > handbook.INSTRUCTIONS_LIMIT:
            return None, f"{where} has more than {handbook.INSTRUCTIONS_LIMIT // 1024} KiB in key {ref.key}: shorten it"
        return text, ""

    async def _definition_terminating(self, since: float) -> bool:
        """Whether the CRD itself is being deleted, as read after `since`; many deletions at once share one answer."""
        async with self._definition_lock:
            if self._definition[0] < since:
                began = time.monotonic()
                # Without its schema, which is 200 KB: it is asked for all the time while many leave.
                live = await self._api.find(_DEFINITION, accept=METADATA_ONLY)
                terminating = live is None or "deletionTimestamp" in live["metadata"]
                self._definition = (began, terminating)
            return self._definition[1]


class NotYetSeenError(Exception):
    """Something exists that the store does not hold yet; the pass is made again once it does."""


async def live_objects(api: Api, keys: frozenset[ObjectKey]) -> dict[ObjectKey, Manifest | None]:
    """The objects as they are now; None for those that do not exist, nothing in those whose kind the cluster does not
    have."""
    ordered = sorted(keys)
    return dict(zip(ordered, await asyncio.gather(*(_live(api, key) for key in ordered)), strict=True))


async def _live(api: Api, key: ObjectKey) -> Manifest | None:
    try:
        return await api.request("GET", paths.item(key))
    except ApiError as error:
        if error.status != 404:
            raise
        # Of a kind that it does not serve the API server says so in plain text, and not in a Status.
        unserved = isinstance(key.kind, TrafficKind) and error.body.get("kind") != "Status"
        return {} if unserved else None


async def running_pods(api: Api, agent: AgentIdentity) -> tuple[str, ...]:
    """Names of pods of the agent that have not ended, the first few of them."""
    selector = {
        "labelSelector": f"{meta.LABEL_AGENT_UID}={agent.uid}",
        "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed",
        "limit": "16",
    }
    pods = await api.request("GET", f"/api/v1/namespaces/{agent.namespace}/pods", params=selector)
    return tuple(pod["metadata"]["name"] for pod in pods.get("items") or ())


async def pod_problems(api: Api, agent: AgentIdentity) -> tuple[str, ...]:
    """Why pods of the agent do not become ready, as their status and the kubelet's events tell; bounded, sorted."""
    selector = {"labelSelector": f"{meta.LABEL_AGENT_UID}={agent.uid}", "limit": "20"}
    pods = await api.request("GET", f"/api/v1/namespaces/{agent.namespace}/pods", params=selector)
    found: set[str] = set()
    unmounted = []
    for pod in pods.get("items") or ():
        status = pod.get("status") or {}
        statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
        for container in statuses:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                found.add(f"container {container['name']}: {waiting['reason']}: {waiting.get('message', '')[:300]}")
            elif waiting.get("reason") == "ContainerCreating":
                unmounted.append(pod["metadata"])
        found.update(
            f"not scheduled: {c.get('message', '')[:300]}"
            for c in status.get("conditions") or ()
            if c["type"] == "PodScheduled" and c["status"] == "False"
        )
    for metadata in unmounted[:3]:
        found.update(await mount_failures(api, agent.namespace, metadata["uid"]))
    return tuple(sorted(found))[:5]


async def mount_failures(api: Api, namespace: str, uid: str) -> set[str]:
    """What the kubelet says of volumes it cannot mount: a missing Secret is seen here without a right on Secrets."""
    params = {"fieldSelector": f"involvedObject.uid={uid},reason=FailedMount", "limit": "20"}
    events = await api.request("GET", f"/api/v1/namespaces/{namespace}/events", params=params)
    return {f"FailedMount: {event.get('message', '')[:300]}" for event in events.get("items") or ()}
