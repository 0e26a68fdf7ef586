"""One pass over an agent: gather, decide, execute, in rounds until nothing is left to write; then report."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core import abandoning, deciding
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.objects import AgentIdentity, Manifest, ObjectKey
from aiagent_operator.core.plan import Finalizer, Observed, Plan, Proof, Write
from aiagent_operator.core.rights import holdings
from aiagent_operator.runtime import finalizer, repairs
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.bequests import Bequests
from aiagent_operator.runtime.captures import Captures
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.departure import Departures
from aiagent_operator.runtime.execute import Executor
from aiagent_operator.runtime.gather import (
    Gatherer,
    InvalidSpecError,
    NotYetSeenError,
    live_objects,
    pod_problems,
    running_pods,
)
from aiagent_operator.runtime.measuring import Measuring
from aiagent_operator.runtime.memories import Memories
from aiagent_operator.runtime.memory import PODS_MOST, Memory
from aiagent_operator.runtime.prove import account_uid, certify, prove
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.runs import PodsOfRuns
from aiagent_operator.runtime.store import AgentKey, Key, Store
from aiagent_operator.runtime.withdrawals import Withdrawals

log = logging.getLogger(__name__)

# Rounds of one pass; each round's writes are decided from what the last one left. An onboarding takes four.
ROUNDS = 24
# Seconds before a refused write is sent again although nothing told of a change.
_REFUSED_AGAIN = 30.0
# Seconds after which an agent is looked at again that somebody else has written meanwhile; a watch tells sooner.
_CONFLICT_AGAIN = 0.5


class AgentReconciler:
    """Brings one agent at a time to what its spec says; many may be under way together, each in a task of its own."""

    def __init__(  # noqa: PLR0917 - what it works with, each thing of its own type
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        gatherer: Gatherer,
        executor: Executor,
        measuring: Measuring,
        statuses: AgentStatusWriter,
        captures: Captures,
        memories: Memories,
        bequests: Bequests,
        pods_of_runs: Callable[[], PodsOfRuns],
    ) -> None:
        self._statuses, self._captures, self._memories = statuses, captures, memories
        self._pods_of_runs, self._bequests = pods_of_runs, bequests
        self._departures = Departures(api, store, queue, statuses)
        self._api, self._store, self._queue = api, store, queue
        self._gather, self._execute, self._measuring = gatherer, executor, measuring
        self._fleet = gatherer.fleet
        self._withdrawals = Withdrawals(store, queue, functools.partial(self._send, urgent=True))
        self._memory: dict[AgentKey, Memory] = {}

    async def reconcile(self, key: AgentKey) -> None:
        """One pass. Raises ApiError and the like where it is to be made again later."""
        memory = self._memory.setdefault(key, Memory())
        if not await self._withdrawals.first(key, memory):
            await self._rounds(key, memory)

    async def _rounds(self, key: AgentKey, memory: Memory) -> None:
        live: dict[ObjectKey, Manifest | None] = {}
        proof: Proof | None = None
        running: tuple[str, ...] | None = None
        intakes: list[Intake] = []
        pods = self._pods_of_runs()
        began = time.monotonic()
        sent: set[ObjectKey] = set()
        wrote = False
        for _ in range(ROUNDS):
            record = self._store.agents.get(key)
            if record is None:
                self._forget(key)
                return
            try:
                observed = await self._gather.observe(
                    key,
                    record,
                    failures=memory.current(),
                    live=live,
                    proof=proof,
                    intake=intakes[-1] if intakes else None,
                    bequest=self._bequests.became(key),
                    pods=pods.current,
                    measured=self._measuring.answers(key),
                    pod_problems=memory.problems,
                    running=running,
                    since=began,
                )
            except InvalidSpecError as error:
                self._fleet.unreadable(key)
                await self._statuses.invalid(key, record, str(error))
                return
            plan = deciding.decide(observed)
            self._fleet.seen(key, plan.training, observed.policies.names)
            if plan.handover is not None:
                await self._departures.handed_over(observed, plan.handover)
                continue
            if plan.remembers or plan.archive or plan.outside or plan.finalizer is not Finalizer.KEEP:
                if not await self._arrive_or_leave(key, record, observed, plan, intakes):
                    return
                continue
            if await self._read(plan, observed, live, pods):
                continue
            if plan.needs_proof is not None or plan.needs_running:
                proof, running = await self._ask(observed, plan)
                continue
            if not plan.writes:
                break
            if not plan.revokes and await self._statuses.first(key, record, observed.agent.status, plan.first):
                continue
            await self._send(observed.identity, record, plan.writes, memory, urgent=plan.revokes)
            repairs.count(observed, plan.writes, sent)
            wrote = True
            live = _untouched(live, plan.writes)
            proof = running = None
            if plan.revokes and len(self._queue):
                self._queue.add(key)
                return
        else:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} is not settled after {ROUNDS} rounds")
        self._measuring.want(key, plan.measure)
        plan = self._captures.told(key, plan)
        await self._look_at_pods(key, observed, plan, memory)
        await self._statuses.report(key, record, plan, wrote=wrote)
        # Not before: what is captured is said in the same status.
        self._captures.want(key, observed, plan.capture)
        self._bequests.want(key, observed.identity, plan.bequest)
        self._fleet.finished(key)
        self._look_again(key, plan, memory)

    def _forget(self, key: AgentKey) -> None:
        """The agent is gone, and what was remembered of it with it."""
        self._memory.pop(key, None)
        self._fleet.forget(key)
        self._measuring.want(key, ())
        self._captures.want(key, None, ())
        self._bequests.forget(key)
        self._statuses.journal.forget(key)

    def _look_again(self, key: AgentKey, plan: Plan, memory: Memory) -> None:
        if memory.failures:
            self._queue.add_after(key, _REFUSED_AGAIN)
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)

    async def _read(
        self, plan: Plan, observed: Observed, live: dict[ObjectKey, Manifest | None], pods: PodsOfRuns
    ) -> bool:
        """Reads what the plan needs and nobody has read yet; False where there is nothing of the kind."""
        missing, unread = plan.needs - live.keys(), plan.needs_pods - observed.pods.keys()
        if missing:
            live.update(await live_objects(self._api, missing))
            self._execute.saw(live)
        if unread:
            await pods.read(unread, observed.children)
        return bool(missing or unread)

    async def _send(
        self, agent: AgentIdentity, record: AgentRecord, ordered: Sequence[Write], memory: Memory, *, urgent: bool
    ) -> None:
        """All writes of a round at once; the round is over when all are answered, whatever some of them say."""
        if not ordered:
            return
        status = record.load().get("status") or {}
        known = frozenset(entry["uid"] for entry in status.get("inventory") or ())
        answers = await asyncio.gather(
            *(self._execute.send(agent, write, known, urgent=urgent) for write in ordered), return_exceptions=True
        )
        until = time.monotonic() + _REFUSED_AGAIN
        errors: list[BaseException] = []
        for write, answer in zip(ordered, answers, strict=True):
            if isinstance(answer, BaseException):
                errors.append(answer)
            elif answer is not None:
                log.warning("AIAgent %s/%s: %s", agent.namespace, agent.name, answer.message)
                memory.failures[write.key] = (answer, until)
            else:
                memory.failures.pop(write.key, None)
        if errors:
            raise errors[0]

    async def _arrive_or_leave(
        self, key: AgentKey, record: AgentRecord, observed: Observed, plan: Plan, intakes: list[Intake]
    ) -> bool:
        """Has the agent archived, adds or removes the finalizer; False where it waits, or the agent is gone then.

        Of one that is not employed it is said that it is not, and nothing else is done about it.
        """
        if plan.remembers:
            return await self._memories.step(key, observed, plan, self._statuses, intakes)
        if plan.outside:
            await self._statuses.waits(key, record.uid, plan.verdicts)
            self._fleet.finished(key)
            return False
        if plan.archive and not abandoning.given_up(observed.agent.status):
            # What its status must say first is said with the end of its journal.
            return await self._departures.archived(key, record, observed, plan.first)
        if await self._statuses.first(key, record, observed.agent.status, plan.first):
            return True
        if plan.archive:
            return await self._departures.archived(key, record, observed, {})
        metadata = observed.agent.metadata
        if plan.finalizer is Finalizer.REMOVE:
            # Of one that was abandoned it is on record how far its journal went.
            if not abandoning.given_up(observed.agent.status):
                ended = await self._statuses.end(key, record, metadata)
                if ended is None:
                    return False
                metadata = ended.metadata
            if observed.proof is not None and observed.journal is None:
                await certify(self._api, observed, observed.proof)
        answer = await finalizer.write(self._api, key, record.uid, metadata, plan.finalizer)
        if answer is None:
            return False
        self._store.observe_agent(answer, answer=True)
        return True

    async def _ask(self, o: Observed, plan: Plan) -> tuple[Proof | None, tuple[str, ...] | None]:
        """What only the API server can say: whether a right remains, and which pods run. What is known stays."""
        proof, running = o.proof, o.running
        if plan.needs_proof is not None:
            held = holdings.namespaces_held(o)
            proof = await prove(self._api, o.identity, plan.needs_proof, held, account_uid(o))
        if plan.needs_running:
            running = await running_pods(self._api, o.identity)
        return proof, running

    async def _look_at_pods(self, key: AgentKey, observed: Observed, plan: Plan, memory: Memory) -> None:
        """After a grace, finds out why pods do not become ready, for the next pass to say."""
        work = next((v for v in plan.verdicts if v.type is Type.WORKLOAD_READY), None)
        wanted = any(child.rollout and child.rollout.wanted for child in observed.children.values())
        if work is None or work.reason not in (Reason.PROGRESSING, Reason.PODS_FAILING) or not wanted:
            memory.forget_pods()
            return
        now = time.monotonic()
        if memory.look_at is None:
            memory.look_at = now + memory.look_after
        if now < memory.look_at:
            self._queue.add_after(key, memory.look_at - now)
            return
        memory.look_after = min(2 * memory.look_after, PODS_MOST)
        memory.look_at = now + memory.look_after
        self._queue.add_after(key, memory.look_after)
        problems = await pod_problems(self._api, observed.identity)
        if problems != memory.problems:
            memory.problems = problems
            self._queue.add_after(key, 0.0)


def _untouched(live: Mapping[ObjectKey, Manifest | None], writes: Iterable[Write]) -> dict[ObjectKey, Manifest | None]:
    """What was read and is not out of date by these writes."""
    written = {write.key for write in writes}
    return {key: found for key, found in live.items() if key not in written}
