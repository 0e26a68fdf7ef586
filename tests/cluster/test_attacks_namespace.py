"""Namespaces that are labelled to stay: nobody deletes them, and nobody loses the label in passing."""

import copy
from collections.abc import Iterator

import pytest

from support import chart
from support.kube import ApiError, Kube, Object, wait_for
from support.tenancy import RBAC, Office, refused

pytestmark = pytest.mark.cluster

ADMISSION = "admissionregistration.k8s.io/v1"
POLICY = "protected-namespaces.workforce.dev"
LABEL = "workforce.dev/protect"


@pytest.fixture
def protected(office: Office) -> Iterator[Office]:
    """An office whose namespace is protected, by the policy that the chart has for it."""
    admin = office.admin
    ours = [o for o in chart.render(chart.PROTECTING) if o["metadata"]["name"] == POLICY]
    for obj in ours:
        admin.apply(obj, manager="helm", force=True)
    label(admin, office.namespace, "true")

    def in_force() -> bool:
        try:
            admin.raw("DELETE", f"/api/v1/namespaces/{office.namespace}", params={"dryRun": "All"})
        except ApiError as error:
            return POLICY in error.message
        return False

    wait_for(in_force, what=f"{POLICY} to be in force")
    yield office
    for obj in reversed(ours):
        admin.delete(ADMISSION, obj["kind"], POLICY)
    wait_for(lambda: not in_force(), what=f"{POLICY} to be gone")
    label(admin, office.namespace, None)


def label(client: Kube, namespace: str, value: str | None, *, subresource: str = "") -> None:
    patch = {"metadata": {"labels": {LABEL: value}}}
    client.patch("v1", "namespaces", namespace, patch, subresource=subresource)


def clerk(office: Office, user: str, *verbs: str, kind: str = "User", clusterwide: bool = True) -> Kube:
    """Somebody with these verbs on the namespace, and on all ways to write it."""
    name = f"{user}-{office.namespace}"
    resources = ["namespaces", "namespaces/status", "namespaces/finalize"]
    rules = [{"apiGroups": [""], "resources": resources, "verbs": list(verbs)}]
    office.admin.create({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
    office.bound.append(("ClusterRole", name))
    subject: Object = {"kind": kind, "name": name}
    subject |= (
        {"namespace": office.namespace} if kind == "ServiceAccount" else {"apiGroup": "rbac.authorization.k8s.io"}
    )
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding: Object = {"apiVersion": RBAC, "metadata": {"name": name}, "roleRef": ref, "subjects": [subject]}
    if clusterwide:
        office.admin.create(binding | {"kind": "ClusterRoleBinding"})
        office.bound.append(("ClusterRoleBinding", name))
    else:
        office.admin.create(office.obj(RBAC, "RoleBinding", name, roleRef=ref, subjects=[subject]))
    if kind == "ServiceAccount":
        office.admin.create(office.obj("v1", "ServiceAccount", name))
        client = office.admin.as_serviceaccount(office.namespace, name)
        username = f"system:serviceaccount:{office.namespace}:{name}"
    else:
        client, username = office.admin.as_user(name), name
    where = {"name": office.namespace, "namespace": office.namespace}
    wait_for(
        lambda: office.admin.allowed(username, verbs[-1], "namespaces", **where), what=f"{name} to have its rights"
    )
    return client


def test_deleting_a_protected_namespace_as_an_administrator(protected: Office) -> None:
    with refused("protected-namespaces", f"kubectl label namespace {protected.namespace} {LABEL}-"):
        protected.admin.delete("v1", "namespaces", protected.namespace)
    assert "deletionTimestamp" not in protected.admin.get("v1", "namespaces", protected.namespace)["metadata"]


@pytest.mark.parametrize("value", [None, "false", "True"])
@pytest.mark.parametrize("way", ["", "status", "finalize"])
def test_taking_the_label_off_in_passing(protected: Office, way: str, value: str | None) -> None:
    who = clerk(protected, "clerk", "get", "patch", "update")
    live = who.get("v1", "namespaces", protected.namespace)
    changed = copy.deepcopy(live)
    changed["metadata"]["labels"].pop(LABEL)
    changed["metadata"]["labels"] |= {LABEL: value} if value else {}
    with refused("protected-namespaces", "who has the verb unprotect on namespaces"):
        who.replace(changed, subresource=way)
    if way != "finalize":
        with refused("protected-namespaces", "who has the verb unprotect on namespaces"):
            label(who, protected.namespace, value, subresource=way)
    who.patch("v1", "namespaces", protected.namespace, {"metadata": {"labels": {"team": "a"}}})


def test_taking_it_off_with_a_right_in_the_namespace_alone(protected: Office) -> None:
    who = clerk(protected, "owner", "get", "patch", "unprotect", clusterwide=False)
    with refused("protected-namespaces", "in the whole cluster"):
        label(who, protected.namespace, None)


def test_taking_it_off_as_a_controller(protected: Office) -> None:
    gitops = clerk(protected, "gitops", "*", kind="ServiceAccount")
    with refused("protected-namespaces", "no ServiceAccount"):
        label(gitops, protected.namespace, None)
    with refused("protected-namespaces", "is deleted by nobody"):
        gitops.delete("v1", "namespaces", protected.namespace)


def test_a_person_who_may_unprotects_and_others_are_deleted_as_ever(protected: Office) -> None:
    admin, namespace = protected.admin, f"{protected.namespace}-other"
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {LABEL: "false"}}})
    admin.delete("v1", "namespaces", namespace)
    admin.wait_gone("v1", "namespaces", namespace)

    who = clerk(protected, "head", "get", "patch", "delete", "unprotect")
    label(who, protected.namespace, None)
    who.raw("DELETE", f"/api/v1/namespaces/{protected.namespace}", params={"dryRun": "All"})
    label(who, protected.namespace, "true")


def test_the_api_server_finds_nothing_odd_in_it(protected: Office) -> None:
    live = protected.admin.wait_object(
        ADMISSION,
        "validatingadmissionpolicies",
        POLICY,
        lambda o: o.get("status", {}).get("observedGeneration") == o["metadata"]["generation"],
        what="its types to be checked",
    )
    assert not live["status"].get("typeChecking", {}).get("expressionWarnings")
