"""What a thief of the operator's token tries: the account's rights are wide, and its fences must hold without it."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core.children import role, role_binding
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.rules import Rule
from aiagent_operator.core.targets import adoption
from support import archiverecords, chart
from support.kube import Object, wait_for
from support.tenancy import APPS, RBAC, Office, injected, refused, unauthorized

pytestmark = pytest.mark.cluster

SELF = {"kind": "ServiceAccount", "name": chart.ACCOUNT, "namespace": chart.NAMESPACE}
GROUP = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"


@pytest.fixture
def boundless(office: Office) -> Iterator[None]:
    """An administrator has labelled a ClusterRole that gives everything: the worst that the ceiling can be."""
    name = f"everything-{office.namespace}"
    head = {"name": name, "labels": {meta.LABEL_GRANTABLE: "true"}}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    office.admin.create({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": head, "rules": rules})

    def held() -> bool:
        return office.admin.allowed(chart.USERNAME, "get", "secrets", groups=chart.GROUPS, namespace=office.namespace)

    wait_for(held, what=f"the operator to hold what the ClusterRole {name} gives")
    yield
    office.admin.delete(RBAC, "clusterroles", name)
    wait_for(lambda: not held(), what=f"the operator to have lost what the ClusterRole {name} gave")


def bound(office: Office, subject: Object, ref: Object) -> Object:
    """A RoleBinding with an agent's name."""
    return office.obj(RBAC, "RoleBinding", "aiagent.triage", roleRef={"apiGroup": GROUP, **ref}, subjects=[subject])


def at_any_version(obj: Object) -> Object:
    """Without the version: controllers write the status of workloads at any time."""
    del obj["metadata"]["resourceVersion"]
    return obj


def owned(office: Office, account: str = "aiagent.triage", **pod: Any) -> Object:
    """A Deployment that is marked as the operator's own."""
    obj = office.deployment("triage-1", account=account, **pod)
    own = {meta.LABEL_AGENT: "triage", meta.LABEL_REVISION: "1"}
    obj["metadata"]["labels"] = {meta.LABEL_MANAGED_BY: meta.MANAGER, **own}
    return obj


# Other accounts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["default", "clusterrole-aggregation-controller", None])
def test_running_a_deployment_under_an_account_of_kube_system(office: Office, account: str | None) -> None:
    obj = owned(office)
    obj["metadata"]["namespace"] = "kube-system"
    obj["spec"]["template"]["spec"]["serviceAccountName"] = account
    with refused("operator-workloads", "agents do not run in kube-* namespaces"):
        office.operator.create(obj)


def test_running_a_deployment_in_kube_system_under_an_agents_name(office: Office) -> None:
    obj = owned(office)
    obj["metadata"]["namespace"] = "kube-system"
    with refused("operator-workloads", "do not run in kube-* namespaces"):
        office.operator.create(obj)


def test_running_a_deployment_in_the_operators_own_namespace(office: Office) -> None:
    obj = owned(office)
    obj["metadata"]["namespace"] = chart.NAMESPACE
    with refused("operator-workloads", "move the AIAgent to a namespace of its own"):
        office.operator.create(obj)


@pytest.mark.parametrize("account", ["default", "deployer", None])
def test_running_a_deployment_under_an_account_of_the_tenants(office: Office, account: str | None) -> None:
    with refused("operator-workloads", "the operator runs workloads only as agents"):
        office.operator.create(owned(office, account) if account else owned(office, ""))


def test_moving_its_own_deployment_to_another_account(office: Office) -> None:
    agent = office.identity()
    office.run(agent)
    patch = {"spec": {"template": {"spec": {"serviceAccountName": "deployer", "serviceAccount": "deployer"}}}}
    with refused("operator-workloads", "is for the owner of the workload to set"):
        office.operator.patch(APPS, "deployments", "triage-1", patch, namespace=office.namespace)


def test_moving_its_own_deployment_to_another_account_by_a_false_record(office: Office) -> None:
    agent = office.identity()
    office.run(agent)
    patch: Object = {"metadata": {"annotations": {meta.ANNOTATION_PRIOR_ACCOUNT: "deployer"}}}
    with refused("operator-workloads", "the operator writes no other there"):
        office.operator.patch(APPS, "deployments", "triage-1", patch, namespace=office.namespace)


