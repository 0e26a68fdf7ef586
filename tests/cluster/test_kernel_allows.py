"""What the security kernel must let pass: without these, a policy that refuses everything would pass the attacks."""

from collections.abc import Callable
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.agentevaluation import RecordedTemplate
from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.agentrole import AgentRoleSpec
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core import injection
from aiagent_operator.core.children import (
    deployment,
    evaluation,
    handbook,
    network_policy,
    revision,
    role,
    role_binding,
    service_account,
)
from aiagent_operator.core.children.revision import Origin, Work
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.rules import Rule
from aiagent_operator.core.targets import adoption, release, seen
from aiagent_operator.core.targets.seen import Patch
from support import chart
from support.kube import ApiError, Kube, Object, wait_for
from support.tenancy import APPS, RBAC, READ_CONFIG, Office, injected, refused, unauthorized

pytestmark = pytest.mark.cluster

DEFINITIONS = "apiextensions.k8s.io/v1"


def account(workload: Object) -> str:
    """The account in a workload's pod template."""
    return str(workload["spec"]["template"]["spec"].get("serviceAccountName") or "")


def agent_pods(office: Office, agent: AgentIdentity) -> list[Object]:
    """The pods that carry the agent's labels and its account."""
    labels = f"{meta.LABEL_AGENT_UID}={agent.uid}"
    pods = office.admin.list("v1", "pods", namespace=office.namespace, labels=labels)
    return [pod for pod in pods if pod["spec"]["serviceAccountName"] == meta.account_name(agent.name)]


# The operator ---------------------------------------------------------------------------------------------------------


def test_the_operator_makes_changes_and_removes_every_child(office: Office) -> None:
    agent = office.identity()
    spec = AIAgentSpec.model_validate(office.agent()["spec"])
    role_spec = AgentRoleSpec.model_validate({"description": "Support", "lifecycle": {"state": "Approved"}})
    measured = RecordedTemplate.model_validate(
        {"name": "live", "prometheus": {}, "metrics": [{"name": "up", "query": "up", "min": "1"}]}
    )
    connection = Connection.model_validate({"name": "crm", "secretRef": {"name": "crm"}, "audience": "https://crm"})
    pod = {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}
    inject = injection.build(agent, "aiagent.triage.0123456789", [connection])
    none = f"sha256:{'0' * 64}"
    work = Work(pod, (("app", "registry.example/app:1"),), "aiagent.triage.0123456789", none)
    children = [
        service_account.build(agent),
        handbook.build(agent, handbook.resolve(spec, role_spec), "Be kind."),
        network_policy.build(agent, [connection], [("192.0.2.1", 6443)], network_policy.DnsPeers()),
        role.build(agent, office.namespace, [READ_CONFIG]),
        role_binding.build(agent, office.namespace),
        revision.build(agent, 1, work, Origin(Trigger.CREATED, none)),
        evaluation.build(agent, 1, measured, stable=None),
        deployment.build(agent, 1, pod, 1, inject),
    ]
    for child in children:
        live = office.operator.create(child.manifest)
        if live["kind"] in ("ConfigMap", "AgentRevision", "AgentEvaluation"):
            continue  # none is ever changed: other work is another handbook and another revision
        del live["metadata"]["resourceVersion"]
        live["metadata"]["labels"]["note"] = "changed"
        office.operator.replace(live)
    for child in reversed(children):
        office.operator.delete(
            child.manifest["apiVersion"],
            child.manifest["kind"],
            child.manifest["metadata"]["name"],
            namespace=office.namespace,
        )


def test_the_operator_holds_the_finalizer_and_writes_status(office: Office) -> None:
    office.editor.create(office.agent())
    where = {"namespace": office.namespace}
    held = {"metadata": {"finalizers": [meta.FINALIZER]}}
    assert office.operator.patch(meta.API_VERSION, "aiagents", "triage", held, **where)["metadata"]["finalizers"]
    status = {"status": {"phase": "Active"}}
    live = office.operator.patch(meta.API_VERSION, "aiagents", "triage", status, subresource="status", **where)
    assert live["status"]["phase"] == "Active"
    office.editor.delete(meta.API_VERSION, "aiagents", "triage", **where)
    office.operator.patch(meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": None}}, **where)
    office.admin.wait_gone(meta.API_VERSION, "aiagents", "triage", **where)


def test_the_operator_holds_the_finalizer_of_an_order_and_changes_nothing_else_of_it(office: Office) -> None:
    spec = {"action": "Hold", "ground": "LegalClaims", "agentRef": {"name": "triage"}, "reason": "A case"}
    office.admin.create(
        office.obj(meta.API_VERSION, "AgentAction", "keep", spec=spec | {"requestedBy": office.admin.whoami()})
    )
    what = (meta.API_VERSION, "agentactions", "keep")
    where = {"namespace": office.namespace}
    with refused("operator-agents", "nothing of an AIAgent or AgentAction but its own finalizer"):
        office.operator.patch(*what, {"metadata": {"labels": {"note": "changed"}}}, **where)
    held = {"metadata": {"finalizers": [meta.HOLD_FINALIZER]}}
    assert office.operator.patch(*what, held, **where)["metadata"]["finalizers"] == [meta.HOLD_FINALIZER]
    office.operator.delete(*what, **where)
    office.operator.patch(*what, {"metadata": {"finalizers": None}}, **where)
    office.admin.wait_gone(*what, **where)


def test_the_operator_takes_part_in_leader_election(office: Office) -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": f"probe-{office.namespace}", "namespace": chart.NAMESPACE},
        "spec": {"holderIdentity": "one"},
    }
    office.operator.create(body)
    office.admin.delete("coordination.k8s.io/v1", "leases", body["metadata"]["name"], namespace=chart.NAMESPACE)


