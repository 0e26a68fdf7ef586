"""The one way through: store -> queue -> gather -> decide -> execute -> report, for agents, roles and orphans."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import offboarding, onboarding
from aiagent_operator.core import roles as role_decisions
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Failure, Finalizer, Observed, Plan, Proof, Verb, Write
from aiagent_operator.runtime import metrics, paths, report
from aiagent_operator.runtime.client import MERGE_PATCH, Api, ApiError
from aiagent_operator.runtime.execute import Executor, LeaseExpiringError
from aiagent_operator.runtime.gather import Gatherer, InvalidSpecError, NotYetSeenError, live_objects, pod_problems
from aiagent_operator.runtime.prove import prove
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, AgentRecord, Key, OrphanKey, RoleKey, Store

log = logging.getLogger(__name__)

# Rounds of one pass; each round's writes are decided from what the last one left. An onboarding takes four.
_ROUNDS = 24
# Seconds before a refused write is sent again although nothing told of a change.
_REFUSED_AGAIN = 30.0
# Seconds that pods may take before the operator looks for the reason.
_PODS_GRACE = 10.0


@dataclass(slots=True)
class _Memory:
    """What a pass leaves for the next one. Losing it costs a look or a repeated refusal, nothing else."""

    failures: dict[ObjectKey, tuple[Failure, float]] = field(default_factory=dict)
    unready_since: float | None = None
    problems: tuple[str, ...] = ()

    def current(self) -> dict[ObjectKey, Failure]:
        """Failures that are not yet to be tried again."""
        now = time.monotonic()
        return {key: failure for key, (failure, until) in self.failures.items() if until > now}


class Controller:
    """Works through the queue with a number of workers."""

    def __init__(
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        gatherer: Gatherer,
        executor: Executor,
    ) -> None:
        self._api, self._store, self._queue = api, store, queue
        self._gather, self._execute = gatherer, executor
        self._memory: dict[AgentKey, _Memory] = {}

    async def run(self, workers: int) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            began = time.monotonic()
            result = "error"
            try:
                await self._reconcile(key)
                self._queue.forget(key)
                result = "done"
            except (ApiError, LeaseExpiringError, NotYetSeenError) as error:
                at_least = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
                delay = self._queue.retry(key, at_least)
                log.info("%s put off for %.1f s: %s", _name(key), delay, error)
            except Exception:
                # A bug must not end the operator: it is logged whole, counted, and the agent is tried again.
                delay = self._queue.retry(key)
                log.exception("%s failed; again in %.1f s", _name(key), delay)
            finally:
                self._queue.done(key)
                metrics.RECONCILE_TOTAL.labels(result).inc()
                metrics.RECONCILE_SECONDS.observe(time.monotonic() - began)

    async def _reconcile(self, key: Key) -> None:
        match key:
            case AgentKey():
                await self._agent(key)
            case RoleKey():
                await self._role(key)
            case OrphanKey():
                await self._orphans(key)

    # Agents

    async def _agent(self, key: AgentKey) -> None:
        live: dict[ObjectKey, Manifest | None] = {}
        proof: Proof | None = None
        memory = self._memory.setdefault(key, _Memory())
        began = time.monotonic()
        sent: set[ObjectKey] = set()
        for _ in range(_ROUNDS):
            record = self._store.agents.get(key)
            if record is None:
                self._memory.pop(key, None)
                return
            try:
                observed = await self._gather.observe(
                    key,
                    record,
                    failures=memory.current(),
                    live=live,
                    proof=proof,
                    pod_problems=memory.problems,
                    since=began,
                )
            except InvalidSpecError as error:
                await self._report_invalid(key, record, str(error))
                return
            plan = decide(observed)
            if plan.finalizer is not Finalizer.KEEP:
                if not await self._finalizer(key, record, observed, plan.finalizer):
                    return
                continue
            if missing := plan.needs - live.keys():
                live.update(await live_objects(self._api, missing))
                self._refresh(live)
                continue
            if plan.needs_proof is not None:
                proof = await self._prove(observed, plan)
                continue
            if not plan.writes:
                break
            await self._send(observed, plan.writes, memory)
            self._count_repairs(observed, plan.writes, sent)
            for write in plan.writes:
                live.pop(write.key, None)
            proof = None
        else:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} is not settled after {_ROUNDS} rounds")
        await self._look_at_pods(key, observed, plan, memory)
        await self._report(key, record, plan)
        if memory.failures:
            self._queue.add_after(key, _REFUSED_AGAIN)
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)

    def _refresh(self, live: Mapping[ObjectKey, Manifest | None]) -> None:
        """What was read whole is news for the store too."""
        for key, manifest in live.items():
            if manifest is None:
                self._store.forget_child(key, notify=False)
            else:
                self._execute.see(key, manifest)

    async def _send(self, observed: Observed, writes: Iterable[Write], memory: _Memory) -> None:
        """All writes of a round at once; the round is over when all are answered, whatever some of them say."""
        known = frozenset(entry["uid"] for entry in observed.agent.status.get("inventory") or ())
        ordered = list(writes)
        answers = await asyncio.gather(
            *(self._execute.send(observed.identity, write, known) for write in ordered), return_exceptions=True
        )
        until = time.monotonic() + _REFUSED_AGAIN
        errors: list[BaseException] = []
        for write, answer in zip(ordered, answers, strict=True):
            if isinstance(answer, BaseException):
                errors.append(answer)
            elif answer is not None:
                log.warning("AIAgent %s/%s: %s", observed.identity.namespace, observed.identity.name, answer.message)
                memory.failures[write.key] = (answer, until)
            else:
                memory.failures.pop(write.key, None)
        if errors:
            raise errors[0]

    async def _finalizer(self, key: AgentKey, record: AgentRecord, observed: Observed, change: Finalizer) -> bool:
        """Adds or removes the finalizer; False where the agent is gone then."""
        names = [name for name in observed.agent.metadata.finalizers if name != meta.FINALIZER]
        if change is Finalizer.ADD:
            names.append(meta.FINALIZER)
        elif observed.proof is not None:
            await self._certify(observed, observed.proof)
        body = {
            "metadata": {
                "finalizers": names,
                "uid": record.uid,
                "resourceVersion": observed.agent.metadata.resource_version,
            }
        }
        try:
            answer = await self._api.request(
                "PATCH",
                paths.agent(*key),
                body=body,
                params={"fieldManager": meta.MANAGER},
                content_type=MERGE_PATCH,
            )
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        if change is Finalizer.REMOVE:
            return False
        self._store.observe_agent(answer, notify=False)
        return True

    async def _certify(self, observed: Observed, proof: Proof) -> None:
        agent = observed.identity
        regarding = {"namespace": agent.namespace, "name": agent.name, "uid": agent.uid}
        if proof.residual:
            text = f"Its own rights have ended; these still reach its name through others: {'; '.join(proof.residual)}"
        else:
            text = (
                "Its rights have ended: the bindings are gone, the account is gone, and every right it held is refused"
            )
        log.info("AIAgent %s/%s (%s): %s", agent.namespace, agent.name, agent.uid, text)
        if not observed.terminating:
            await report.event(
                self._api, regarding, kind="AIAgent", reason="Offboarded", message=text, warning=bool(proof.residual)
            )

    async def _prove(self, observed: Observed, plan: Plan) -> Proof:
        account = meta.account_name(observed.identity.name)
        uid = next(
            (
                entry["uid"]
                for entry in observed.agent.status.get("inventory") or ()
                if entry["kind"] == ChildKind.SERVICE_ACCOUNT.value and entry["name"] == account
            ),
            "",
        )
        held = plan.needs_proof or ()
        return await prove(self._api, observed.identity, held, offboarding.namespaces_held(observed), uid)

    def _count_repairs(self, observed: Observed, writes: Iterable[Write], sent: set[ObjectKey]) -> None:
        """A child that the inventory names and that is created or replaced without the spec having changed."""
        status = observed.agent.status
        if status.get("observedGeneration") != observed.agent.metadata.generation:
            return
        names = {(e["kind"], e["namespace"], e["name"]) for e in status.get("inventory") or ()}
        for write in writes:
            key = write.key
            if key not in sent and write.verb is not Verb.DELETE and (key.kind.value, key.namespace, key.name) in names:
                sent.add(key)
                metrics.REPAIRS_TOTAL.labels(key.kind.value).inc()

    async def _look_at_pods(self, key: AgentKey, observed: Observed, plan: Plan, memory: _Memory) -> None:
        """After a grace, finds out why pods do not become ready, for the next pass to say."""
        work = next((v for v in plan.verdicts if v.type is Type.WORKLOAD_READY), None)
        if work is None or work.reason not in (Reason.PROGRESSING, Reason.PODS_FAILING):
            memory.unready_since, memory.problems = None, ()
            return
        now = time.monotonic()
        memory.unready_since = memory.unready_since or now
        if now - memory.unready_since < _PODS_GRACE:
            self._queue.add_after(key, _PODS_GRACE)
            return
        problems = await pod_problems(self._api, observed.identity)
        if problems != memory.problems:
            memory.problems = problems
            self._queue.add_after(key, 0.0)

    # Reports

    async def _report(self, key: AgentKey, record: AgentRecord, plan: Plan) -> None:
        if not plan.verdicts:
            return
        current = self._store.agents.get(key)
        if current is None or current.uid != record.uid:
            return
        raw = current.load()
        await self._write_status(key, record, raw, plan.status, plan.verdicts)

    async def _report_invalid(self, key: AgentKey, record: AgentRecord, text: str) -> None:
        verdicts = (
            Verdict(Type.READY, False, Reason.INVALID_SPEC, text),
            Verdict(Type.STALLED, True, Reason.INVALID_SPEC, text),
        )
        await self._write_status(key, record, record.load(), {}, verdicts)

    async def _write_status(
        self,
        key: AgentKey,
        record: AgentRecord,
        raw: Manifest,
        fields: Mapping[str, object],
        verdicts: tuple[Verdict, ...],
    ) -> None:
        old = raw.get("status") or {}
        patch = report.changes(old, fields, verdicts, raw["metadata"].get("generation", 0))
        if not patch:
            return
        answer = await report.write(self._api, paths.agent(*key), record.uid, patch)
        if answer is not None:
            self._store.observe_agent(answer, notify=False)
        regarding = {"namespace": key.namespace, "name": key.name, "uid": record.uid}
        for verdict in report.worth_an_event(old, verdicts):
            await report.event(
                self._api, regarding, kind="AIAgent", reason=verdict.reason.value, message=verdict.message
            )

    # Roles and orphans

    async def _role(self, key: RoleKey) -> None:
        record = self._store.roles.get(key.name)
        if record is None:
            return
        verdicts = role_decisions.verdicts(record.compiled, record.problem, self._gather.environment().ceiling)
        old = record.raw.get("status") or {}
        patch = report.changes(old, {}, verdicts, record.raw["metadata"].get("generation", 0))
        if patch:
            await report.write(self._api, paths.role(key.name), record.raw["metadata"]["uid"], patch)

    async def _orphans(self, key: OrphanKey) -> None:
        """Removes children whose agent does not exist; asked of the API server, since the watch may be behind."""
        live: dict[ObjectKey, Manifest | None] = {}
        for _ in range(_ROUNDS):
            children = dict(self._store.children(key.uid))
            if not children or self._store.agent_of(key.uid):
                return
            agent = await self._former_agent(key.uid, next(iter(children)))
            if agent is None:
                return
            plan = offboarding.sweep(agent, children, live)
            if missing := plan.needs - live.keys():
                live.update(await live_objects(self._api, missing))
                self._refresh(live)
                continue
            if not plan.writes:
                return
            log.warning(
                "removing %s left by an agent that is gone (UID %s)",
                ", ".join(str(w.key) for w in plan.writes),
                key.uid,
            )
            await self._send_for(agent, plan.writes)
            for write in plan.writes:
                live.pop(write.key, None)

    async def _send_for(self, agent: AgentIdentity, writes: Iterable[Write]) -> None:
        for write in writes:
            failure = await self._execute.send(agent, write, frozenset())
            if failure:
                raise NotYetSeenError(f"{write.key} of a former agent: {failure.message}")

    async def _former_agent(self, uid: str, child: ObjectKey) -> AgentIdentity | None:
        """Who the children belonged to, or None where that agent exists after all (or the child does not)."""
        found = (await live_objects(self._api, frozenset({child})))[child]
        if found is None:
            self._store.forget_child(child)
            return None
        labels = found["metadata"].get("labels") or {}
        namespace, name = labels.get(meta.LABEL_AGENT_NAMESPACE, ""), labels.get(meta.LABEL_AGENT, "")
        if namespace and name:
            try:
                agent = await self._api.request("GET", paths.agent(namespace, name))
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                if agent["metadata"]["uid"] == uid:
                    raise NotYetSeenError(f"AIAgent {namespace}/{name} exists, but its watch has not told of it yet")
        return AgentIdentity(namespace, name, uid)


def decide(observed: Observed) -> Plan:
    """What to do about the agent, and what is true of it."""
    if observed.agent.metadata.deletion_timestamp:
        return offboarding.decide(observed)
    if meta.FINALIZER not in observed.agent.metadata.finalizers:
        return Plan(finalizer=Finalizer.ADD)
    return onboarding.decide(observed)


def _name(key: Key) -> str:
    match key:
        case AgentKey(namespace, name):
            return f"AIAgent {namespace}/{name}"
        case RoleKey(name):
            return f"AgentRole {name}"
        case OrphanKey(uid):
            return f"children of the former agent {uid}"
