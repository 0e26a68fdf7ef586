"""What is known of the cluster, fed by watches and by the answers to the operator's own writes.

Agents are kept as compact JSON, children as the few fields that decisions read, since ten thousand agents have seventy
thousand children. Who is concerned by a change is found through indexes. One event loop uses it; nothing here waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiagent_operator.api.agentaction import Action
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey
from aiagent_operator.core.orders import Order
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import Merged
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.runtime import agentrecord
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archives import ArchiveBook, ArchiveKey, ArchiveRecord, CareKey
from aiagent_operator.runtime.index import Index, dependencies
from aiagent_operator.runtime.orders import ActionKey, OrderBook
from aiagent_operator.runtime.policies import PolicyBook, PolicyKey
from aiagent_operator.runtime.rolerecord import RoleRecord

_REMEMBERED = 20_000


class AgentKey(NamedTuple):
    """An agent in the queue."""

    namespace: str
    name: str


class JournalKey(NamedTuple):
    """A journal in the queue: what is noted there is to be recorded. `kind` keeps it apart from its agent."""

    namespace: str
    name: str
    kind: str = "Journal"


class RoleKey(NamedTuple):
    """A role in the queue."""

    name: str


class OrphanKey(NamedTuple):
    """Children in the queue whose agent is not known."""

    uid: str


Key = AgentKey | JournalKey | RoleKey | PolicyKey | ActionKey | ArchiveKey | CareKey | OrphanKey


class Store:
    """The cluster as far as the operator knows it. `notify` is called with each key that a change concerns, `hurry`
    with each agent that an order does."""

    def __init__(self, notify: Callable[[Key], None], hurry: Callable[[AgentKey], None] | None = None) -> None:
        self.notify, self._hurry = notify, hurry or notify
        self.agents: dict[AgentKey, AgentRecord] = {}
        self.roles: dict[str, RoleRecord] = {}
        self.orders = OrderBook(notify, self._order_concerns)
        self.policies = PolicyBook(notify, self._policies_concern)
        self.archives = ArchiveBook(self._archive_changed)
        self.namespaces: dict[str, NamespaceFacts] = {}
        self.dependents: Index[AgentKey] = Index()
        self._children: dict[str, dict[ObjectKey, Child]] = {}
        self._owner: dict[ObjectKey, str] = {}
        self._agent_of: dict[str, AgentKey] = {}
        # Versions at which children went, so that no late answer to a write brings one back: of some time, so bounded.
        self._gone: OrderedDict[ObjectKey, int] = OrderedDict()
        # UIDs of the last children that were answered to be gone.
        self.ended: OrderedDict[str, None] = OrderedDict()

    # Agents

    def observe_agent(self, body: Mapping[str, Any], *, answer: bool = False) -> bool:
        """Takes in an agent; False where it is older than what is known. Concerned: the agent; of the `answer` to a
        write only where others have changed it too, since the watch brings that too late to be heard. An agent that is
        known no longer has gone since it was written to."""
        metadata = body["metadata"]
        key = AgentKey(metadata["namespace"], metadata["name"])
        known = self.agents.get(key)
        same = known is not None and known.uid == metadata["uid"]
        if (known and same and known.resource_version >= int(metadata["resourceVersion"])) or (answer and not same):
            return False
        record = agentrecord.read(body)
        self.agents[key] = record
        self._agent_of[metadata["uid"]] = key
        self.dependents.set(key, dependencies(key.namespace, body.get("spec") or {}))
        if known is None or record.standing != known.standing:
            self.orders.agent_changed(key.namespace, key.name)
        if known is None or record.to_kin != known.to_kin:
            self._concern_kin(key)
        if not answer or (known and record.edited_since(known)):
            self.notify(key)
        return True

    def forget_agent(self, namespace: str, name: str, uid: str) -> None:
        """The agent is gone. Concerned: what is remembered of it, children it may have left, and its archive."""
        key = AgentKey(namespace, name)
        known = self.agents.get(key)
        self._agent_of.pop(uid, None)
        if known and known.uid == uid:
            del self.agents[key]
            self.dependents.set(key, ())
            self.orders.agent_changed(namespace, name)
            self._concern_kin(key)
        self.notify(key)
        for archive in self.archives.of(namespace, name):
            # It may have waited for the agent to go.
            self.notify(ArchiveKey(archive))
        if self._children.get(uid):
            self.notify(OrphanKey(uid))

    def covered(self, order: Order) -> list[AgentKey]:
        """The agents that an order is about."""
        if order.spec.agent_ref is not None:
            key = AgentKey(order.home, order.spec.agent_ref.name)
            return [key] if key in self.agents else []
        return [
            key
            for key, record in self.agents.items()
            if key.namespace == order.namespace and order.covers(key.name, dict(record.labels))
        ]

    def archives_of(self, order: Order) -> list[str]:
        """Names of the AgentArchives that an order is about."""
        if order.spec.archive_ref is not None:
            name = order.spec.archive_ref.name
            return [name] if self.archives.own(name) else []
        return self.archives.of(order.namespace, order.spec.agent_ref.name) if order.spec.agent_ref else []

    def concern_archives(self, order: Order) -> None:
        """Has the archives that an order is about looked at anew."""
        for name in self.archives_of(order):
            self.notify(ArchiveKey(name))

    def _archive_changed(self, record: ArchiveRecord) -> None:
        self.orders.archive_changed(record.namespace, record.agent, record.name)
        self._concern_kin(AgentKey(record.namespace, record.agent))
        self.notify(ArchiveKey(record.name))

    def _concern_kin(self, key: AgentKey) -> None:
        for other in self.dependents.of(("AIAgent", *key)):
            self.notify(other)

    def _order_concerns(self, order: Order) -> None:
        if order.spec.action in (Action.HOLD, Action.RELEASE, Action.ERASE):
            self.concern_archives(order)
            return
        for key in self.covered(order):
            self._hurry(key)

    # Policies

    def demands(self, key: AgentKey, record: AgentRecord) -> Merged:
        """What the policies that select the agent demand together."""
        return self.policies.over(self._subject(key, record))

    def _policies_concern(self, *policies: CompiledPolicy) -> None:
        for key, record in self.agents.items():
            subject = self._subject(key, record)
            if any(policy.scope.covers(subject) for policy in policies):
                self.notify(key)

    def _subject(self, key: AgentKey, record: AgentRecord) -> Subject:
        home = self.namespaces.get(key.namespace)
        return Subject(record.role, dict(record.labels), home.labels if home else None)

    # Roles and namespaces

    def observe_role(self, name: str, record: RoleRecord | None) -> None:
        """Takes in a role, or its end. Concerned: the role and its agents."""
        if record is None:
            self.roles.pop(name, None)
        else:
            self.roles[name] = record
            self.notify(RoleKey(name))
        for key in self.dependents.of(("role", name)):
            self.notify(key)

    def observe_namespace(self, name: str, facts: NamespaceFacts | None) -> None:
        """Takes in a namespace, or its end. Concerned: agents that live or hold rights there."""
        if self.namespaces.get(name) == facts:
            return
        if facts is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = facts
        for key in self.dependents.of(("namespace", name)):
            self.notify(key)

    # Children

    def children(self, uid: str) -> Mapping[ObjectKey, Child]:
        """The children of an agent."""
        return self._children.get(uid, {})

    def child(self, key: ObjectKey) -> Child | None:
        """One child, whoever's it is."""
        owner = self._owner.get(key)
        return self._children[owner][key] if owner is not None else None

    def observe_child(self, child: Child, *, notify: bool = True, disputed: bool = False) -> None:
        """Takes in a child, unless it is older than what is known. Concerned: its agent, and a former one.

        `notify` is false for what a pass over the agent itself has written: the agent need not hear of that.
        `disputed`: its labels say another agent than the one it belongs to, and what is known comes from the labels.
        """
        # Equal is not gone: an object that lost its label leaves the watch with the version it lives on with.
        if self._gone.get(child.key, 0) > int(child.resource_version):
            return
        former = self._owner.get(child.key)
        if former is not None:
            known = self._children[former][child.key]
            late = int(known.resource_version) - int(child.resource_version)
            if known.uid == child.uid and (late > 0 or (late == 0 and not disputed)):
                return
            if former != child.agent_uid:
                self._drop(child.key, former)
                self._concern(former)
        self._owner[child.key] = child.agent_uid
        self._children.setdefault(child.agent_uid, {})[child.key] = child
        if notify:
            self._concern(child.agent_uid)
        elif child.key.kind is ChildKind.AGENT_REVISION and (key := self._agent_of.get(child.agent_uid)):
            # Its own pass wrote this, and the watch will say nothing new: orders wait for what revisions say.
            self.orders.agent_changed(key.namespace, key.name)

    def forget_child(self, key: ObjectKey, uid: str = "", *, version: str = "0", notify: bool = True) -> None:
        """The child is gone as of a resource version. With a UID, only where the known one has it."""
        if version != "0":
            self._gone[key] = int(version)
            self._gone.move_to_end(key)
            if len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)
        owner = self._owner.get(key)
        if owner is None or (uid and self._children[owner][key].uid != uid):
            return
        self._drop(key, owner)
        if notify:
            self._concern(owner)

    def end_child(self, key: ObjectKey, uid: str) -> None:
        """The API server has answered to its deletion that it is gone. What a late event tells of it is older."""
        last = int(known.resource_version) + 1 if (known := self.child(key)) and known.uid == uid else 0
        self.forget_child(key, uid, version=str(last), notify=False)
        self.ended[uid] = None
        if len(self.ended) > _REMEMBERED:
            self.ended.popitem(last=False)

    def known_children(self, kind: ChildKind) -> list[ObjectKey]:
        """Keys of all children of the kind, for a relist to compare with."""
        return [key for key in self._owner if key.kind is kind]

    def all_keys(self) -> list[Key]:
        """Everything that there is to look after."""
        return [
            *(RoleKey(name) for name in self.roles),
            *(PolicyKey(name) for name in self.policies.records),
            *self.agents,
            *self.orders.records,
            *(ArchiveKey(name) for name in self.archives.records),
            *(OrphanKey(uid) for uid in self.orphans()),
        ]

    def orphans(self) -> list[str]:
        """UIDs whose agent is not known, though children of theirs are."""
        return [uid for uid in self._children if uid not in self._agent_of]

    def agent_of(self, uid: str) -> AgentKey | None:
        """The agent with this UID, where it is known."""
        return self._agent_of.get(uid)

    def _drop(self, key: ObjectKey, owner: str) -> None:
        del self._owner[key]
        mine = self._children[owner]
        del mine[key]
        if not mine:
            del self._children[owner]

    def _concern(self, uid: str) -> None:
        key = self._agent_of.get(uid)
        self.notify(key or OrphanKey(uid))
        if key:
            self.orders.agent_changed(key.namespace, key.name)
