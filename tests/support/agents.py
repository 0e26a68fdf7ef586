"""Manifests of roles, agents and workloads for tests, as short as what a test is about."""

import hashlib
from typing import Any

from support.kube import Object
from support.operator import GRANTABLE_GROUP

API = "workforce.dev/v1alpha1"
FINALIZER = "workforce.dev/offboarding"
IMAGE = "registry.example/agent:1"
RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT_PREFIX = "aiagent."


def rule(verbs: str, resources: str, *names: str, group: str = GRANTABLE_GROUP) -> Object:
    """A rule; verbs and resources separated by spaces."""
    found: Object = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return found | ({"resourceNames": list(names)} if names else {})


READ_TICKETS = rule("get list", "tickets")
REFUND = rule("create", "refunds")
BILL = rule("create", "invoices")


def role(name: str, *, sets: dict[str, list[Object]] | None = None, state: str = "Approved", **spec: Any) -> Object:
    """An AgentRole, allowed in every namespace that carries the label `tests: "true"`, and in the agent's own."""
    chosen = {"read-tickets": [READ_TICKETS], "refund": [REFUND], "bill": [BILL]} if sets is None else sets
    return {
        "apiVersion": API,
        "kind": "AgentRole",
        "metadata": {"name": name},
        "spec": {
            "description": "Answers customers",
            "lifecycle": {"state": state},
            "namespaces": {"matchLabels": {"tests": "true"}},
            "permissionSets": [{"name": key, "description": key, "rules": rules} for key, rules in chosen.items()],
            **spec,
        },
    }


def policy(name: str, selector: Object, **spec: Any) -> Object:
    """An AgentPolicy."""
    return {
        "apiVersion": API,
        "kind": "AgentPolicy",
        "metadata": {"name": name},
        "spec": {"description": "Rules about training", "selector": selector, **spec},
    }


def permission(name: str, *namespaces: str, rules: list[Object] | None = None) -> Object:
    """A permission asked for; without rules, a set of the role."""
    asked: Object = {"name": name}
    if namespaces:
        asked["namespaces"] = list(namespaces)
    return asked | ({"rules": rules} if rules else {})


def owner(name: str = "product", responsibility: str = "Accountable", function: str = "Product") -> Object:
    """An owner."""
    subject = {"kind": "User", "name": f"{name}@corp.example"}
    return {"name": name, "function": function, "responsibility": responsibility, "subject": subject}


def pod_template(*, held: bool = False, **spec: Any) -> Object:
    """A pod template. Pods that are held are scheduled, but never become ready."""
    template: Object = {"spec": {"containers": [{"name": "app", "image": IMAGE}], **spec}}
    return template | ({"metadata": {"annotations": {"localcluster/hold": "true"}}} if held else {})


def template(*, replicas: int = 1, held: bool = False, **spec: Any) -> Object:
    """A workload made from a template."""
    return {"template": pod_template(held=held, **spec), "replicas": replicas}


def target(name: str, *, kind: str = "Deployment", take_over: bool = False, image: str = "") -> Object:
    """A workload that is adopted; with an image, that of its container `app` is the agent's work."""
    ref = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    own: Object = {"container": {"name": "app", "image": image}} if image else {}
    return {"targetRef": ref | ({"onConflict": "TakeOver"} if take_over else {}), **own}


def agent(namespace: str, name: str, role_name: str, *permissions: Object, **spec: Any) -> Object:
    """An AIAgent with one owner and a template, unless the spec says otherwise."""
    return {
        "apiVersion": API,
        "kind": "AIAgent",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "roleRef": {"name": role_name},
            "purpose": "Answer tickets",
            "owners": [owner()],
            "permissions": list(permissions),
            "handbook": {"instructions": {"inline": "Be kind."}},
            "workload": template(),
            **spec,
        },
    }


def workload(namespace: str, name: str, *, kind: str = "Deployment", replicas: int = 1, **pod: Any) -> Object:
    """A Deployment or StatefulSet of somebody's own, to be adopted."""
    labels = {"app": name}
    spec: Object = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": IMAGE}], **pod}},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


def config_map(namespace: str, name: str, **data: str) -> Object:
    """A ConfigMap."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def order(namespace: str, name: str, action: str, by: str, *agent: str, **spec: Any) -> Object:
    """An AgentAction of somebody about the agent that is named, or about what the spec says."""
    about: Object = {"agentRef": {"name": agent[0]}} if agent else {}
    return {
        "apiVersion": API,
        "kind": "AgentAction",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"action": action, "requestedBy": by, "reason": "It answers nonsense", **about, **spec},
    }


def binding(
    namespace: str, name: str, role_ref: str, *subjects: Object, kind: str = "Role", cluster: bool = False
) -> Object:
    """A RoleBinding to a Role or ClusterRole; or, with `cluster`, a ClusterRoleBinding."""
    return {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding" if cluster else "RoleBinding",
        "metadata": {"name": name} | ({} if cluster else {"namespace": namespace}),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole" if cluster else kind,
            "name": role_ref,
        },
        "subjects": list(subjects),
    }


def username(namespace: str, name: str) -> str:
    """The user name of an agent."""
    return f"system:serviceaccount:{namespace}:{ACCOUNT_PREFIX}{name}"


def groups(namespace: str) -> tuple[str, ...]:
    """The groups of every account of the namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")


def condition(obj: Object, kind: str) -> Object | None:
    """One condition of an agent or role; None where it is not there."""
    return next((c for c in obj.get("status", {}).get("conditions", []) if c["type"] == kind), None)


def foreign_name(name: str, uid: str) -> str:
    """Name of an agent's Role and RoleBinding in a namespace that is not its own."""
    return f"{ACCOUNT_PREFIX}{name}-{hashlib.sha256(uid.encode()).hexdigest()[:10]}"
