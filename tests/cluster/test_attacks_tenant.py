"""What tenants of a namespace try in order to get an agent's identity or rights, with no operator there to help."""

import copy
import uuid

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.agentevaluation import RecordedTemplate
from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.core.children import evaluation, revision, role
from aiagent_operator.core.children.revision import Origin, Work
from support.agents import order
from support.kube import ApiError, Kube, Object
from support.tenancy import APPS, POD, RBAC, Office, refused, unauthorized

pytestmark = pytest.mark.cluster

AIAGENTS = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["get", "create", "update", "patch"]}
DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "create", "update"]}
AGENT = "aiagent.triage"
ASK = "spec.permissions"


def rule(resource: str, *verbs: str, group: str = "", name: str | None = None) -> Object:
    """A rule of a Role."""
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **names}


# The account ---------------------------------------------------------------------------------------------------------


def test_creating_the_account_before_its_agent_exists(office: Office) -> None:
    with refused("agent-accounts", "apply an AIAgent named triage"):
        office.owner.create(office.obj("v1", "ServiceAccount", AGENT))


def test_creating_an_agents_account_by_a_generated_name(office: Office) -> None:
    obj = office.obj("v1", "ServiceAccount", "")
    obj["metadata"] = {"generateName": "aiagent.triage-", "namespace": office.namespace}
    with refused("agent-accounts", "choose another name"):
        office.editor.create(obj)


def test_creating_an_agents_account_by_server_side_apply(office: Office) -> None:
    with refused("agent-accounts", "apply an AIAgent"):
        office.editor.apply(office.obj("v1", "ServiceAccount", AGENT))


# Running as the agent ------------------------------------------------------------------------------------------------


