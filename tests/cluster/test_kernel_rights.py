"""Who holds what: the operator's own rights, those of people, and what of a policy the API server itself finds odd."""

from collections.abc import Iterator

import pytest

from aiagent_operator.api import meta
from support import chart
from support.cluster import Cluster
from support.kube import Kube, Object, wait_for
from support.tenancy import RBAC, Office

pytestmark = pytest.mark.cluster

POLICIES = sorted(o["metadata"]["name"] for o in chart.render() if o["kind"] == "ValidatingAdmissionPolicy")
ADMISSION = "admissionregistration.k8s.io"

# What leads into the identity of a pod or account (group, resource, subresource, verb).
INTO_AN_IDENTITY = (
    ("", "serviceaccounts", "", "impersonate"),
    ("", "serviceaccounts", "token", "create"),
    ("", "pods", "exec", "create"),
    ("", "pods", "exec", "get"),
    ("", "pods", "attach", "create"),
    ("", "pods", "attach", "get"),
    ("", "pods", "portforward", "create"),
    ("", "pods", "portforward", "get"),
    ("", "pods", "proxy", "get"),
    ("", "services", "proxy", "create"),
    ("", "pods", "ephemeralcontainers", "update"),
    ("", "pods", "ephemeralcontainers", "patch"),
)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_api_server_finds_nothing_odd_in_a_policy(kernel: Cluster, policy: str) -> None:
    live = kernel.admin.wait_object(
        f"{ADMISSION}/v1",
        "validatingadmissionpolicies",
        policy,
        lambda o: o.get("status", {}).get("observedGeneration") == o["metadata"]["generation"],
        what=f"the types of {policy} to be checked",
    )
    assert not live["status"].get("typeChecking", {}).get("expressionWarnings")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_fails_closed_denies_and_stays(kernel: Cluster, policy: str) -> None:
    live = kernel.admin.get(f"{ADMISSION}/v1", "validatingadmissionpolicies", policy)
    bound = kernel.admin.get(f"{ADMISSION}/v1", "validatingadmissionpolicybindings", policy)
    assert live["spec"]["failurePolicy"] == "Fail"
    assert bound["spec"] == {"policyName": policy, "validationActions": ["Deny"]}
    for obj in (live, bound):
        assert obj["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


# The operator --------------------------------------------------------------------------------------------------------


def own_rules(admin: Kube) -> Iterator[tuple[str, Object]]:
    """Each rule bound to the operator, as the API server has it, with the role that it stands in."""
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for binding in admin.list(RBAC, kind):
            if any(s["kind"] == "ServiceAccount" and s["name"] == chart.ACCOUNT for s in binding.get("subjects", [])):
                ref = binding["roleRef"]
                role = admin.get(RBAC, ref["kind"], ref["name"], namespace=binding["metadata"].get("namespace"))
                yield from ((ref["name"], rule) for rule in role.get("rules") or [])


def test_the_operator_holds_no_wildcard_and_nothing_that_leads_further(kernel: Cluster) -> None:
    rules = list(own_rules(kernel.admin))
    assert {name for name, _ in rules} >= {"aiagent-operator", "aiagent-operator-namespaced"}
    for name, rule in rules:
        if name == meta.GRANTABLE_CLUSTER_ROLE:
            continue
        assert "nonResourceURLs" not in rule, name
        words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert not {"*", "escalate", "bind"} & set(words), (name, rule)
        # The keys of archives, in its own namespace.
        assert "secrets" not in words or (name, set(rule["verbs"])) == (
            "aiagent-operator",
            {"get", "create", "delete"},
        ), rule
        assert not any(r.partition("/")[2] not in ("", "status") for r in rule["resources"] if r != "pods/log"), (
            name,
            rule,
        )
        assert not any(verb.startswith("impersonate") or verb == "deletecollection" for verb in rule["verbs"])
        assert ADMISSION not in rule["apiGroups"], (name, rule)


@pytest.mark.parametrize(("group", "resource", "subresource", "verb"), INTO_AN_IDENTITY)
def test_the_operator_cannot_enter_an_identity(
    kernel: Cluster, group: str, resource: str, subresource: str, verb: str
) -> None:
    for namespace in ("", "default", "kube-system", chart.NAMESPACE):
        assert not kernel.admin.allowed(
            chart.USERNAME,
            verb,
            resource,
            subresource=subresource,
            group=group,
            groups=chart.GROUPS,
            namespace=namespace,
        )


def test_the_ceiling_is_empty_until_an_administrator_labels_something(kernel: Cluster) -> None:
    role = kernel.admin.get(RBAC, "clusterroles", meta.GRANTABLE_CLUSTER_ROLE)
    selectors = role["aggregationRule"]["clusterRoleSelectors"]
    assert selectors == [{"matchLabels": {meta.LABEL_GRANTABLE: "true"}}]
    assert not any(o["metadata"].get("labels", {}).get(meta.LABEL_GRANTABLE) for o in chart.render())


# People --------------------------------------------------------------------------------------------------------------


def holder(office: Office, cluster_role: str) -> str:
    """A user who holds the ClusterRole in the office."""
    name = f"{cluster_role}-{office.namespace}"
    office.bind(name, {"kind": "ClusterRole", "name": cluster_role})
    wait_for(
        lambda: office.admin.allowed(name, "list", "aiagents", group=meta.GROUP, namespace=office.namespace),
        what=f"{name} to hold the rights of {cluster_role}",
    )
    return name


EVERYDAY = (
    ("", "pods", "log", "get"),
    ("", "configmaps", "", "create"),
    ("", "secrets", "", "update"),
    ("apps", "deployments", "", "patch"),
    ("apps", "statefulsets", "scale", "update"),
    ("batch", "jobs", "", "create"),
    ("networking.k8s.io", "networkpolicies", "", "delete"),
    (meta.GROUP, "aiagents", "", "create"),
    (meta.GROUP, "aiagents", "", "delete"),
    (meta.GROUP, "aiagents", "scale", "patch"),
)


@pytest.mark.parametrize("cluster_role", ["workforce-edit", "workforce-admin"])
def test_the_stand_ins_for_edit_and_admin_lead_into_no_identity(office: Office, cluster_role: str) -> None:
    user = holder(office, cluster_role)
    for group, resource, subresource, verb in INTO_AN_IDENTITY:
        allowed = office.admin.allowed(
            user, verb, resource, subresource=subresource, group=group, namespace=office.namespace
        )
        assert not allowed, f"{cluster_role} may {verb} {resource}/{subresource}"
    for group, resource, subresource, verb in EVERYDAY:
        allowed = office.admin.allowed(
            user, verb, resource, subresource=subresource, group=group, namespace=office.namespace
        )
        assert allowed, f"{cluster_role} may not {verb} {resource}/{subresource}"


def test_workforce_admin_manages_the_roles_of_its_namespace_but_cannot_regain_exec(office: Office) -> None:
    name = holder(office, "workforce-admin")
    person = office.admin.as_user(name)
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "workforce-edit"}
    subject = {"kind": "User", "name": "colleague", "apiGroup": "rbac.authorization.k8s.io"}
    person.create(office.obj(RBAC, "RoleBinding", "colleague", roleRef=ref, subjects=[subject]))
    with pytest.raises(Exception, match="attempting to grant RBAC permissions not currently held"):
        person.create(office.obj(RBAC, "RoleBinding", "regain", roleRef=ref | {"name": "edit"}, subjects=[subject]))