def test_minting_a_token(office: Office) -> None:
    with unauthorized('cannot create resource "serviceaccounts/token"'):
        office.operator.token(office.namespace, "default")


def test_minting_a_token_of_an_agent(office: Office) -> None:
    office.employ(office.identity())
    with unauthorized('cannot create resource "serviceaccounts/token"'):
        office.operator.token(office.namespace, "aiagent.triage")


def test_impersonating_somebody(office: Office) -> None:
    with unauthorized("cannot impersonate"):
        office.operator.as_user("admin", ["system:masters"]).list("v1", "namespaces")


# Rights --------------------------------------------------------------------------------------------------------------


def test_binding_cluster_admin_to_itself(office: Office) -> None:
    with unauthorized("is attempting to grant RBAC permissions not currently held"):
        office.operator.create(bound(office, SELF, {"kind": "ClusterRole", "name": "cluster-admin"}))


def test_binding_cluster_admin_to_itself_where_the_ceiling_gives_it(office: Office, boundless: None) -> None:
    with refused("operator-bindings", "the operator binds Roles named aiagent.* only"):
        office.operator.create(bound(office, SELF, {"kind": "ClusterRole", "name": "cluster-admin"}))


def test_binding_a_role_of_its_making_to_itself(office: Office) -> None:
    agent = office.identity()
    office.operator.create(role.build(agent, office.namespace, (Rule(("",), ("configmaps",), ("get",)),)).manifest)
    with refused("operator-bindings", "binds rights to agents' accounts (aiagent.*) only"):
        office.operator.create(bound(office, SELF, {"kind": "Role", "name": "aiagent.triage"}))


STRANGERS = {
    "user": {"kind": "User", "name": "mallory@corp.example", "apiGroup": GROUP},
    "group": {"kind": "Group", "name": "system:authenticated", "apiGroup": GROUP},
    "account": {"kind": "ServiceAccount", "name": "default", "namespace": "kube-system"},
    "agent as user": {"kind": "User", "name": "aiagent.triage", "apiGroup": GROUP},
}


@pytest.mark.parametrize("who", STRANGERS)
def test_binding_strangers(office: Office, who: str) -> None:
    office.operator.create(role.build(office.identity(), office.namespace, ()).manifest)
    with refused("operator-bindings", "an administrator binds them to others"):
        office.operator.create(bound(office, STRANGERS[who], {"kind": "Role", "name": "aiagent.triage"}))


def test_adding_a_stranger_to_an_agents_binding(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    live = office.operator.get(RBAC, "rolebindings", "aiagent.triage", namespace=office.namespace)
    live["subjects"].append(STRANGERS["user"])
    with refused("operator-bindings", "aiagent.*"):
        office.operator.replace(live)


def test_binding_in_the_whole_cluster(office: Office) -> None:
    body = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "aiagent.triage"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [SELF],
    }
    with unauthorized('cannot create resource "clusterrolebindings"'):
        office.operator.create(body)


