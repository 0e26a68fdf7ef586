"""One test's place to work: namespaces, roles and agents of its own, and questions asked of the API server."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from support import agents
from support.kube import Kube, Object, wait_for
from support.localcluster.audit import AuditEvent
from support.operator import GRANTABLE_GROUP, Installation

CHILD_KINDS = (
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    (agents.RBAC, "Role"),
    (agents.RBAC, "RoleBinding"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    (agents.API, "AgentRevision"),
    (agents.API, "AgentEvaluation"),
    ("batch/v1", "Job"),
)
OPERATOR_USER = "system:serviceaccount:workforce-system:aiagent-operator"
Key = tuple[str, str, str]


class Workplace:
    """Made by a fixture for each test; what it made is removed after the test, and not waited for."""

    def __init__(self, installed: Installation) -> None:
        self.installed = installed
        self.admin: Kube = installed.admin
        self._id = uuid.uuid4().hex[:8]
        self._made: list[tuple[str, str, str]] = []
        self.namespace = self.new_namespace("home")

    # What a test makes ------------------------------------------------------------------------------------------------

    def name(self, what: str) -> str:
        """A name that no other test uses, for what is not in a namespace."""
        return f"{what}-{self._id}"

    def new_namespace(self, what: str, **labels: str) -> str:
        """A namespace in which agents of the test's roles may hold rights."""
        name = self.name(what)
        metadata = {"name": name, "labels": {"tests": "true", **labels}}
        self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self._made.append(("v1", "namespaces", name))
        return name

    def new_role(self, what: str = "support", **kwargs: Any) -> str:
        """An AgentRole; see agents.role."""
        name = self.name(what)
        self.admin.create(agents.role(name, **kwargs))
        self._made.append((agents.API, "agentroles", name))
        return name

    def grantable(self, what: str, *rules: Object) -> str:
        """A ClusterRole that is part of the ceiling."""
        name = self.name(what)
        self._made.append((agents.RBAC, "clusterroles", name))
        self.installed.make_grantable(name, list(rules))
        return name

    def let_use(self, user: str, role: str) -> None:
        """Give a user the verb `use` on a role, and wait until it counts."""
        name = f"use-{role}-{user}"
        rule = {"apiGroups": ["workforce.dev"], "resources": ["agentroles"], "resourceNames": [role], "verbs": ["use"]}
        meta = {"apiVersion": agents.RBAC, "kind": "ClusterRole", "metadata": {"name": name}}
        self.admin.create(meta | {"rules": [rule]})
        self._made.append((agents.RBAC, "clusterroles", name))
        self.admin.create(agents.binding("", name, name, _user(user), cluster=True))
        self._made.append((agents.RBAC, "clusterrolebindings", name))
        question = {"group": "workforce.dev", "name": role}
        wait_for(lambda: self.admin.allowed(user, "use", "agentroles", **question), what=f"{user} to use {role}")

    def let(self, user: str, verb: str, namespace: str, cluster_role: str) -> None:
        """Bind a ClusterRole to a user in a namespace, and wait until it lets them `verb` aiagents."""
        name = f"{user}-{cluster_role}"
        self.admin.create(agents.binding(namespace, name, cluster_role, _user(user), kind="ClusterRole"))
        question = {"group": "workforce.dev", "namespace": namespace}
        wait_for(lambda: self.admin.allowed(user, verb, "aiagents", **question), what=f"{user} to {verb} aiagents")

    def let_administer(self, user: str, namespace: str) -> None:
        """Give a user the built-in `admin` in a namespace."""
        self.let(user, "create", namespace, "admin")

    def clean(self) -> None:
        """Ask for the removal of everything; agents first, so that their finalizers meet a working operator."""
        self.installed.vacated.update(name for _, plural, name in self._made if plural == "namespaces")
        for api_version, plural, name in reversed(self._made):
            self.admin.delete_if_there(api_version, plural, name)

    # Orders -----------------------------------------------------------------------------------------------------------

    def order(self, action: str, name: str, *agent: str, **spec: Any) -> Object:
        """Give an order about the agent that is named, or about what the spec says."""
        by = self.admin.whoami()
        return self.admin.create(agents.order(self.namespace, name, action, by, *agent, **spec))

    def is_ordered(self, name: str, phase: str) -> bool:
        """Whether an order has a phase and Ready is True."""
        order = self.admin.get(agents.API, "agentactions", name, namespace=self.namespace)
        found = agents.condition(order, "Ready")
        return bool(found and found["status"] == "True" and order["status"].get("phase") == phase)

    def until_ordered(self, name: str, phase: str, reason: str, *texts: str) -> Object:
        """Wait until an order has a phase, and Ready has a reason and a message with these texts."""

        def holds(order: Object) -> bool:
            return order.get("status", {}).get("phase") == phase and _says(order, "Ready", reason, texts)

        what = f"order {name} to be {phase}, {_wanted(reason, texts)}"
        return self.admin.wait_object(agents.API, "agentactions", name, holds, what=what, namespace=self.namespace)

    # Agents -----------------------------------------------------------------------------------------------------------

    def employ(self, name: str, role: str, *permissions: Object, **spec: Any) -> Object:
        """Create an agent in the test's own namespace."""
        return self.admin.create(agents.agent(self.namespace, name, role, *permissions, **spec))

    def change(self, name: str, **spec: Any) -> Object:
        """Replace fields of an agent's spec."""
        return self.admin.patch(agents.API, "aiagents", name, {"spec": spec}, namespace=self.namespace)

    def replace_workload(self, name: str, workload: Object) -> Object:
        """Put another kind of workload into an agent's spec; a merge patch would leave both."""
        patch = [{"op": "replace", "path": "/spec/workload", "value": workload}]
        return self.admin.patch(agents.API, "aiagents", name, patch, namespace=self.namespace, kind="json")

    def get(self, name: str) -> Object:
        """The agent as it is now."""
        return self.admin.get(agents.API, "aiagents", name, namespace=self.namespace)

    def find(self, name: str) -> Object | None:
        """The agent as it is now, None where it is gone."""
        return self.admin.find(agents.API, "aiagents", name, namespace=self.namespace)

    def is_ready(self, name: str) -> bool:
        """Whether an agent's present spec is onboarded."""
        return _ready(self.find(name) or {})

    def dismiss(self, name: str, *, propagation: str | None = None) -> None:
        """Delete an agent, without waiting."""
        self.admin.delete(agents.API, "aiagents", name, namespace=self.namespace, propagation=propagation)

    def until_gone(self, name: str) -> None:
        """Wait until an agent no longer exists."""
        self.admin.wait_gone(agents.API, "aiagents", name, namespace=self.namespace)

    def until(self, name: str, holds: Callable[[Object], Any], *, what: str) -> Object:
        """Wait until something is true of an agent."""
        return self.admin.wait_object(agents.API, "aiagents", name, holds, what=what, namespace=self.namespace)

    def until_ready(self, name: str) -> Object:
        """Wait until an agent's present spec is onboarded."""
        return self.until(name, _ready, what=f"agent {name} to be onboarded")

    def until_reason(self, name: str, kind: str, reason: str, *texts: str) -> Object:
        """Wait until a condition has a reason and a message with these texts; it may say something else before."""

        def holds(agent: Object) -> bool:
            return _current(agent) and _says(agent, kind, reason, texts)

        return self.until(name, holds, what=f"condition {kind} of agent {name} to be {_wanted(reason, texts)}")

    def touch(self, obj: Object) -> None:
        """Set a label that means nothing to anybody, so that every watch tells of the object."""
        meta = obj["metadata"]
        patch = {"metadata": {"labels": {"touched": uuid.uuid4().hex[:8]}}}
        self.admin.patch(obj["apiVersion"], obj["kind"], meta["name"], patch, namespace=meta["namespace"])

    def until_settled(self, name: str) -> None:
        """Wait until an agent is ready and the operator has nothing to do."""
        self.until_ready(name)
        self.installed.operator().until_idle()

    def until_alone(self) -> None:
        """Let go of every agent of earlier tests, until they and their namespaces are gone: the operator must run."""
        strangers = [
            a["metadata"] for a in self.admin.list(agents.API, "aiagents") if self._id not in a["metadata"]["namespace"]
        ]
        self.installed.let_go(strangers)
        wait_for(lambda: not self._ending(), what="the namespaces of earlier tests to be gone", timeout=120)

    def _ending(self) -> list[str]:
        """Namespaces of earlier tests that are not gone yet."""
        found = self.admin.list("v1", "namespaces")
        return [n["metadata"]["name"] for n in found if n["status"]["phase"] == "Terminating"]

    def events(self, name: str) -> list[Object]:
        """The events about an agent, also about one that is gone."""
        fields = f"involvedObject.name={name},involvedObject.kind=AIAgent"
        return self.admin.list("v1", "events", namespace=self.namespace, fields=fields)

    def exists(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object of a child's kind exists."""
        api_version = next(version for version, known in CHILD_KINDS if known == kind)
        return self.admin.find(api_version, kind, name, namespace=namespace) is not None

    # What exists ------------------------------------------------------------------------------------------------------

    def children(self, uid: str, kinds: Sequence[tuple[str, str]] = CHILD_KINDS) -> dict[Key, Object]:
        """Everything in the cluster that carries the agent's UID as label, by kind, namespace and name."""
        found: dict[Key, Object] = {}
        for api_version, kind in kinds:
            for obj in self.admin.list(api_version, kind, labels=f"workforce.dev/agent-uid={uid}"):
                found[kind, obj["metadata"]["namespace"], obj["metadata"]["name"]] = obj
        return found

    def can(
        self,
        name: str,
        verb: str,
        resource: str,
        *,
        namespace: str | None = None,
        group: str = GRANTABLE_GROUP,
        object_name: str = "",
    ) -> bool:
        """Whether the API server lets the agent do it, asked with its account's user name and groups."""
        return self.admin.allowed(
            agents.username(self.namespace, name),
            verb,
            resource,
            groups=agents.groups(self.namespace),
            group=group,
            namespace=self.namespace if namespace is None else namespace,
            name=object_name,
        )

    def until_can(self, name: str, verb: str, resource: str, **where: Any) -> None:
        """Wait until the API server lets the agent do it: its authorizer follows the bindings within moments."""
        wait_for(lambda: self.can(name, verb, resource, **where), what=f"{name} to be allowed to {verb} {resource}")

    def until_cannot(self, name: str, verb: str, resource: str, **where: Any) -> None:
        """Wait until the API server refuses it."""
        wait_for(lambda: not self.can(name, verb, resource, **where), what=f"{name} to be refused to {verb} {resource}")

    def rights(self, uid: str) -> set[tuple[str, str, str, str]]:
        """(namespace, group, resource, verb) that bindings with the agent's UID give, read from Roles and bindings.

        Unlike a review, this sees also what the authorizer has not taken in yet.
        """
        # Tests ask this all the time, and it need not cost a look at ten kinds.
        children = self.children(uid, ((agents.RBAC, "Role"), (agents.RBAC, "RoleBinding")))
        held: set[tuple[str, str, str, str]] = set()
        for (kind, namespace, _), obj in children.items():
            if kind != "RoleBinding":
                continue
            bound = children.get(("Role", namespace, obj["roleRef"]["name"]))
            for rule in (bound or {}).get("rules") or ():
                held |= {
                    (namespace, group, resource, verb)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                }
        return held

    # The operator -----------------------------------------------------------------------------------------------------

    def is_mine(self, uri: str) -> bool:
        """Whether a request is about something that this test made."""
        return self._id in uri

    @property
    def plane(self) -> Any:
        """The local control plane: its audit log and its faults."""
        return self.installed.cluster

    def writes(self, mark: int) -> list[AuditEvent]:
        """The operator's writes about this test's objects since a mark of the audit log, in the order of arrival."""
        events: list[AuditEvent] = self.plane.audit(mark, user=OPERATOR_USER)
        found = [event for event in events if event.mutating and self._id in event.uri]
        return sorted(found, key=lambda event: event.received)


def _user(name: str) -> Object:
    return {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def _ready(agent: Object) -> bool:
    found = agents.condition(agent, "Ready")
    return bool(found and found["status"] == "True" and _current(agent))


def _current(agent: Object) -> bool:
    return bool(agent["status"].get("observedGeneration") == agent["metadata"]["generation"])


def _says(obj: Object, kind: str, reason: str, texts: tuple[str, ...]) -> bool:
    found = agents.condition(obj, kind)
    return bool(found and found["reason"] == reason and all(text in found.get("message", "") for text in texts))


def _wanted(reason: str, texts: tuple[str, ...]) -> str:
    return f"{reason}, with {', '.join(map(repr, texts))}" if texts else reason
