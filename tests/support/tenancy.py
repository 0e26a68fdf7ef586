"""People and objects for tests of the security kernel: tenants of a namespace, an agent's objects, and refusals."""

import copy
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.core import injection
from aiagent_operator.core.children import deployment, role, role_binding, service_account
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.rules import Rule
from support import chart
from support.kube import ApiError, Kube, Object, wait_for

RBAC = "rbac.authorization.k8s.io/v1"
APPS = "apps/v1"
ROLE = "support"
READ_CONFIG = Rule(("",), ("configmaps",), ("get",))
POD: Object = {"containers": [{"name": "app", "image": "registry.example/app:1"}]}


@contextmanager
def refused(policy: str, remedy: str, *, or_policy: str = "") -> Iterator[None]:
    """The block's request is refused by that policy, in words that contain the remedy.

    Where two policies refuse the same, the API server gives the words of either: then `or_policy` names the other.
    """
    with pytest.raises(ApiError) as caught:
        yield
    error = caught.value
    assert error.status in {403, 422}, str(error)
    named = [f"ValidatingAdmissionPolicy '{name}.{meta.GROUP}'" for name in (policy, or_policy) if name]
    assert any(name in error.message for name in named), str(error)
    assert remedy in error.message, str(error)


@contextmanager
def unauthorized(reason: str) -> Iterator[None]:
    """The block's request is refused by RBAC itself, in words that contain the reason."""
    with pytest.raises(ApiError) as caught:
        yield
    error = caught.value
    assert error.status == 403, str(error)
    assert "ValidatingAdmissionPolicy" not in error.message, str(error)
    assert reason in error.message, str(error)


@dataclass(frozen=True)
class Office:
    """A namespace, whoever works there, and the operator's own account (no operator runs)."""

    namespace: str
    admin: Kube
    operator: Kube
    editor: Kube
    """Holds the built-in `edit` (with it workforce-agents-edit) in the namespace, and `use` of the role `support`."""
    owner: Kube
    """Holds the built-in `admin` in the namespace, and nothing outside it."""
    bound: list[tuple[str, str]] = field(default_factory=list)

    # People -------------------------------------------------------------------------------------------------------

    def person(self, *rules: Object) -> Kube:
        """Somebody new with exactly these rights in the namespace, and `use` of the role `support`."""
        name = f"person-{uuid.uuid4().hex[:8]}"
        self.admin.create(self.obj(RBAC, "Role", name, rules=list(rules)))
        self.bind(name, {"kind": "Role", "name": name})
        self.let_use(name)
        return self.admin.as_user(name)

    def bind(self, user: str, role_ref: Object) -> None:
        """Bind a role to a user in the namespace, and wait until the API server knows."""
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", **role_ref}
        self.admin.create(self.obj(RBAC, "RoleBinding", user, roleRef=ref, subjects=[subject]))

    def let_use(self, user: str, agent_role: str = ROLE) -> None:
        """Give a user the verb `use` on a role, cluster-wide as it has to be, and wait until it counts."""
        name = f"{user}-uses-{agent_role}"
        rules = [
            {"apiGroups": [meta.GROUP], "resources": ["agentroles"], "resourceNames": [agent_role], "verbs": ["use"]}
        ]
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
        for kind, content in (
            ("ClusterRole", {"rules": rules}),
            ("ClusterRoleBinding", {"roleRef": ref, "subjects": [subject]}),
        ):
            self.admin.create({"apiVersion": RBAC, "kind": kind, "metadata": {"name": name}, **content})
            self.bound.append((kind, name))
        wait_for(
            lambda: self.admin.allowed(user, "use", "agentroles", group=meta.GROUP, name=agent_role),
            what=f"{user} to hold `use` on the role {agent_role}",
        )

    def leave(self) -> None:
        """Remove what is outside the namespace."""
        for kind, name in self.bound:
            self.admin.delete(RBAC, kind, name)

    # Objects ------------------------------------------------------------------------------------------------------

    def obj(self, api_version: str, kind: str, name: str, *, metadata: Object | None = None, **content: Any) -> Object:
        """An object of the namespace."""
        head = {"name": name, "namespace": self.namespace, **(metadata or {})}
        return {"apiVersion": api_version, "kind": kind, "metadata": head, **copy.deepcopy(content)}

    def deployment(self, name: str = "triage", *, account: str | None = None, **pod: Any) -> Object:
        """A Deployment of its own; `pod` goes into the pod spec."""
        spec = copy.deepcopy(POD) | copy.deepcopy(pod)
        if account is not None:
            spec["serviceAccountName"] = account
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": spec}
        return self.obj(APPS, "Deployment", name, spec={"selector": {"matchLabels": labels}, "template": template})

    def statefulset(self, name: str = "memory") -> Object:
        """A StatefulSet of its own."""
        obj = self.deployment(name) | {"kind": "StatefulSet"}
        obj["spec"]["serviceName"] = name
        return obj

    def agent(self, name: str = "triage", **spec: Any) -> Object:
        """An AIAgent; without `workload`, it adopts the Deployment `triage`."""
        accountable = {
            "name": "product",
            "function": "Product",
            "responsibility": "Accountable",
            "subject": {"kind": "User", "name": "product-owner@corp.example"},
        }
        default: Object = {
            "roleRef": {"name": ROLE},
            "purpose": "Answer first-line support tickets",
            "owners": [accountable],
            "workload": {"targetRef": {"apiVersion": APPS, "kind": "Deployment", "name": "triage"}},
        }
        return self.obj(meta.API_VERSION, "AIAgent", name, spec=default | spec)

    # What the operator does -----------------------------------------------------------------------------------------

    def identity(self, name: str = "triage") -> AgentIdentity:
        """An agent as the operator knows it; its AIAgent need not exist for what the policies decide."""
        return AgentIdentity(self.namespace, name, str(uuid.uuid4()))

    def employ(self, agent: AgentIdentity, *, rules: Iterable[Rule] = (READ_CONFIG,)) -> None:
        """Account, Role and RoleBinding of an agent, written by the operator's account."""
        self.operator.create(service_account.build(agent).manifest)
        self.operator.create(role.build(agent, self.namespace, rules).manifest)
        self.operator.create(role_binding.build(agent, self.namespace).manifest)

    def run(self, agent: AgentIdentity, **pod: Any) -> Object:
        """The Deployment of an agent with a template, written by the operator's account."""
        template = {"spec": copy.deepcopy(POD) | pod}
        return self.operator.create(deployment.build(agent, 1, template, 1, injected(agent)).manifest)


def injected(agent: AgentIdentity) -> Injection:
    """What the pods of an agent get."""
    return injection.build(agent, f"aiagent.{agent.name}.0123456789", ())


def open_office(admin: Kube, namespace: str) -> Office:
    """Tenants for the namespace; `leave` them when done. The chart must be installed."""
    tag = namespace.removeprefix("test-")
    people = {f"editor-{tag}": "edit", f"owner-{tag}": "admin"}
    operator = admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    editor, owner = (admin.as_user(name) for name in people)
    office = Office(namespace, admin, operator, editor, owner)
    for name, cluster_role in people.items():
        office.bind(name, {"kind": "ClusterRole", "name": cluster_role})

    def all_may_employ() -> bool:
        return all(admin.allowed(name, "create", "aiagents", group=meta.GROUP, namespace=namespace) for name in people)

    wait_for(all_may_employ, what=f"{', '.join(people)} to hold workforce-agents-edit through edit and admin")
    office.let_use(f"editor-{tag}")
    return office