def settle(office: Office, obj: Object, step: Callable[[Object], Patch | None]) -> Object:
    """Send the steps as the operator's runtime does, until there is none: look, patch that version, and look again."""
    path = office.operator.path(obj["apiVersion"], obj["kind"], office.namespace, obj["metadata"]["name"])
    while patch := step(live := office.operator.raw("GET", path)):
        params = {"fieldManager": patch.manager} | ({"force": str(patch.force).lower()} if patch.apply else {})
        try:
            office.operator.raw("PATCH", path, patch.body, params=params, content_type=patch.type.value)
        except ApiError as error:
            if error.status != 409:  # a controller was faster
                raise
    return dict(live)


def adopting(
    agent: AgentIdentity, image: tuple[str, str] | None = None, staged: int | None = None
) -> Callable[[Object], Patch | None]:
    """The next step of an adoption, with the image of a container, and a StatefulSet's partition."""

    def step(live: Object) -> Patch | None:
        plan = adoption.plan(live, agent, injected(agent), OnConflict.TAKE_OVER, image, staged=staged)
        assert isinstance(plan, adoption.Apply | adoption.Disown | adoption.Converged), plan
        return None if isinstance(plan, adoption.Converged) else plan.patch

    return step


@pytest.mark.parametrize("before", [None, "deployer"])
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_operator_adopts_a_workload_and_gives_it_back(office: Office, kind: str, before: str | None) -> None:
    agent = office.identity()
    sidecar = {"name": "proxy", "image": "registry.example/proxy:1", "restartPolicy": "Always"}
    obj = office.deployment("theirs", account=before, initContainers=[sidecar]) | {"kind": kind}
    if kind == "StatefulSet":
        obj["spec"]["serviceName"] = "theirs"
    original = office.editor.create(obj)
    live = settle(office, obj, adopting(agent))
    assert account(live) == meta.account_name(agent.name)
    for number in (2, 3):
        staged = number if kind == "StatefulSet" else None
        live = settle(office, obj, adopting(agent, ("app", f"registry.example/app:{number}"), staged))
        assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{number}")
        assert staged is None or live["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == staged
    live = settle(office, obj, lambda live: release.scale(live, suspended=True))
    assert live["spec"]["replicas"] == 0
    live = settle(office, obj, lambda live: next(iter(release.release(live, agent)), None))
    assert live["spec"] == original["spec"]


def test_the_operator_puts_a_candidate_beside_a_workload(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    live = settle(office, office.editor.create(office.deployment()), adopting(agent))
    pods = seen.template_of(live)
    office.operator.create(deployment.canary(agent, 2, "triage", pods, 1, injected(agent)).manifest)
    # At any version: its controller writes the status meanwhile.
    office.operator.replace(deployment.canary(agent, 3, "triage", pods, 1, injected(agent)).manifest)
    office.operator.delete(APPS, "deployments", "triage-canary", namespace=office.namespace)


# Controllers and kubelets -------------------------------------------------------------------------------------------


def test_controllers_make_the_pods_of_an_agent(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    office.run(agent)
    wait_for(lambda: agent_pods(office, agent), what="the controllers to make a pod that runs as the agent")


def test_the_controller_of_statefulsets_makes_the_pods_of_an_agent(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    settle(office, office.editor.create(office.statefulset()), adopting(agent))
    wait_for(lambda: agent_pods(office, agent), what="the controller to roll a pod that runs as the agent")


def test_a_kubelet_gets_the_token_of_a_pod_on_its_node(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    office.run(agent)
    pod = wait_for(
        lambda: next((p for p in agent_pods(office, agent) if p["spec"].get("nodeName")), None),
        what="a pod of the agent on a node",
    )
    assert pod is not None
    node = pod["spec"]["nodeName"]
    kubelet = office.admin.as_user(f"system:node:{node}", ["system:nodes"])
    reference = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": reference, "expirationSeconds": 3600},
    }
    path = f"/api/v1/namespaces/{office.namespace}/serviceaccounts/aiagent.triage/token"

    def token() -> str | None:
        try:
            return kubelet.raw("POST", path, body)["status"]["token"]
        except ApiError as refused:
            # The node authorizer learns by a watch of its own which pods are on which node. A kubelet asks again.
            if "no relationship found between node" not in refused.message:
                raise
            return None

    wait_for(token, what="the token of a pod on the kubelet's node")


def test_a_namespace_with_agents_goes(office: Office) -> None:
    name = f"{office.namespace}-going"
    office.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    agent = AgentIdentity(name, "triage", "0b7e7f3a-8a1c-4f43-9d50-4f57f5a0e0d1")
    pod = {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}
    for child in (
        service_account.build(agent),
        role.build(agent, name, [READ_CONFIG]),
        role_binding.build(agent, name),
        deployment.build(agent, 1, pod, 1, injected(agent)),
    ):
        office.operator.create(child.manifest)
    office.admin.delete("v1", "namespaces", name)
    office.admin.wait_gone("v1", "namespaces", name)


# People ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(office: Office) -> Object:
    """A Deployment of the editor's, adopted by an agent."""
    agent = office.identity()
    office.employ(agent)
    return settle(office, office.editor.apply(office.deployment(), manager="argocd-controller"), adopting(agent))


def image(office: Office, tag: str) -> Object:
    """The editor's manifest with another image, as it is in Git: without what the operator has put in."""
    return office.deployment(containers=[{"name": "app", "image": f"registry.example/app:{tag}"}])


def test_gitops_goes_on_applying_an_adopted_workload(office: Office, running: Object) -> None:
    live = office.editor.apply(image(office, "2"), manager="argocd-controller", force=True)
    assert account(live) == "aiagent.triage"
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")


def test_an_owner_updates_and_scales_an_adopted_workload(office: Office, running: Object) -> None:
    where = {"namespace": office.namespace}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:3"}]}}}}
    assert account(office.editor.patch(APPS, "deployments", "triage", patch, kind="strategic", **where))
    office.editor.patch(APPS, "deployments", "triage", {"spec": {"replicas": 2}}, subresource="scale", **where)
    live = office.editor.get(APPS, "deployments", "triage", **where)
    del live["metadata"]["resourceVersion"]
    live["metadata"]["annotations"] = {**live["metadata"].get("annotations", {}), "note": "mine"}
    office.editor.replace(live)
    office.editor.delete(APPS, "deployments", "triage", **where)


def test_an_owner_takes_a_workload_back_from_an_agent(office: Office, running: Object) -> None:
    whole = image(office, "2")
    live = office.editor.replace(whole)
    assert not account(live).startswith(meta.ACCOUNT_PREFIX)


def test_rights_of_an_agent_may_be_deleted_by_whoever_owns_the_namespace(office: Office) -> None:
    office.employ(office.identity())
    for api_version, kind in ((RBAC, "RoleBinding"), (RBAC, "Role"), ("v1", "ServiceAccount")):
        office.owner.delete(api_version, kind, "aiagent.triage", namespace=office.namespace)


def test_other_bindings_tokens_and_roles_are_nobodys_business(office: Office) -> None:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subjects: list[Object] = [
        {"kind": "ServiceAccount", "name": "default", "namespace": office.namespace},
        {"kind": "User", "name": "aiagent.fan@corp.example", "apiGroup": "rbac.authorization.k8s.io"},
    ]
    live = office.owner.create(office.obj(RBAC, "RoleBinding", "others", roleRef=ref, subjects=subjects))
    office.owner.replace(live | {"subjects": subjects[:1]})
    office.owner.create(office.obj(RBAC, "Role", "others", rules=[READ_CONFIG.to_wire()]))
    assert office.editor.token(office.namespace, "default")
    note = {"annotations": {"kubernetes.io/service-account.name": "default"}}
    office.editor.create(office.obj("v1", "Secret", "token", metadata=note, type="kubernetes.io/service-account-token"))


def test_labels_of_an_older_binding_to_an_agent_may_change(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    patch = {"metadata": {"labels": {"team": "support"}}}
    for resource in ("rolebindings", "roles"):
        office.owner.patch(RBAC, resource, "aiagent.triage", patch, namespace=office.namespace)


TEMPLATE = {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}}
EMPLOYMENTS: dict[str, Object] = {
    "deployment": {},
    "statefulset": {"workload": {"targetRef": {"apiVersion": APPS, "kind": "StatefulSet", "name": "memory"}}},
    "template": {"workload": TEMPLATE},
    "secret": {"connections": [{"name": "crm", "secretRef": {"name": "crm"}}]},
    "configmap": {"handbook": {"instructions": {"configMapKeyRef": {"name": "book", "key": "text"}}}},
    "inline handbook": {"handbook": {"instructions": {"inline": "Be kind."}}},
}


@pytest.mark.parametrize("what", EMPLOYMENTS)
def test_an_editor_with_use_of_the_role_employs_agents(office: Office, what: str) -> None:
    office.editor.create(office.agent(**EMPLOYMENTS[what]))


def test_an_author_needs_the_right_on_one_workload_only(office: Office) -> None:
    author = office.person(
        {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["create"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["triage"], "verbs": ["update"]},
    )
    author.create(office.agent())


def test_who_lost_use_of_the_role_may_still_let_the_agent_go(office: Office) -> None:
    where = {"namespace": office.namespace}
    office.editor.create(office.agent())
    office.operator.patch(
        meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": [meta.FINALIZER]}}, **where
    )
    office.leave()
    office.bound.clear()
    editor = f"editor-{office.namespace.removeprefix('test-')}"
    wait_for(
        lambda: not office.admin.allowed(editor, "use", "agentroles", group=meta.GROUP, name="support"),
        what=f"{editor} to have lost `use` of the role",
    )
    office.editor.patch(meta.API_VERSION, "aiagents", "triage", {"metadata": {"labels": {"team": "x"}}}, **where)
    office.editor.delete(meta.API_VERSION, "aiagents", "triage", **where)
    office.operator.patch(meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": None}}, **where)
    office.admin.wait_gone(meta.API_VERSION, "aiagents", "triage", **where)


def test_who_may_abandon_takes_the_finalizer_off_by_hand(office: Office) -> None:
    where = {"namespace": office.namespace}
    office.editor.create(office.agent())
    office.operator.patch(
        meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": [meta.FINALIZER]}}, **where
    )
    office.editor.delete(meta.API_VERSION, "aiagents", "triage", **where)
    name = f"leaver-{office.namespace}"
    office.bind(name, {"kind": "ClusterRole", "name": "workforce-agents-abandon"})
    wait_for(
        lambda: office.admin.allowed(name, "abandon", "aiagents", group=meta.GROUP, **where),
        what=f"{name} to hold the verb abandon",
    )
    leaver = office.admin.as_user(name)
    leaver.patch(meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": None}}, **where)
    office.admin.wait_gone(meta.API_VERSION, "aiagents", "triage", **where)


@pytest.mark.parametrize("name", [f"{kind.plural}.{meta.GROUP}" for kind in KINDS])
def test_a_definition_that_is_marked_for_deletion_may_be_deleted(kernel: Any, admin: Kube, name: str) -> None:
    mark = {"metadata": {"annotations": {"workforce.dev/allow-deletion": "true"}}}
    admin.patch(DEFINITIONS, "customresourcedefinitions", name, mark)
    path = admin.path(DEFINITIONS, "customresourcedefinitions", None, name)
    admin.raw("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]})
    unmark = {"metadata": {"annotations": {"workforce.dev/allow-deletion": None}}}
    admin.patch(DEFINITIONS, "customresourcedefinitions", name, unmark)


def test_definitions_of_others_are_not_held(kernel: Any, admin: Kube) -> None:
    body = {
        "apiVersion": DEFINITIONS,
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "desks.office.example"},
        "spec": {
            "group": "office.example",
            "scope": "Namespaced",
            "names": {"kind": "Desk", "plural": "desks"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    admin.create(body)
    admin.delete(DEFINITIONS, "customresourcedefinitions", "desks.office.example")


def test_the_operator_grants_what_is_grantable_and_no_more(office: Office) -> None:
    agent = office.identity()
    wanted = Rule(("",), ("persistentvolumeclaims",), ("get",))
    with unauthorized("is attempting to grant RBAC permissions not currently held"):
        office.operator.create(role.build(agent, office.namespace, [wanted]).manifest)
    name = f"claims-{office.namespace}"
    head = {"name": name, "labels": {meta.LABEL_GRANTABLE: "true"}}
    office.admin.create({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": head, "rules": [wanted.to_wire()]})
    wait_for(
        lambda: office.admin.allowed(
            chart.USERNAME, "get", "persistentvolumeclaims", groups=chart.GROUPS, namespace=office.namespace
        ),
        what="the label workforce.dev/grantable to take effect",
    )
    office.operator.create(role.build(agent, office.namespace, [wanted]).manifest)
    office.admin.delete(RBAC, "clusterroles", name)