def pod_owners(office: Office, spec: Object) -> dict[str, Object]:
    """One object of every kind that leads to a pod with this spec."""
    labels = {"app": "borrowed"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    job = {"template": {"spec": spec | {"restartPolicy": "Never"}}}
    selected = {"selector": {"matchLabels": labels}, "template": template}
    return {
        "Pod": office.obj("v1", "Pod", "borrowed", spec=spec),
        "ReplicationController": office.obj(
            "v1", "ReplicationController", "borrowed", spec={"selector": labels, "template": template}
        ),
        "Deployment": office.obj(APPS, "Deployment", "borrowed", spec=selected),
        "ReplicaSet": office.obj(APPS, "ReplicaSet", "borrowed", spec=selected),
        "StatefulSet": office.obj(APPS, "StatefulSet", "borrowed", spec=selected | {"serviceName": "borrowed"}),
        "DaemonSet": office.obj(APPS, "DaemonSet", "borrowed", spec=selected),
        "Job": office.obj("batch/v1", "Job", "borrowed", spec=job),
        "CronJob": office.obj(
            "batch/v1", "CronJob", "borrowed", spec={"schedule": "0 2 * * 1", "jobTemplate": {"spec": job}}
        ),
    }


POD_OWNERS = ("Pod", "ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob")


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
@pytest.mark.parametrize("kind", POD_OWNERS)
def test_running_pods_under_a_borrowed_account(office: Office, kind: str, field: str) -> None:
    office.employ(office.identity())
    spec = {"containers": [{"name": "app", "image": "registry.example/app:1"}]}
    with refused("agent-pods", "spec.workload.targetRef"):
        office.editor.create(pod_owners(office, spec | {field: AGENT})[kind])


@pytest.mark.parametrize("kind", POD_OWNERS)
def test_pods_of_every_kind_run_under_other_accounts(office: Office, kind: str) -> None:
    spec = {"containers": [{"name": "app", "image": "registry.example/app:1"}], "serviceAccountName": "default"}
    office.editor.create(pod_owners(office, spec)[kind])


def test_switching_a_running_workload_to_the_agents_account(office: Office) -> None:
    office.employ(office.identity())
    office.editor.create(office.deployment("mine"))
    patch = {"spec": {"template": {"spec": {"serviceAccountName": AGENT}}}}
    with refused("agent-pods", "leave serviceAccountName out"):
        office.editor.patch(APPS, "deployments", "mine", patch, namespace=office.namespace)


def test_swapping_an_agents_workload_to_another_agent(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    office.employ(office.identity("payroll"))
    office.run(agent)
    patch = {"spec": {"template": {"spec": {"serviceAccountName": "aiagent.payroll"}}}}
    with refused("agent-pods", "only the operator lets a workload run as an agent"):
        office.editor.patch(APPS, "deployments", "triage-1", patch, namespace=office.namespace)


def test_a_cluster_administrator_borrows_no_account_either(office: Office) -> None:
    office.employ(office.identity())
    with refused("agent-pods", "spec.workload.targetRef"):
        office.admin.create(office.deployment("mine", account=AGENT))


# Labels --------------------------------------------------------------------------------------------------------------


def test_copying_an_agents_labels_onto_ones_own_pods(office: Office) -> None:
    agent = office.identity()
    obj = office.deployment("mine")
    obj["spec"]["template"]["metadata"]["labels"] |= meta.child_labels(agent.name, agent.namespace, agent.uid)
    with refused("agent-labels", "only the operator"):
        office.editor.create(obj)


def test_stripping_an_agents_pods_of_the_labels_its_network_policy_selects(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    office.run(agent)
    pods = f"{meta.LABEL_AGENT_UID}={agent.uid}"
    pod = office.admin.wait_for(
        lambda: office.admin.list("v1", "pods", namespace=office.namespace, labels=pods),
        what="a pod of the agent",
    )[0]
    patch = {"metadata": {"labels": {meta.LABEL_AGENT_UID: None}}}
    with refused("agent-labels", "Leave them as they are"):
        office.editor.patch("v1", "pods", pod["metadata"]["name"], patch, namespace=office.namespace)


def test_passing_ones_own_workload_off_as_the_operators(office: Office) -> None:
    obj = office.deployment("mine")
    obj["metadata"]["labels"] = {meta.LABEL_MANAGED_BY: meta.MANAGER}
    with refused("agent-labels", "marks a workload as the operator's own"):
        office.editor.create(obj)


def test_taking_an_agents_workload_out_of_the_operators_hands(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    office.run(agent)
    patch = {"metadata": {"labels": {meta.LABEL_MANAGED_BY: "Helm"}}}
    with refused("agent-labels", "Leave it as it is"):
        office.editor.patch(APPS, "deployments", "triage-1", patch, namespace=office.namespace)


# Rights of the agent -------------------------------------------------------------------------------------------------

SUBJECTS: dict[str, Object] = {
    "account": {"kind": "ServiceAccount", "name": AGENT},
    "user": {"kind": "User", "apiGroup": "rbac.authorization.k8s.io"},
}


def binding(office: Office, how: str, kind: str = "RoleBinding") -> Object:
    """A binding of `view` to the agent's account, named as an account or as a user."""
    subject = dict(SUBJECTS[how])
    if how == "account":
        subject["namespace"] = office.namespace
    else:
        subject["name"] = meta.username(office.namespace, "triage")
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    return office.obj(RBAC, kind, f"gift-{uuid.uuid4().hex[:6]}", roleRef=ref, subjects=[subject])


@pytest.mark.parametrize("how", SUBJECTS)
def test_binding_ones_own_rights_to_an_agent(office: Office, how: str) -> None:
    with refused("agent-bindings", ASK):
        office.owner.create(binding(office, how))


@pytest.mark.parametrize("how", SUBJECTS)
def test_binding_rights_in_the_whole_cluster_to_an_agent(office: Office, how: str) -> None:
    obj = binding(office, how, "ClusterRoleBinding")
    del obj["metadata"]["namespace"]
    with refused("agent-bindings", ASK):
        office.admin.create(obj)


def test_slipping_an_agent_into_an_existing_binding(office: Office) -> None:
    obj = binding(office, "account")
    agents = obj["subjects"]
    obj["subjects"] = [{"kind": "ServiceAccount", "name": "default", "namespace": office.namespace}]
    live = office.owner.create(obj)
    live["subjects"] += agents
    with refused("agent-bindings", ASK):
        office.owner.replace(live)


def test_widening_an_agents_role(office: Office) -> None:
    office.employ(office.identity())
    patch = {"rules": [rule("secrets", "get")]}
    with refused("agent-roles", ASK):
        office.owner.patch(RBAC, "roles", AGENT, patch, namespace=office.namespace)


def test_putting_a_wider_role_in_the_place_of_a_deleted_one(office: Office) -> None:
    office.employ(office.identity())
    office.owner.delete(RBAC, "roles", AGENT, namespace=office.namespace)
    with refused("agent-roles", ASK):
        office.owner.create(office.obj(RBAC, "Role", AGENT, rules=[rule("secrets", "get")]))


# Tokens --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["editor", "admin"])
def test_requesting_a_token_of_an_agent(office: Office, who: str) -> None:
    office.employ(office.identity())
    person: Kube = getattr(office, who)
    with refused("agent-tokens", "only kubelets request tokens"):
        person.token(office.namespace, AGENT)


def test_keeping_a_lasting_token_of_an_agent_in_a_secret(office: Office) -> None:
    office.employ(office.identity())
    note = {"annotations": {"kubernetes.io/service-account.name": AGENT}}
    obj = office.obj("v1", "Secret", "loot", metadata=note, type="kubernetes.io/service-account-token")
    with refused("agent-token-secrets", "name another account"):
        office.editor.create(obj)


def test_turning_a_token_secret_towards_an_agent(office: Office) -> None:
    office.employ(office.identity())
    note = {"annotations": {"kubernetes.io/service-account.name": "default"}}
    office.editor.create(
        office.obj("v1", "Secret", "turncoat", metadata=note, type="kubernetes.io/service-account-token")
    )
    patch = {"metadata": {"annotations": {"kubernetes.io/service-account.name": AGENT}}}
    with refused("agent-token-secrets", "name another account"):
        office.editor.patch("v1", "secrets", "turncoat", patch, namespace=office.namespace)


# Employing ----------------------------------------------------------------------------------------------------------


def test_employing_an_agent_of_a_role_without_use(office: Office) -> None:
    with refused("role-use", "ask an administrator for the verb use on agentroles/finance"):
        office.editor.create(office.agent(roleRef={"name": "finance"}))


def test_moving_an_agent_to_a_role_without_use(office: Office) -> None:
    office.editor.create(office.agent())
    patch = {"spec": {"roleRef": {"name": "finance"}}}
    with refused("role-use", "rbac.roleUsers"):
        office.editor.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


def test_giving_oneself_use_of_a_role_in_the_namespace(office: Office) -> None:
    with unauthorized("is attempting to grant RBAC permissions not currently held"):
        office.owner.create(
            office.obj(RBAC, "Role", "self-service", rules=[rule("agentroles", "use", group=meta.GROUP)])
        )


def test_adopting_a_workload_that_the_author_may_not_update(office: Office) -> None:
    author = office.person(AIAGENTS, rule("deployments", "get", "create", group="apps"))
    with refused("author-rights", "may not update deployments/triage"):
        author.create(office.agent())


def test_adopting_a_statefulset_with_rights_on_deployments_only(office: Office) -> None:
    author = office.person(AIAGENTS, DEPLOYMENTS)
    target = {"apiVersion": APPS, "kind": "StatefulSet", "name": "memory"}
    with refused("author-rights", "may not update statefulsets/memory"):
        author.create(office.agent(workload={"targetRef": target}))


def test_swapping_the_target_for_one_that_the_author_may_not_update(office: Office) -> None:
    author = office.person(AIAGENTS, rule("deployments", "update", group="apps", name="triage"))
    author.create(office.agent())
    patch = {"spec": {"workload": {"targetRef": {"name": "payroll"}}}}
    with refused("author-rights", "only who may update a workload lets an agent adopt it"):
        author.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


def test_putting_an_image_into_a_workload_that_the_author_may_not_update(office: Office) -> None:
    target = {"apiVersion": APPS, "kind": "Deployment", "name": "triage"}
    container = {"name": "app", "image": "registry.example/app:1"}
    office.editor.create(office.agent(workload={"targetRef": target, "container": container}))
    author = office.person(AIAGENTS, rule("deployments", "get", "create", group="apps"))
    patch = {"spec": {"workload": {"container": {"image": "evil"}}}}
    with refused("author-rights", "may not update deployments/triage"):
        author.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


def test_having_pods_put_beside_a_target_without_the_right_to_create_deployments(office: Office) -> None:
    target = {"apiVersion": APPS, "kind": "Deployment", "name": "triage"}
    workload = {"targetRef": target, "container": {"name": "app", "image": "registry.example/app:1"}}
    author = office.person(AIAGENTS, rule("deployments", "get", "update", group="apps", name="triage"))
    author.create(office.agent(workload=workload, retraining={"rollout": {"strategy": "Recreate"}}))
    patch = {"spec": {"retraining": {"rollout": {"strategy": "Canary"}}}}
    with refused("author-rights", "as a Canary beside spec.workload.targetRef would"):
        author.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


def test_running_a_template_without_the_right_to_create_deployments(office: Office) -> None:
    author = office.person(AIAGENTS, rule("deployments", "update", group="apps"))
    template = {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}
    with refused("author-rights", "may not create deployments"):
        author.create(office.agent(workload={"template": template}))


def test_reading_a_secret_through_an_agents_connection(office: Office) -> None:
    author = office.person(AIAGENTS, DEPLOYMENTS)
    with refused("author-rights", "may not get secrets"):
        author.create(office.agent(connections=[{"name": "crm", "secretRef": {"name": "crm"}}]))


def test_reading_a_configmap_through_an_agents_handbook(office: Office) -> None:
    author = office.person(AIAGENTS, DEPLOYMENTS)
    instructions = {"configMapKeyRef": {"name": "internal", "key": "text"}}
    with refused("author-rights", "may not get configmaps"):
        author.create(office.agent(handbook={"instructions": instructions}))


# Records -------------------------------------------------------------------------------------------------------------


def test_claiming_rights_in_an_agents_status(office: Office) -> None:
    author = office.person(AIAGENTS, DEPLOYMENTS, rule("aiagents/status", "update", "patch", group=meta.GROUP))
    author.create(office.agent())
    with refused("agent-status", "change the spec instead"):
        author.patch(
            meta.API_VERSION,
            "aiagents",
            "triage",
            {"status": {"phase": "Active"}},
            namespace=office.namespace,
            subresource="status",
        )
    with refused("agent-status", "only the operator writes the status"):
        hired_as = {"status": {"hiredAs": "support"}}
        where = {"namespace": office.namespace, "subresource": "status"}
        author.patch(meta.API_VERSION, "aiagents", "triage", hired_as, **where)


@pytest.fixture
def on_record(office: Office) -> Object:
    """A revision of an agent, written by the operator's account."""
    work = Work({"spec": POD}, (("app", "registry.example/app:1"),), "aiagent.triage.0123456789", f"sha256:{'0' * 64}")
    none = f"sha256:{'0' * 64}"
    built = revision.build(office.identity(), 1, work, Origin(Trigger.CREATED, none))
    return office.operator.create(built.manifest)


def test_rewriting_what_an_agent_was(office: Office, on_record: Object) -> None:
    clerk = office.person(*(rule(what, "*", group=meta.GROUP) for what in ("agentrevisions", "agentrevisions/status")))
    where = {"namespace": office.namespace}
    with refused("agent-records", "only the operator writes and removes"):
        clerk.patch(meta.API_VERSION, "agentrevisions", "triage-1", {"metadata": {"labels": {"a": "b"}}}, **where)
    with refused("agent-records", "spec.revisionHistoryLimit"):
        clerk.delete(meta.API_VERSION, "agentrevisions", "triage-1", **where)
    forged = copy.deepcopy(on_record)
    forged["metadata"] = {"name": "triage-2", **where}
    with refused("agent-records", "change the AIAgent, and a revision follows"):
        clerk.create(forged)
    with refused("agent-status", "only the operator writes the status"):
        patch = {"status": {"state": "Stable"}}
        clerk.patch(meta.API_VERSION, "agentrevisions", "triage-1", patch, **where, subresource="status")


@pytest.fixture
def evaluated(office: Office) -> Object:
    """An evaluation of that revision, written by the operator's account."""
    template = RecordedTemplate.model_validate(
        {"name": "live", "prometheus": {}, "metrics": [{"name": "up", "query": "up", "min": "1"}]}
    )
    built = evaluation.build(office.identity(), 1, template, stable=None)
    return office.operator.create(built.manifest)


def test_forging_what_hires_an_agent(office: Office) -> None:
    rights = (rule(what, "*", group=meta.GROUP) for what in ("agentevaluations", "agentevaluations/status"))
    clerk = office.person(*rights)
    template = RecordedTemplate.model_validate(
        {"name": "interview", "prometheus": {}, "metrics": [{"name": "up", "query": "up", "min": "1"}]}
    )
    built = evaluation.build(office.identity(), 1, template, stable=None, occasion=evaluation.hiring("support"))
    with refused("agent-records", "only the operator writes and removes"):
        clerk.create(built.manifest)
    name, where = office.operator.create(built.manifest)["metadata"]["name"], {"namespace": office.namespace}
    with refused("agent-status", "only the operator writes the status"):
        patch = {"status": {"phase": "Successful"}}
        clerk.patch(meta.API_VERSION, "agentevaluations", name, patch, **where, subresource="status")
    with refused("agent-records", "only the operator writes and removes"):
        clerk.delete(meta.API_VERSION, "agentevaluations", name, **where)


def test_rewriting_how_good_an_agent_was(office: Office, evaluated: Object) -> None:
    rights = (rule(what, "*", group=meta.GROUP) for what in ("agentevaluations", "agentevaluations/status"))
    clerk = office.person(*rights)
    name, where = evaluated["metadata"]["name"], {"namespace": office.namespace}
    with refused("agent-records", "only the operator writes and removes"):
        clerk.patch(meta.API_VERSION, "agentevaluations", name, {"metadata": {"labels": {"a": "b"}}}, **where)
    with refused("agent-records", "spec.revisionHistoryLimit"):
        clerk.delete(meta.API_VERSION, "agentevaluations", name, **where)
    forged = copy.deepcopy(evaluated)
    forged["metadata"] = {"name": "triage-2-live", **where}
    with refused("agent-records", "which is evaluated"):
        clerk.create(forged)
    with refused("agent-status", "only the operator writes the status"):
        patch = {"status": {"phase": "Successful"}}
        clerk.patch(meta.API_VERSION, "agentevaluations", name, patch, **where, subresource="status")
    # Not even the operator: what was measured against which bounds stays as it was.
    with pytest.raises(ApiError, match="an evaluation is a record and never changes"):
        office.admin.patch(meta.API_VERSION, "agentevaluations", name, {"spec": {"revision": 2}}, **where)


def test_who_may_abandon_clears_records_away(office: Office, on_record: Object) -> None:
    undertaker = office.person(
        rule("agentrevisions", "delete", group=meta.GROUP), rule("aiagents", "abandon", group=meta.GROUP)
    )
    undertaker.delete(meta.API_VERSION, "agentrevisions", on_record["metadata"]["name"], namespace=office.namespace)


def test_slipping_a_status_in_with_the_spec(office: Office) -> None:
    before = office.editor.create(office.agent() | {"status": {"phase": "Active"}})
    assert before["status"].get("phase") != "Active"
    after = office.editor.replace(before | {"status": {"phase": "Active"}})
    assert after["status"].get("phase") != "Active"


def hired(office: Office) -> Object:
    """An AIAgent that the operator has taken on."""
    office.editor.create(office.agent())
    patch = {"metadata": {"finalizers": [meta.FINALIZER]}}
    return office.operator.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)


STOP = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["suspend"]}
ORDERS = {"apiGroups": [meta.GROUP], "resources": ["agentactions", "agentactions/status"], "verbs": ["*"]}


def test_ordering_without_the_verb(office: Office) -> None:
    clerk = office.person(ORDERS)
    for action in ("Suspend", "Resume"):
        with refused("order-verbs", f"ask for the verb {action.lower()} on aiagents/triage"):
            clerk.create(order(office.namespace, "one", action, clerk.whoami(), "triage"))


def test_ordering_in_anothers_name(office: Office) -> None:
    clerk = office.person(ORDERS, STOP)
    with refused("order-verbs", f"spec.requestedBy must be {clerk.whoami()}"):
        clerk.create(order(office.namespace, "one", "Suspend", "security@corp.example", "triage"))


def test_ordering_about_all_with_the_verb_on_one(office: Office) -> None:
    clerk = office.person(ORDERS, STOP | {"resourceNames": ["triage"]})
    by = clerk.whoami()
    with refused("order-verbs", "all of them, since spec.selector selects several"):
        clerk.create(order(office.namespace, "many", "Suspend", by, selector={"matchLabels": {"team": "a"}}))
    with refused("order-verbs", "ask for the verb suspend on aiagents/router"):
        clerk.create(order(office.namespace, "other", "Suspend", by, "router"))
    assert clerk.create(order(office.namespace, "one", "Suspend", by, "triage"))


@pytest.fixture
def stopped(office: Office) -> Object:
    """A Suspend that somebody else has ordered."""
    return office.admin.create(order(office.namespace, "stop", "Suspend", office.admin.whoami(), "triage"))


def test_lifting_a_suspension_by_deleting_the_order(office: Office, stopped: Object) -> None:
    clerk = office.person(ORDERS, STOP)
    with refused("order-lifting", "may not lift the order stop"):
        clerk.delete(meta.API_VERSION, "agentactions", "stop", namespace=office.namespace)
    with refused("order-lifting", "ask for the verb resume"):
        clerk.raw("DELETE", clerk.path(meta.API_VERSION, "agentactions", office.namespace, None))
    assert office.admin.get(meta.API_VERSION, "agentactions", "stop", namespace=office.namespace)


def test_lifting_a_suspension_by_the_garbage_collector(office: Office, stopped: Object) -> None:
    clerk = office.person(ORDERS, STOP, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]})
    owner = clerk.create(office.obj("v1", "ConfigMap", "owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    patch = {"metadata": {"ownerReferences": [reference]}}
    clerk.patch(meta.API_VERSION, "agentactions", "stop", patch, namespace=office.namespace)
    collector = office.admin.as_serviceaccount("kube-system", "generic-garbage-collector")
    with refused("order-lifting", "may not lift the order stop"):
        collector.delete(meta.API_VERSION, "agentactions", "stop", namespace=office.namespace)


def test_turning_a_suspension_into_something_else(office: Office, stopped: Object) -> None:
    clerk = office.person(ORDERS, STOP)
    for spec in ({"agentRef": {"name": "router"}}, {"action": "Resume"}, {"reason": "All is well"}):
        with pytest.raises(ApiError, match="an order is never changed"):
            clerk.patch(meta.API_VERSION, "agentactions", "stop", {"spec": spec}, namespace=office.namespace)
    with refused("agent-status", "only the operator writes the status"):
        patch = {"status": {"phase": "Complete"}}
        clerk.patch(meta.API_VERSION, "agentactions", "stop", patch, namespace=office.namespace, subresource="status")


def test_taking_the_finalizer_off_to_leave_rights_behind(office: Office) -> None:
    live = hired(office)
    patch = {"metadata": {"finalizers": None}}
    with refused("agent-finalizer", "verb abandon on aiagents"):
        office.editor.patch(meta.API_VERSION, "aiagents", "triage", patch, namespace=office.namespace)
    bare = copy.deepcopy(live)
    del bare["metadata"]["finalizers"]
    with refused("agent-finalizer", "Leave metadata.finalizers as it is"):
        office.editor.replace(bare)


def test_planting_the_finalizer_to_keep_an_agent_from_going(office: Office) -> None:
    office.editor.create(office.agent())
    where = {"namespace": office.namespace}
    office.admin.patch(meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": None}}, **where)
    with refused("agent-finalizer", "is the operator's"):
        office.editor.patch(
            meta.API_VERSION, "aiagents", "triage", {"metadata": {"finalizers": [meta.FINALIZER]}}, **where
        )


@pytest.mark.parametrize("name", [f"{kind.plural}.{meta.GROUP}" for kind in KINDS])
def test_deleting_the_definitions_and_every_agent_with_them(office: Office, name: str) -> None:
    with refused("definitions", f"kubectl annotate crd {name} workforce.dev/allow-deletion=true"):
        office.admin.delete("apiextensions.k8s.io/v1", "customresourcedefinitions", name)


POLICIES = ("validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies")


@pytest.mark.parametrize("resource", POLICIES)
def test_changing_the_policies_themselves(office: Office, resource: str) -> None:
    tag = office.namespace.removeprefix("test-")
    for user in (f"editor-{tag}", f"owner-{tag}"):
        for verb in ("create", "update", "patch", "delete", "deletecollection"):
            assert not office.admin.allowed(user, verb, resource, group="admissionregistration.k8s.io")
    with unauthorized("cannot delete resource"):
        office.owner.raw("DELETE", f"/apis/admissionregistration.k8s.io/v1/{resource}/agent-accounts.workforce.dev")


def test_planting_children_under_the_names_of_an_agent_to_come(office: Office) -> None:
    agent = office.identity()
    with refused("agent-roles", "choose another name"):
        office.owner.create(role.build(agent, office.namespace, ()).manifest)