FORBIDDEN = {
    "any group": ({"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}, "API groups"),
    "rbac": ({"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["get"]}, "API groups"),
    "agents": ({"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["patch"]}, "API groups"),
    "admission": ({"apiGroups": [ADMISSION], "resources": ["x"], "verbs": ["get"]}, "API groups"),
    "authentication": ({"apiGroups": ["authentication.k8s.io"], "resources": ["x"], "verbs": ["get"]}, "API groups"),
    "any verb": ({"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}, "the verbs"),
    "escalate": ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "escalate"]}, "the verbs"),
    "bind": ({"apiGroups": [""], "resources": ["pods"], "verbs": ["bind"]}, "the verbs"),
    "impersonate": ({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}, "the verbs"),
    "constrained impersonation": (
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:get"]},
        "the verbs",
    ),
    "any resource": ({"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}, "the resources"),
    "any subresource": ({"apiGroups": [""], "resources": ["*/log"], "verbs": ["get"]}, "the resources"),
    "exec": ({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}, "the resources"),
    "attach": ({"apiGroups": [""], "resources": ["pods/attach"], "verbs": ["create"]}, "the resources"),
    "ephemeral": ({"apiGroups": [""], "resources": ["pods/ephemeralcontainers"], "verbs": ["patch"]}, "the resources"),
    "tokens": ({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}, "the resources"),
    "proxy": ({"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}, "the resources"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_writing_a_role_that_leads_further_than_it_says(office: Office, boundless: None, what: str) -> None:
    rule, named = FORBIDDEN[what]
    live = office.operator.create(role.build(office.identity(), office.namespace, ()).manifest)
    with refused("operator-roles", named):
        office.operator.replace(live | {"rules": [rule]})


def test_giving_an_agent_more_than_the_ceiling(office: Office) -> None:
    wide = Rule(("",), ("secrets",), ("get",))
    with unauthorized("is attempting to grant RBAC permissions not currently held"):
        office.operator.create(role.build(office.identity(), office.namespace, (wide,)).manifest)


# What is not the operator's -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete"])
def test_having_secrets(office: Office, verb: str) -> None:
    namespaces = [office.namespace, "kube-system"]
    if verb not in ("get", "create", "delete"):
        # Where the keys of archives are.
        namespaces.append(chart.NAMESPACE)
    for namespace in namespaces:
        assert not office.admin.allowed(chart.USERNAME, verb, "secrets", groups=chart.GROUPS, namespace=namespace)


OTHER_SECRETS: dict[str, Object] = {
    "a token": {
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "archive-key.token", "annotations": {"kubernetes.io/service-account.name": "default"}},
    },
    "no key": {"type": "Opaque", "metadata": {"name": "archive-key.crm.triage.0a1b2c3d"}},
    "another name": {"type": "workforce.dev/archive-key", "metadata": {"name": "archive-signing"}},
}


@pytest.mark.parametrize("what", OTHER_SECRETS)
def test_making_other_secrets_than_keys_of_archives(office: Office, what: str) -> None:
    secret = OTHER_SECRETS[what]
    metadata = {**secret["metadata"], "namespace": chart.NAMESPACE}
    with refused("operator-kinds", "archive-key"):
        office.operator.raw(
            "POST",
            f"/api/v1/namespaces/{chart.NAMESPACE}/secrets",
            {"apiVersion": "v1", "kind": "Secret", **secret, "metadata": metadata},
        )


@pytest.mark.parametrize("what", ["no key", "another name"])
def test_deleting_other_secrets_than_keys_of_archives(office: Office, what: str) -> None:
    secret = OTHER_SECRETS[what]
    metadata = {**secret["metadata"], "namespace": chart.NAMESPACE}
    office.admin.create({"apiVersion": "v1", "kind": "Secret", **secret, "metadata": metadata})
    try:
        with refused("operator-kinds", "archive-key"):
            office.operator.delete("v1", "secrets", metadata["name"], namespace=chart.NAMESPACE)
        with unauthorized('cannot deletecollection resource "secrets"'):
            office.operator.raw("DELETE", f"/api/v1/namespaces/{chart.NAMESPACE}/secrets")
    finally:
        office.admin.delete("v1", "secrets", metadata["name"], namespace=chart.NAMESPACE)


def test_reading_the_secrets_of_a_namespace(office: Office) -> None:
    with unauthorized('cannot list resource "secrets"'):
        office.operator.list("v1", "secrets", namespace=office.namespace)


GUARDS = {
    "validatingadmissionpolicies": ADMISSION,
    "validatingadmissionpolicybindings": ADMISSION,
    "validatingwebhookconfigurations": ADMISSION,
    "mutatingwebhookconfigurations": ADMISSION,
    "customresourcedefinitions": "apiextensions.k8s.io",
    "clusterroles": GROUP,
    "clusterrolebindings": GROUP,
    "agentroles": meta.GROUP,
    "agentpolicies": meta.GROUP,
}


@pytest.mark.parametrize("resource", GUARDS)
def test_changing_what_guards_it(office: Office, resource: str) -> None:
    for verb in ("create", "update", "patch", "delete", "deletecollection", "escalate", "bind"):
        assert not office.admin.allowed(chart.USERNAME, verb, resource, group=GUARDS[resource], groups=chart.GROUPS)


def test_removing_a_policy(office: Office) -> None:
    with unauthorized("cannot delete resource"):
        office.operator.delete(f"{ADMISSION}/v1", "validatingadmissionpolicies", "operator-kinds.workforce.dev")


OTHERS: dict[str, tuple[str, str, Object]] = {
    "account": ("v1", "ServiceAccount", {}),
    "configmap": ("v1", "ConfigMap", {"data": {"key": "value"}}),
    "role": (RBAC, "Role", {"rules": []}),
    "network policy": ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}}}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_touching_objects_that_are_not_named_after_agents(office: Office, what: str) -> None:
    api_version, kind, content = OTHERS[what]
    with refused("operator-names", "is for its owner to change"):
        office.operator.create(office.obj(api_version, kind, "mine", **content))
    live = office.admin.create(office.obj(api_version, kind, "others", **content))
    live["metadata"]["labels"] = {meta.LABEL_MANAGED_BY: meta.MANAGER}
    # A handbook is never changed, so that the operator may not even update ConfigMaps of its own.
    outside = unauthorized("cannot update") if what == "configmap" else refused("operator-names", "for its owner")
    with outside:
        office.operator.replace(live)
    with refused("operator-names", "others is for its owner to change"):
        office.operator.delete(api_version, kind, "others", namespace=office.namespace)


def test_labelling_what_is_the_tenants_to_delete_it_then(office: Office) -> None:
    live = office.admin.create(office.obj("networking.k8s.io/v1", "NetworkPolicy", "others", spec={"podSelector": {}}))
    live["metadata"]["labels"] = {meta.LABEL_AGENT_UID: "0001"}
    with refused("operator-names", "others is for its owner to change"):
        office.operator.replace(live)


def test_deleting_a_binding_of_the_tenants(office: Office) -> None:
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}
    office.owner.create(office.obj(RBAC, "RoleBinding", "others", roleRef=ref, subjects=[STRANGERS["user"]]))
    with refused("operator-names", "others is for its owner to change"):
        office.operator.delete(RBAC, "rolebindings", "others", namespace=office.namespace)


def test_rewriting_what_an_agent_is(office: Office) -> None:
    office.editor.create(office.agent())
    # Else the policy on the use of roles may be the one that answers.
    office.let_use(chart.USERNAME)
    patch = {"spec": {"permissions": [{"name": "everything"}]}}
    with refused("operator-agents", "the author changes the rest"):
        office.operator.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


def test_handing_an_agent_to_the_garbage_collector(office: Office) -> None:
    office.editor.create(office.agent())
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-0000-0000-000000000000"}
    patch = {"metadata": {"ownerReferences": [ghost]}}
    with refused("operator-agents", "changes nothing of an AIAgent or AgentAction but its own finalizer"):
        office.operator.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


# A boundless ceiling -------------------------------------------------------------------------------------------------

POD_SPEC = {"containers": [{"name": "app", "image": "registry.example/app:1"}]}
GIVES_TOO_MUCH = "a ClusterRole labelled workforce.dev/grantable gives too much"


@pytest.mark.parametrize("account", ["default", "aiagent.triage"])
def test_minting_a_token_where_the_ceiling_gives_it(office: Office, boundless: None, account: str) -> None:
    office.employ(office.identity())
    with refused("operator-kinds", "", or_policy="agent-tokens" if account != "default" else ""):
        office.operator.token(office.namespace, account)


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward", "proxy"])
def test_entering_a_pod_where_the_ceiling_gives_it(office: Office, boundless: None, subresource: str) -> None:
    path = f"/api/v1/namespaces/{office.namespace}/pods/any/{subresource}"
    with refused("operator-kinds", f"CONNECT /pods/{subresource}"):
        office.operator.raw("POST", path, params={"command": "id", "stdout": "true"})


CONTENT: dict[str, Object] = {
    "Secret": {"stringData": {"a": "b"}},
    "Lease": {"spec": {"holderIdentity": "mallory"}},
    "Service": {"spec": {"ports": [{"port": 80}]}},
}
VERSIONS = {"Lease": "coordination.k8s.io/v1"}


@pytest.mark.parametrize("kind", CONTENT)
def test_writing_other_kinds_where_the_ceiling_gives_it(office: Office, boundless: None, kind: str) -> None:
    obj = office.obj(VERSIONS.get(kind, "v1"), kind, "loot", **CONTENT[kind])
    remedy = {"Lease": "belong to other controllers", "Secret": "are for their owners to make"}
    with refused("operator-kinds", remedy.get(kind, GIVES_TOO_MUCH)):
        office.operator.create(obj)


def test_removing_the_record_of_an_archive_where_the_ceiling_gives_it(office: Office, boundless: None) -> None:
    name = office.operator.create(archiverecords.record(f"triage-{office.namespace}"))["metadata"]["name"]
    archiverecords.mark(office.admin, name, name)
    with refused("operator-kinds", "", or_policy="agent-archives"):
        office.operator.delete(meta.API_VERSION, archiverecords.PLURAL, name)
    with refused("operator-kinds", "never needs to UPDATE workforce.dev/agentarchives"):
        archiverecords.mark(office.operator, name, "other")
    archiverecords.clear(office.admin, name)


def test_running_a_bare_pod_where_the_ceiling_gives_it(office: Office, boundless: None) -> None:
    office.employ(office.identity())
    labels = {"labels": {meta.LABEL_MANAGED_BY: meta.MANAGER}}
    pod = POD_SPEC | {"serviceAccountName": "aiagent.triage"}
    with refused("operator-kinds", GIVES_TOO_MUCH):
        office.operator.create(office.obj("v1", "Pod", "loot", metadata=labels, spec=pod))


def test_binding_in_the_whole_cluster_where_the_ceiling_gives_it(office: Office, boundless: None) -> None:
    body = {
        "apiVersion": RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "aiagent.triage"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [SELF],
    }
    with refused("operator-kinds", GIVES_TOO_MUCH):
        office.operator.create(body)


# Pods of its own -----------------------------------------------------------------------------------------------------

APP: Object = {"name": "app", "image": "registry.example/app:1"}


def app(**fields: Any) -> Object:
    """A pod spec with one container that has these fields."""
    return {"containers": [APP | fields]}


UNSAFE: dict[str, tuple[Object, str]] = {
    "network": ({"hostNetwork": True}, "hostNetwork"),
    "processes": ({"hostPID": True}, "hostPID"),
    "ipc": ({"hostIPC": True}, "hostIPC"),
    "files": ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "take hostPath volumes out"),
    "probe": (app(livenessProbe={"httpGet": {"host": "10.0.0.1", "port": 80}}), "ask its own pod: take host out"),
    "hook": (
        app(lifecycle={"preStop": {"httpGet": {"host": "169.254.169.254", "port": 80}}}),
        "ask its own pod: take host out",
    ),
    "port": (app(ports=[{"containerPort": 80, "hostPort": 80}]), "take hostPort out"),
    "privileged": (app(securityContext={"privileged": True}), "take privileged"),
    "privileged init": (
        {"initContainers": [APP | {"name": "i", "securityContext": {"privileged": True}}]},
        "privileged",
    ),
    "capability": (app(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "add no capabilities but"),
    "seccomp": ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, "Unconfined"),
    "selinux": (app(securityContext={"seLinuxOptions": {"type": "spc_t"}}), "seLinuxOptions"),
    "sysctl": ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}, "unsafe sysctls"),
}


@pytest.mark.parametrize("what", UNSAFE)
def test_running_pods_that_reach_the_node(office: Office, what: str) -> None:
    pod, remedy = UNSAFE[what]
    with refused("operator-pods", remedy):
        office.operator.create(owned(office, **pod))


def test_running_pods_that_an_annotation_frees_of_apparmor(office: Office) -> None:
    obj = owned(office)
    name = "container.apparmor.security.beta.kubernetes.io/app"
    obj["spec"]["template"]["metadata"]["annotations"] = {name: "unconfined"}
    with refused("operator-pods", "Unconfined profiles"):
        office.operator.create(obj)
    obj["spec"]["template"]["metadata"]["annotations"] = {name: "runtime/default", "other": "unconfined"}
    office.operator.create(obj)


@pytest.mark.parametrize("what", UNSAFE)
def test_turning_a_running_deployment_against_the_node(office: Office, what: str) -> None:
    pod, remedy = UNSAFE[what]
    live = at_any_version(office.operator.create(owned(office)))
    live["spec"]["template"]["spec"] |= copy.deepcopy(pod)
    with refused("operator-pods", remedy):
        office.operator.replace(live)


def test_making_a_deployment_that_nobody_would_know_as_the_operators(office: Office) -> None:
    with refused("operator-workloads", "makes and deletes only workloads with the label"):
        office.operator.create(office.deployment("hidden", account="aiagent.triage", hostNetwork=True))


MISNAMED: dict[str, Any] = {
    "anything": lambda o: o["metadata"].update(name="loot"),
    "another agent": lambda o: o["metadata"]["labels"].update({meta.LABEL_AGENT: "payroll"}),
    "a canary of nothing": lambda o: o["metadata"].update(name="router-canary"),
    "a canary of another": lambda o: o["metadata"].update(
        name="loot", annotations={meta.ANNOTATION_CANARY_OF: "router"}
    ),
    "a canary as another agent": lambda o: (
        o["metadata"].update(name="router-canary", annotations={meta.ANNOTATION_CANARY_OF: "router"}),
        o["metadata"]["labels"].update({meta.LABEL_AGENT: "payroll"}),
    ),
}


@pytest.mark.parametrize("what", MISNAMED)
def test_making_a_deployment_under_a_name_of_its_choice(office: Office, what: str) -> None:
    obj = owned(office)
    MISNAMED[what](obj)
    with refused("operator-workloads", "called <agent>-<revision>, or <target>-canary"):
        office.operator.create(obj)


# Workloads of others -------------------------------------------------------------------------------------------------


def adopted(office: Office, agent: AgentIdentity, kind: str = "Deployment", **pod: Any) -> Object:
    """A tenant's workload, adopted as the operator does it."""
    obj = office.deployment("theirs", account="deployer", **pod)
    if kind == "StatefulSet":
        obj = obj | {"kind": kind}
        obj["spec"]["serviceName"] = "theirs"
    live = office.editor.create(obj)
    plan = adoption.plan(live, agent, injected(agent), OnConflict.TAKE_OVER)
    assert isinstance(plan, adoption.Apply), plan
    at_any_version(plan.body)
    generation = office.operator.apply(plan.body, manager=meta.MANAGER, force=plan.force)["metadata"]["generation"]
    return office.admin.wait_object(
        APPS,
        kind,
        "theirs",
        lambda o: o["status"].get("observedGeneration", 0) >= generation,
        what="the controller to have added its annotations",
        namespace=office.namespace,
    )


def first(pod: Object) -> Object:
    """The first container of a workload."""
    container: Object = pod["spec"]["template"]["spec"]["containers"][0]
    return container


POISON: dict[str, tuple[Any, str]] = {
    "image": (lambda o: first(o).update(image="evil"), "sets the image of one container of an adopted workload"),
    "image under a false record": (
        lambda o: (first(o).update(image="evil"), recorded(o, "app=registry.example/good:1")),
        "the operator writes no other there",
    ),
    "image under another container's record": (
        lambda o: (
            first(o).update(image="evil"),
            recorded(o, "proxy=registry.example/proxy:1"),
        ),
        "the operator writes no other there",
    ),
    "image of an init container": (
        lambda o: (
            o["spec"]["template"]["spec"]["initContainers"][0].update(image="evil"),
            recorded(o, "app=registry.example/app:1"),
        ),
        "not that of setup, which its owner changes",
    ),
    "image that another was before": (
        lambda o: (first(o).update(image="evil"), recorded(o, "app=evil")),
        "the operator writes no other there",
    ),
    "command": (lambda o: first(o).update(command=["sh"]), "leaves the containers"),
    "arguments": (lambda o: first(o).update(args=["-c", "id"]), "leaves the containers"),
    "environment": (lambda o: first(o).update(env=[{"name": "LD_PRELOAD", "value": "/x"}]), "leaves the containers"),
    "hook": (
        lambda o: first(o).update(lifecycle={"preStop": {"exec": {"command": ["id"]}}}),
        "leaves the containers",
    ),
    "probe": (
        lambda o: first(o).update(livenessProbe={"exec": {"command": ["id"]}}),
        "leaves the containers",
    ),
    "privileged": (lambda o: first(o).update(securityContext={"privileged": True}), "leaves the containers"),
    "container": (
        lambda o: o["spec"]["template"]["spec"]["containers"].append({"name": "evil", "image": "evil"}),
        "leaves the containers",
    ),
    "init container": (
        lambda o: o["spec"]["template"]["spec"].update(initContainers=[{"name": "evil", "image": "evil"}]),
        "leaves the containers",
    ),
    "host network": (lambda o: o["spec"]["template"]["spec"].update(hostNetwork=True), "leaves the pods"),
    "node": (lambda o: o["spec"]["template"]["spec"].update(nodeName="control-plane"), "leaves the pods"),
    "volume": (
        lambda o: o["spec"]["template"]["spec"]["volumes"].append({"name": "root", "hostPath": {"path": "/"}}),
        "adds only volumes named workforce-*",
    ),
    "volume under our name": (
        lambda o: o["spec"]["template"]["spec"]["volumes"].append({"name": "workforce-x", "hostPath": {"path": "/"}}),
        "adds only volumes named workforce-*",
    ),
    "secret volume": (
        lambda o: o["spec"]["template"]["spec"]["volumes"].append(
            {"name": "workforce-x", "secret": {"secretName": "payroll"}}
        ),
        "of type projected",
    ),
    "foreign configmap": (
        lambda o: o["spec"]["template"]["spec"]["volumes"].append(
            {"name": "workforce-x", "configMap": {"name": "evil"}}
        ),
        "of a ConfigMap named aiagent.*",
    ),
    "mount over programs": (
        lambda o: first(o)["volumeMounts"].append(
            {"name": "workforce-handbook", "mountPath": "/usr/bin", "readOnly": True}
        ),
        "mounts only its own volumes",
    ),
    "mount by a detour": (
        lambda o: first(o)["volumeMounts"].append(
            {"name": "workforce-handbook", "mountPath": "/etc/workforce/../../usr/bin", "readOnly": True}
        ),
        "mounts only its own volumes",
    ),
    "labels": (
        lambda o: o["spec"]["template"]["metadata"]["labels"].update(team="evil"),
        "only labels and annotations",
    ),
    "annotations": (lambda o: o["metadata"].update(annotations={"a": "b"}), "only labels and annotations"),
    "strategy": (lambda o: o["spec"].update(revisionHistoryLimit=0), "changes nothing of an adopted workload's spec"),
    "owner": (
        lambda o: o["metadata"].update(
            ownerReferences=[
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "gone",
                    "uid": "00000000-0000-0000-0000-000000000000",
                }
            ]
        ),
        "changes nothing of an adopted workload's spec",
    ),
}


def recorded(pod: Object, image: str) -> None:
    """Records an image of before on a workload."""
    pod["metadata"]["annotations"][meta.ANNOTATION_PRIOR_IMAGE] = image


@pytest.mark.parametrize("what", POISON)
def test_poisoning_an_adopted_workload(office: Office, what: str) -> None:
    change, reason = POISON[what]
    setup = {"name": "setup", "image": "registry.example/setup:1"}
    live = at_any_version(adopted(office, office.identity(), initContainers=[setup]))
    change(live)
    with refused("operator-adopted", reason):
        office.operator.replace(live)


@pytest.mark.parametrize(
    ("pod", "remedy"),
    [
        ({"hostPID": True}, "take hostNetwork, hostPID and hostIPC out"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "take hostPath volumes out"),
        (
            {"containers": [{"name": "app", "image": "a:1", "securityContext": {"privileged": True}}]},
            "containers are not privileged",
        ),
    ],
    ids=["host", "files", "privileged"],
)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_running_an_image_in_a_strong_pod_of_somebody_elses(
    office: Office, kind: str, pod: Object, remedy: str
) -> None:
    live = adopted(office, office.identity(), kind, **pod)
    record = {"metadata": {"annotations": {meta.ANNOTATION_PRIOR_IMAGE: f"app={first(live)['image']}"}}}
    containers = [first(live) | {"image": "evil"}]
    patch = record | {"spec": {"template": {"spec": {"containers": containers}}}}
    with refused("operator-pods", remedy):
        office.operator.patch(APPS, kind, "theirs", patch, namespace=office.namespace)


def test_running_an_image_in_a_workload_that_is_no_agents(office: Office) -> None:
    live = office.editor.create(office.deployment("theirs"))
    record = {"metadata": {"annotations": {meta.ANNOTATION_PRIOR_IMAGE: f"app={first(live)['image']}"}}}
    patch = record | {"spec": {"template": {"spec": {"containers": [first(live) | {"image": "evil"}]}}}}
    with refused("operator-adopted", "that runs as an agent"):
        office.operator.patch(APPS, "deployments", "theirs", patch, namespace=office.namespace)


def test_running_an_image_in_a_second_container(office: Office) -> None:
    containers = [{"name": name, "image": f"registry.example/{name}:1"} for name in ("app", "proxy")]
    live = at_any_version(adopted(office, office.identity(), containers=containers))
    recorded(live, "app=registry.example/app:1")
    for container in live["spec"]["template"]["spec"]["containers"]:
        container["image"] = "evil"
    with refused("operator-adopted", "not that of app, proxy"):
        office.operator.replace(live)


def test_declaring_an_adopted_workload_wholly_its_own(office: Office) -> None:
    adopted(office, office.identity())
    patch = {"metadata": {"labels": {meta.LABEL_MANAGED_BY: meta.MANAGER}}}
    with refused("operator-workloads", "the operator", or_policy="operator-adopted"):
        office.operator.patch(APPS, "deployments", "theirs", patch, namespace=office.namespace)


def test_adopting_with_poisoned_mounts_and_releasing_to_a_strong_account(office: Office) -> None:
    live = adopted(office, office.identity())
    spec = {"serviceAccountName": "deployer", "serviceAccount": "deployer"}
    patch = {"spec": {"template": {"spec": spec}}}
    with refused("operator-adopted", "release it wholly, account and volumes in one update"):
        office.operator.patch(APPS, "deployments", live["metadata"]["name"], patch, namespace=office.namespace)


def test_releasing_to_an_account_that_the_workload_never_had(office: Office) -> None:
    adopted(office, office.identity())
    live = at_any_version(office.operator.get(APPS, "deployments", "theirs", namespace=office.namespace))
    spec = live["spec"]["template"]["spec"]
    spec |= {"serviceAccountName": "cluster-admin", "serviceAccount": "cluster-admin", "volumes": []}
    first(live)["volumeMounts"] = []
    with refused("operator-workloads", "is for the owner of the workload to set"):
        office.operator.replace(live)


def test_recording_a_false_account_to_release_to_it_later(office: Office) -> None:
    adopted(office, office.identity())
    patch: Object = {"metadata": {"annotations": {meta.ANNOTATION_PRIOR_ACCOUNT: "cluster-admin"}}}
    with refused("operator-workloads", "the operator writes no other there"):
        office.operator.patch(APPS, "deployments", "theirs", patch, namespace=office.namespace)


def test_taking_a_workload_without_recording_its_account(office: Office) -> None:
    office.editor.create(office.deployment("theirs", account="deployer"))
    spec = {"serviceAccountName": "aiagent.triage", "serviceAccount": "aiagent.triage"}
    patch = {"spec": {"template": {"spec": spec}}}
    with refused("operator-workloads", "only when it records it"):
        office.operator.patch(APPS, "deployments", "theirs", patch, namespace=office.namespace)


def test_poisoning_a_statefulset(office: Office) -> None:
    adopted(office, office.identity(), "StatefulSet")
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "evil"}]}}}}
    with refused("operator-adopted", "leaves the containers"):
        office.operator.patch(APPS, "statefulsets", "theirs", patch, namespace=office.namespace)