def test_the_built_in_edit_leads_into_an_agents_identity_which_no_policy_can_stop(office: Office) -> None:
    office.employ(office.identity())
    editor = f"editor-{office.namespace.removeprefix('test-')}"
    assert office.admin.allowed(editor, "impersonate", "serviceaccounts", namespace=office.namespace)
    assert office.admin.allowed(editor, "create", "pods", subresource="exec", namespace=office.namespace)


def test_a_viewer_sees_agents_and_changes_none(office: Office) -> None:
    user = holder(office, "view")
    where = {"group": meta.GROUP, "namespace": office.namespace}
    assert office.admin.allowed(user, "get", "aiagents", **where)
    assert not any(office.admin.allowed(user, verb, "aiagents", **where) for verb in ("create", "patch", "abandon"))


def test_editors_neither_abandon_agents_nor_write_roles_policies_or_status(office: Office) -> None:
    for user in (f"{who}-{office.namespace.removeprefix('test-')}" for who in ("editor", "owner")):
        where = {"group": meta.GROUP, "namespace": office.namespace}
        assert not office.admin.allowed(user, "abandon", "aiagents", **where)
        assert not office.admin.allowed(user, "patch", "aiagents", subresource="status", **where)
        for verb in ("create", "update", "patch", "delete"):
            for resource in ("agentroles", "agentpolicies"):
                assert not office.admin.allowed(user, verb, resource, group=meta.GROUP)
