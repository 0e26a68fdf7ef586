"""One pass over an order: what its agents say, what follows for it, the deletions that it asks for, and its status."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from aiagent_operator.api.agentaction import Action, ActionPhase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import orders, written
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.objects import Child, ChildKind
from aiagent_operator.core.order_facts import reconciling
from aiagent_operator.core.orders import AgentFacts, Order, OrderPlan
from aiagent_operator.core.rollout import standing
from aiagent_operator.runtime import holds, paths, report
from aiagent_operator.runtime.abandons import Abandons
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.departure import WaitsError
from aiagent_operator.runtime.erasures import Erasures
from aiagent_operator.runtime.keeporders import OrderKeeper
from aiagent_operator.runtime.orderrecord import OrderRecord
from aiagent_operator.runtime.orders import ActionKey
from aiagent_operator.runtime.previews import Previews
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store

# Seconds between two reports of how far an order about many agents has come: a report for each agent would cost as
# much as the work itself.
_PROGRESS_EVERY = 1.0
# Seconds after which a preview is tried again.
_PREVIEW_AGAIN = 30.0
# Seconds after which an order that is over, and could not be kept for the archives of its agents, is tried again.
_KEEP_AGAIN = 15.0


def _at_work(child: Child) -> bool:
    """Whether the child gives its agent rights, or pods."""
    if child.key.kind is ChildKind.ROLE_BINDING:
        return True
    return child.rollout is not None and (child.rollout.wanted > 0 or child.rollout.replicas > 0)


def _stalled(problem: str) -> Verdict:
    return Verdict(Type.STALLED, True, Reason.INVALID_SPEC, problem)


class ActionReconciler:
    """Carries out orders, as far as that is not done by the agents' own passes, and says what became of them."""

    def __init__(
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        previews: Previews,
        *,
        keeper: OrderKeeper,
        erasures: Erasures,
    ) -> None:
        self._api, self._store, self._queue, self._previews, self._keeper = api, store, queue, previews, keeper
        self._holds = holds.Holds(api, store)
        self._abandons, self._erasures = Abandons(store), erasures
        self._reported: dict[ActionKey, dt.datetime] = {}

    async def reconcile(self, key: ActionKey) -> None:
        """One pass. Raises ApiError where it is to be made again later."""
        record = self._store.orders.records.get(key)
        if record is None:
            self._reported.pop(key, None)
            return
        if record.order is None:
            ready = Verdict(Type.READY, False, Reason.INVALID_SPEC, record.problem)
            await self._write(key, record, {}, (ready, _stalled(record.problem)))
            return
        now = dt.datetime.now(dt.UTC)
        held = None
        if record.order.spec.action in holds.ACTIONS:
            if await self._holds.guard(record, record.order):
                return
            held = self._holds.plan(record.order)
        if record.order.spec.action is Action.ABANDON:
            held = self._abandons.plan(record.order, now)
        if record.order.spec.action is Action.ERASE:
            held = await self._erasures.plan(record.order)
        # A finished order looks at nothing but the clock.
        about = () if record.order.phase in orders.FINISHED else self._store.covered(record.order)
        facts = [self._facts(agent, record.order) for agent in about]
        plan = orders.decide(record.order, facts, self._store.orders.standing(key.namespace), now, held=held)
        for order in plan.ends:
            # What its archive misses is said there: nobody is kept from work for it.
            await self._keeper.keep(order, {})
            await self._delete(order)
        if plan.remove:
            if await self._keeper.keep(record.order, record.status):
                self._queue.add_after(key, _KEEP_AGAIN)
                return
            await self._delete(record.order)
            return
        await self._report(key, record, record.order, plan, now)

    def _facts(self, key: AgentKey, order: Order) -> AgentFacts:
        record = self._store.agents[key]
        # Only these ask what suspends the agent, which may say so itself later; for a Suspend about many, asking would
        # cost their square.
        labels, book = dict(record.labels), self._store.orders
        over: tuple[Order, ...] = ()
        if order.spec.action in (Action.RESUME, Action.ROLLBACK):
            over = book.over(key.namespace, key.name, labels)
        elif order.spec.action is Action.REHIRE:
            over = book.offboards(*key, labels, record.leaves_by)
        children = self._store.children(record.uid)
        stopped = not any(_at_work(child) for child in children.values())
        by = (record.suspended_by_spec, over, record.suspended_by_policy)
        facts = AgentFacts(key.name, stopped, record.suspended, *by, out=record.out, retired=record.retired)
        if order.spec.action in orders.STEERING:
            return replace(facts, carried=standing.carried(record.load().get("status") or {}))
        if order.spec.action not in (Action.ROLLBACK, Action.RETRAIN):
            return facts
        spec = record.load()["spec"]
        work = written.at(spec, "workload")
        return replace(
            facts,
            adopted=bool(written.at(work, "targetRef")) and not written.at(work, "container"),
            container=written.text(work, "container", "name"),
            trainable=bool(written.at(spec, "retraining", "jobTemplate")),
            revisions=tuple(c for c in children.values() if c.revision and not c.deleting),
            newest=self._store.orders.newest_rollback(key.namespace, key.name),
        )

    async def _report(
        self, key: ActionKey, record: OrderRecord, order: Order, plan: OrderPlan, now: dt.datetime
    ) -> None:
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after)
        if order.phase in orders.FINISHED:
            return
        since = (now - self._reported.get(key, order.created)).total_seconds()
        if key in self._reported and 0 < plan.done < plan.agents and since < _PROGRESS_EVERY:
            self._queue.add_after(key, _PROGRESS_EVERY - since)
            return
        fields: dict[str, Any] = {"phase": plan.phase.value, "agents": plan.agents, "done": plan.done}
        if plan.previews:
            try:
                fields["preview"] = await self._previews.of(AgentKey(key.namespace, plan.previews))
            except (StoreError, DisputedError, ArchiveError, WaitsError) as error:
                plan = OrderPlan(
                    ActionPhase.PENDING,
                    reconciling(Reason.STORE_UNAVAILABLE, f"What would be archived cannot be looked at: {error}"),
                    plan.agents,
                )
                fields["phase"] = plan.phase.value
                self._queue.add_after(key, _PREVIEW_AGAIN)
        if plan.phase in orders.FINISHED:
            fields["completionTime"] = report.now()
        verdicts = plan.verdicts
        if record.problem:
            text = f"What can be read of it is in force, and the rest at its strictest: {record.problem}"
            verdicts = (*(each for each in verdicts if each.type is not Type.STALLED), _stalled(text))
        if await self._write(key, record, fields, verdicts):
            self._reported[key] = now
            if plan.phase in orders.FINISHED:
                await self._keep(key)

    async def _keep(self, key: ActionKey) -> None:
        """Keeps what is over, since somebody may delete it; it is tried again before it is removed for its age."""
        record = self._store.orders.records.get(key)
        if record is not None and record.order is not None:
            await self._keeper.keep(record.order, record.status)

    async def _write(
        self, key: ActionKey, record: OrderRecord, fields: dict[str, Any], verdicts: tuple[Verdict, ...]
    ) -> bool:
        patch = report.changes(record.status, fields, verdicts, record.generation)
        if not patch:
            return False
        answer = await report.write(self._api, paths.action(key.namespace, key.name), record.uid, patch)
        if answer is not None:
            self._store.orders.observe(answer, answer=True)
        return True

    async def _delete(self, order: Order) -> None:
        """Removes an order, and nothing else that may have come under its name."""
        path = paths.action(order.namespace, order.name)
        try:
            await self._api.request("DELETE", path, body={"preconditions": {"uid": order.uid}})
        except ApiError as error:
            if error.status not in (404, 409):
                raise
