"""The end of an agent: rights first, then the rest, in order, in every namespace, and never in anybody's way."""

import pytest

from support import agents
from support.agents import permission
from support.kube import Object
from support.localcluster.audit import AuditEvent
from support.workplace import Workplace


def _employed(place: Workplace, *permissions: Object, **spec: object) -> str:
    place.employ("triage", place.new_role(), *permissions, **spec)
    uid: str = place.until_ready("triage")["metadata"]["uid"]
    return uid


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_nothing_remains_also_in_other_namespaces(place: Workplace, propagation: str) -> None:
    crm = place.new_namespace("crm")
    uid = _employed(place, permission("read-tickets", crm), permission("refund"))
    place.until_can("triage", "get", "tickets", namespace=crm)

    place.dismiss("triage", propagation=propagation)
    place.until_gone("triage")

    assert place.children(uid) == {}
    assert not place.can("triage", "get", "tickets", namespace=crm)
    assert not place.can("triage", "create", "refunds")
    said = [e for e in place.events("triage") if e["reason"] == "Offboarded"]
    assert len(said) == 1
    assert "every right it held is refused" in said[0]["message"]


def test_rights_end_before_the_work_and_the_limits_last(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    _employed(place, permission("read-tickets", crm), permission("refund"))

    mark = place.plane.audit_mark()
    place.dismiss("triage")
    place.until_gone("triage")

    def written() -> list[AuditEvent]:
        """Up to the removal of the finalizer, whose answer comes a moment after the agent is gone."""
        found = [w for w in place.writes(mark) if w.code < 400]
        return found if ("aiagents", "") in {(w.resource, w.subresource) for w in found} else []

    writes = place.admin.wait_for(written, what="the finalizer's removal in the audit log")

    def times(resource: str, verb: str) -> tuple[str, str]:
        """First arrival and last answer."""
        found = [w for w in writes if (w.resource, w.verb, w.subresource) == (resource, verb, "")]
        assert found, f"no {verb} of {resource}: {[(w.verb, w.resource) for w in writes]}"
        return min(w.received for w in found), max(w.answered for w in found)

    bindings = times("rolebindings", "delete")
    for later in ("roles", "deployments", "serviceaccounts", "configmaps", "networkpolicies"):
        assert bindings[1] <= times(later, "delete")[0], f"{later} go after the bindings"
    for later in ("serviceaccounts", "configmaps", "networkpolicies"):
        assert times("deployments", "delete")[1] <= times(later, "delete")[0], f"{later} outlive the work"
    release = times("aiagents", "patch")
    assert all(w.answered <= release[0] for w in writes if w.verb == "delete"), "the finalizer goes last"
    deleted = [w.uri for w in writes if w.verb == "delete"]
    assert len(deleted) == len(set(deleted)), "nothing is deleted twice"


def test_the_finalizer_holds_the_agent_until_its_rights_are_gone(place: Workplace) -> None:
    _employed(place, permission("read-tickets"))
    found = place.admin.get(agents.RBAC, "rolebindings", "aiagent.triage", namespace=place.namespace)
    hold = {"metadata": {"finalizers": ["tests.example/hold"]}}
    place.admin.patch(agents.RBAC, "rolebindings", "aiagent.triage", hold, namespace=place.namespace)

    place.dismiss("triage")

    agent = place.until_reason("triage", "Ready", "Offboarding", "revoking", "aiagent.triage")
    assert agent["status"]["phase"] == "Offboarding"
    assert agent["metadata"]["finalizers"] == [agents.FINALIZER]
    uid = agent["metadata"]["uid"]
    assert ("Deployment", place.namespace, "triage-1") in place.children(uid)
    assert found["metadata"]["uid"]
    release = {"metadata": {"finalizers": []}}
    place.admin.patch(agents.RBAC, "rolebindings", "aiagent.triage", release, namespace=place.namespace)
    place.until_gone("triage")
    assert place.children(uid) == {}


def test_children_without_their_labels_are_still_found(place: Workplace, operator: object) -> None:
    crm = place.new_namespace("crm")
    uid = _employed(place, permission("read-tickets", crm), permission("refund"))
    children = place.children(uid)
    place.installed.end_shared()
    for (kind, namespace, name), obj in children.items():
        if kind in ("Deployment", "ConfigMap", "AgentRevision"):
            continue
        gone = {"metadata": {"labels": dict.fromkeys(obj["metadata"]["labels"])}}
        place.admin.patch(obj["apiVersion"], kind, name, gone, namespace=namespace)
    place.dismiss("triage")

    place.installed.operator()
    place.until_gone("triage")

    left = [f"{kind} {ns}/{name}" for kind, ns, name in children if place.exists(kind, ns, name)]
    assert left == []
    assert not place.can("triage", "get", "tickets", namespace=crm)


def test_an_agent_without_a_role_goes_at_once(place: Workplace) -> None:
    place.employ("triage", place.name("missing"))
    place.until_reason("triage", "Ready", "RoleNotFound")

    place.dismiss("triage")

    place.until_gone("triage")


def test_a_deletion_in_the_middle_of_onboarding(place: Workplace) -> None:
    role = place.new_role()
    uid = place.employ("triage", role, permission("read-tickets"))["metadata"]["uid"]
    place.dismiss("triage")

    place.until_gone("triage")
    place.admin.wait_for(lambda: not place.children(uid), what="everything of the agent to be gone")


def test_a_name_that_comes_back_is_another_agent(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    first = _employed(place, permission("read-tickets", crm))
    role = place.get("triage")["spec"]["roleRef"]["name"]
    place.dismiss("triage")
    place.until_gone("triage")
    place.employ("triage", role, permission("refund"))

    second = place.until_ready("triage")["metadata"]["uid"]

    assert first != second
    assert place.children(first) == {}
    assert place.rights(second) == {(place.namespace, "crm.example", "refunds", "create")}
    assert not place.can("triage", "get", "tickets", namespace=crm)


def test_the_namespace_of_an_agent_can_be_deleted(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    home = place.new_namespace("doomed")
    role = place.new_role()
    place.admin.create(agents.agent(home, "triage", role, permission("read-tickets", crm), permission("refund")))
    agent = place.admin.wait_object(
        agents.API,
        "aiagents",
        "triage",
        lambda a: (agents.condition(a, "Ready") or {}).get("status") == "True",
        what="the agent to be onboarded",
        namespace=home,
    )

    place.admin.delete("v1", "namespaces", home)

    place.admin.wait_gone("v1", "namespaces", home, timeout=120)
    assert place.children(agent["metadata"]["uid"]) == {}


def test_another_namespace_where_rights_are_held_can_be_deleted(place: Workplace) -> None:
    crm, archive = place.new_namespace("crm"), place.new_namespace("archive")
    uid = _employed(place, permission("read-tickets", crm, archive))

    place.admin.delete("v1", "namespaces", crm)
    place.admin.wait_gone("v1", "namespaces", crm, timeout=120)

    agent = place.until_reason("triage", "Ready", "NamespaceNotFound", crm)
    assert {ns for ns, *_ in place.rights(uid)} == {archive}
    assert {e["namespace"] for e in agent["status"]["inventory"]} == {place.namespace, archive}
    place.dismiss("triage")
    place.until_gone("triage")


def test_rights_that_remain_through_a_group_are_reported(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    _employed(place, permission("read-tickets", crm))
    everyone = f"system:serviceaccounts:{place.namespace}"
    role = {"apiVersion": agents.RBAC, "kind": "Role", "metadata": {"name": "open", "namespace": crm}}
    place.admin.create(role | {"rules": [agents.READ_TICKETS]})
    subject = {"kind": "Group", "name": everyone, "apiGroup": "rbac.authorization.k8s.io"}
    place.admin.create(agents.binding(crm, "open", "open", subject))
    place.admin.wait_for(
        lambda: place.admin.allowed(
            "somebody", "get", "tickets", groups=[everyone], group="crm.example", namespace=crm
        ),
        what="the group's binding to be in force",
    )

    place.dismiss("triage")
    place.until_gone("triage")

    said = next(e for e in place.events("triage") if e["reason"] == "Offboarded")
    assert said["type"] == "Warning"
    assert "open" in said["message"]
    assert crm in said["message"]


def test_children_of_an_agent_whose_finalizer_was_taken_are_swept(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    uid = _employed(place, permission("read-tickets", crm), permission("refund"))
    place.installed.end_shared()
    patch = {"metadata": {"finalizers": []}}
    place.admin.patch(agents.API, "aiagents", "triage", patch, namespace=place.namespace)
    place.dismiss("triage")
    place.until_gone("triage")

    place.installed.operator()

    place.admin.wait_for(lambda: not place.children(uid), what="what the agent left to be swept")
    place.until_cannot("triage", "get", "tickets", namespace=crm)
