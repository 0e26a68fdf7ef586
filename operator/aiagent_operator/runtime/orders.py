"""The orders that exist, and whom each concerns: fed by kopf's watch, read when agents and orders are decided about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from aiagent_operator.api.agentaction import Action, ActionPhase
from aiagent_operator.core import texts
from aiagent_operator.core.orders import FINISHED, STEERING, Order
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder
from aiagent_operator.runtime import orderrecord
from aiagent_operator.runtime.orderrecord import OrderRecord

# Orders that are about archives.
_ARCHIVES: Final = (Action.HOLD, Action.RELEASE, Action.ERASE)
# Orders of which those hear that they are about, agents or archives.
_CONCERN: Final = (
    Action.SUSPEND, Action.OFFBOARD, Action.ROLLBACK, Action.RETRAIN, Action.ABANDON, *_ARCHIVES, *STEERING
)  # fmt: skip


class ActionKey(NamedTuple):
    """An order in the queue. `kind` keeps it apart from an agent of the same name."""

    namespace: str
    name: str
    kind: str = "AgentAction"


class OrderBook:
    """All orders. `changed` is called with each, and `concerned` with each whose agents have to be looked at anew."""

    def __init__(self, changed: Callable[[ActionKey], None], concerned: Callable[[Order], None]) -> None:
        self._changed, self._concerned = changed, concerned
        self.records: dict[ActionKey, OrderRecord] = {}
        self._inside: dict[str, set[ActionKey]] = defaultdict(set)
        # Orders about an archive may be given in any namespace.
        self._about_archive: dict[str, set[ActionKey]] = defaultdict(set)
        # So may an Abandon be, by namespace and name of its agent.
        self._abandons: dict[tuple[str, str], set[ActionKey]] = defaultdict(set)

    def observe(self, body: Mapping[str, Any], *, answer: bool = False) -> None:
        """Takes in an order, unless it is older than what is known. One that is known no longer has gone since the
        write whose `answer` this is."""
        metadata = body["metadata"]
        key = ActionKey(metadata["namespace"], metadata["name"])
        known = self.records.get(key)
        same = known is not None and known.uid == metadata["uid"]
        new = orderrecord.read(body, known.order if known and same else None)
        if (known and same and known.version >= new.version) or (answer and not same):
            return
        self.records[key] = new
        self._inside[key.namespace].add(key)
        if known:
            self._forget_archive(key, known)
        if new.archive:
            self._about_archive[new.archive].add(key)
        if new.abandons:
            self._abandons[new.abandons].add(key)
        if known is None or not same or known.passed != new.passed:
            self._tell(known)
            self._tell(new)
        self._changed(key)

    def forget(self, namespace: str, name: str, uid: str) -> None:
        """The order is gone."""
        key = ActionKey(namespace, name)
        known = self.records.get(key)
        if known is None or known.uid != uid:
            return
        del self.records[key]
        self._inside[namespace].discard(key)
        if not self._inside[namespace]:
            del self._inside[namespace]
        self._forget_archive(key, known)
        self._tell(known)
        # A Resume or Rehire may have waited for this one to go.
        for other in self._inside.get(namespace, ()):
            self._changed(other)

    def of(self, namespace: str, uids: Collection[str]) -> tuple[tuple[Order, Mapping[str, Any]], ...]:
        """The orders of a namespace that have these UIDs, each with its status."""
        if not uids:
            return ()
        found = (self.records[key] for key in self._inside.get(namespace, ()))
        return tuple((record.order, record.status) for record in found if record.order and record.uid in uids)

    def standing(self, namespace: str) -> tuple[Order, ...]:
        """The standing orders of a namespace, sorted by name."""
        return tuple(sorted((o for o in self._orders(namespace) if o.stands), key=lambda order: order.name))

    def over(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Order, ...]:
        """The Suspends that an agent is under, sorted by name."""
        if namespace not in self._inside:
            return ()
        found = (order for order in self._orders(namespace) if order.suspends and order.covers(name, labels))
        return tuple(sorted(found, key=lambda order: order.name))

    def offboards(self, namespace: str, name: str, labels: Mapping[str, str], begun: str = "") -> tuple[Order, ...]:
        """The orders to offboard an agent, those too whose notice is not over, sorted by name; also that with the UID
        `begun`, by which it leaves already: no other labels take it out of that."""
        given = (order for order in self._orders(namespace) if order.offboards)
        found = (order for order in given if order.covers(name, labels) or order.uid == begun)
        return tuple(sorted(found, key=lambda order: order.name))

    def rollback(self, namespace: str, name: str) -> RollbackOrder | None:
        """The newest Rollback of an agent, while it is not carried out yet."""
        if (newest := self.newest_rollback(namespace, name)) is None or newest.phase in FINISHED:
            return None
        return RollbackOrder(newest.name, newest.uid, str(newest), newest.spec.revision)

    def newest_rollback(self, namespace: str, name: str) -> Order | None:
        """The newest Rollback of an agent, carried out or not: it has the last word."""
        if namespace not in self._inside:
            return None
        found = (o for o in self._orders(namespace) if o.spec.action is Action.ROLLBACK and o.covers(name, {}))
        return max(found, key=lambda order: order.age, default=None)

    def retrains(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[RetrainOrder, ...]:
        """The Retrains of an agent that are not carried out yet, oldest first."""
        if namespace not in self._inside:
            return ()
        found = (o for o in self._orders(namespace) if o.spec.action is Action.RETRAIN and o.phase not in FINISHED)
        about = sorted((order for order in found if order.covers(name, labels)), key=lambda order: order.age)
        return tuple(RetrainOrder(o.name, o.uid, o.created.isoformat(), o.deadline.isoformat()) for o in about)

    def steering(self, namespace: str, name: str) -> tuple[RolloutOrder, ...]:
        """The orders about an agent's rollout that are not finished, in the order in which they were given."""
        if namespace not in self._inside:
            return ()
        found = (o for o in self._orders(namespace) if o.spec.action in STEERING and o.phase not in FINISHED)
        mine = sorted((order for order in found if order.covers(name, {})), key=lambda order: order.age)
        return tuple(RolloutOrder(o.uid, _kind(o), str(o), texts.moment(o.created), o.name) for o in mine)

    def holds(self, namespace: str, agent: str, archive: str) -> tuple[Order, ...]:
        """The Holds about an archive, by the name of its agent there or by its own, sorted by age."""
        inside = self._orders(namespace) if namespace in self._inside else ()
        found = [o for o in inside if o.spec.agent_ref is not None and o.spec.agent_ref.name == agent]
        found += self._about(archive)
        return tuple(sorted((o for o in found if o.spec.action is Action.HOLD), key=lambda order: order.age))

    def alike(self, order: Order) -> tuple[Order, ...]:
        """The Holds that name what a Release names, sorted by age."""
        if order.spec.archive_ref is not None:
            return tuple(o for o in self.holds("", "", order.spec.archive_ref.name))
        return self.holds(order.namespace, order.spec.agent_ref.name, "") if order.spec.agent_ref else ()

    def releases(self, archive: str) -> tuple[Order, ...]:
        """The Releases that name an archive and are not carried out yet."""
        return tuple(o for o in self._about(archive) if o.spec.action is Action.RELEASE and o.phase not in FINISHED)

    def abandon(self, namespace: str, agent: str, archive: str) -> Order | None:
        """The first Abandon of an agent that was accepted; None where one is to hold what is archived of it."""
        if (namespace, agent) not in self._abandons or self.holds(namespace, agent, archive):
            return None
        found = (self.records[key].accepted for key in self._abandons[namespace, agent])
        return min((order for order in found if order is not None), key=lambda order: order.age, default=None)

    def archive_changed(self, namespace: str, agent: str, archive: str) -> None:
        """An AgentArchive came, went, or says something else: orders about it say so."""
        for key in self._abandons.get((namespace, agent), ()):
            self._changed(key)
        for key in (*self._inside.get(namespace, ()), *self._about_archive.get(archive, ())):
            order = self.records[key].order
            if order and order.spec.action in _ARCHIVES and order.phase not in FINISHED:
                its = order.spec.agent_ref
                if its is None or its.name == agent:
                    self._changed(key)

    def _about(self, archive: str) -> Iterator[Order]:
        for key in self._about_archive.get(archive, ()):
            if (order := self.records[key].order) is not None:
                yield order

    def recall(self) -> None:
        """Tells of all orders that are not carried out yet, as if they had just been given."""
        for record in self.records.values():
            if record.order and record.order.phase not in (*FINISHED, ActionPhase.IN_FORCE):
                self._tell(record)

    def agent_changed(self, namespace: str, name: str) -> None:
        """An agent came, went, or has other labels, or became suspended or not: orders that may be about it say so."""
        for key in self._inside.get(namespace, ()):
            order = self.records[key].order
            if (
                order
                and order.phase not in FINISHED
                and order.spec.archive_ref is None
                and (order.spec.agent_ref is None or order.spec.agent_ref.name == name)
            ):
                self._changed(key)
        for key in self._abandons.get((namespace, name), ()):
            self._changed(key)

    def _forget_archive(self, key: ActionKey, record: OrderRecord) -> None:
        if agent := record.abandons:
            self._abandons[agent].discard(key)
            if not self._abandons[agent]:
                del self._abandons[agent]
        if archive := record.archive:
            self._about_archive[archive].discard(key)
            if not self._about_archive[archive]:
                del self._about_archive[archive]

    def _orders(self, namespace: str) -> Iterator[Order]:
        for key in self._inside.get(namespace, ()):
            if (order := self.records[key].order) is not None:
                yield order

    def _tell(self, record: OrderRecord | None) -> None:
        if record and record.order and record.order.spec.action in _CONCERN:
            self._concerned(record.order)


def _kind(order: Order) -> OrderKind:
    if order.spec.action is Action.ABORT:
        return OrderKind.ABORT
    return OrderKind.PROMOTE_FULL if order.spec.full else OrderKind.PROMOTE