def test_keeping_a_statefulset_from_its_updates(office: Office) -> None:
    adopted(office, office.identity(), "StatefulSet")
    patch = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    with refused("operator-adopted", "the rest of its update strategy is its owner's"):
        office.operator.patch(APPS, "statefulsets", "theirs", patch, namespace=office.namespace)


def test_holding_back_updates_of_a_statefulset_that_is_no_agents(office: Office) -> None:
    office.editor.create(office.statefulset())
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}
    with refused("operator-adopted", "sets the partition of an adopted StatefulSet while it runs as an agent"):
        office.operator.patch(APPS, "statefulsets", "memory", patch, namespace=office.namespace)


def test_deleting_a_tenants_workload(office: Office) -> None:
    office.editor.create(office.deployment("theirs"))
    with refused("operator-workloads", "who made a workload deletes it"):
        office.operator.delete(APPS, "deployments", "theirs", namespace=office.namespace)


def test_deleting_an_adopted_workload(office: Office) -> None:
    adopted(office, office.identity())
    with refused("operator-workloads", "who made a workload deletes it"):
        office.operator.delete(APPS, "deployments", "theirs", namespace=office.namespace)


def test_the_bindings_that_the_operator_does_write_pass(office: Office) -> None:
    agent = office.identity()
    office.operator.create(role.build(agent, office.namespace, ()).manifest)
    live = office.operator.create(role_binding.build(agent, office.namespace).manifest)
    assert live["subjects"][0]["name"] == "aiagent.triage"
