"""Onboarding, through the API server: what an agent gets, what it may do, and what the operator says of it."""

import orjson
import pytest

from support import agents, finalizer
from support.agents import permission, rule
from support.kube import Object
from support.operator import OperatorProcess
from support.workplace import Workplace

LABELS = ("workforce.dev/agent", "workforce.dev/agent-namespace", "workforce.dev/agent-uid")


def _ours(obj: Object, agent: Object) -> bool:
    meta = agent["metadata"]
    labels = obj["metadata"].get("labels", {})
    return [labels.get(label) for label in LABELS] == [meta["name"], meta["namespace"], meta["uid"]]


def test_an_agent_gets_exactly_its_objects(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    asked = (permission("read-tickets", crm), permission("refund"))
    place.employ("triage", place.new_role(), *asked)

    agent = place.until_ready("triage")

    home, uid = place.namespace, agent["metadata"]["uid"]
    children = place.children(uid)
    book = agent["status"]["handbook"]["configMap"]
    abroad = agents.foreign_name("triage", uid)
    assert set(children) == {
        ("ServiceAccount", home, "aiagent.triage"),
        ("NetworkPolicy", home, "aiagent.triage"),
        ("ConfigMap", home, book),
        ("Role", home, "aiagent.triage"),
        ("RoleBinding", home, "aiagent.triage"),
        ("Role", crm, abroad),
        ("RoleBinding", crm, abroad),
        ("AgentRevision", home, "triage-1"),
        ("Deployment", home, "triage-1"),
    }
    for obj in children.values():
        assert _ours(obj, agent)
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "aiagent-operator"
        assert "ownerReferences" not in obj["metadata"]
    assert agent["metadata"]["finalizers"] == [agents.FINALIZER]
    assert children["ServiceAccount", home, "aiagent.triage"]["automountServiceAccountToken"] is False
    assert children["Role", crm, abroad]["rules"] == [rule("get list", "tickets")]
    assert children["Role", home, "aiagent.triage"]["rules"] == [rule("create", "refunds")]
    subject = {"kind": "ServiceAccount", "name": "aiagent.triage", "namespace": home}
    for namespace, name in ((home, "aiagent.triage"), (crm, abroad)):
        assert children["RoleBinding", namespace, name]["subjects"] == [subject]
        assert children["RoleBinding", namespace, name]["roleRef"]["name"] == name
    handbook = children["ConfigMap", home, book]
    assert handbook["immutable"] is True
    assert handbook["data"]["instructions.md"] == "Be kind."
    assert orjson.loads(handbook["data"]["handbook.json"])["purpose"] == "Answer tickets"


def test_the_status_says_what_is_true(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"))

    agent = place.until_ready("triage")

    status, uid = agent["status"], agent["metadata"]["uid"]
    children = place.children(uid)
    listed = {(e["kind"], e["namespace"], e["name"], e["uid"]) for e in status["inventory"]}
    assert listed == {(*key, obj["metadata"]["uid"]) for key, obj in children.items()}
    assert status["permissions"] == [
        {
            "name": "read-tickets",
            "state": "Granted",
            "reason": "Granted",
            "message": f"granted in {place.namespace}",
            "namespaces": [place.namespace],
            "rules": [rule("get list", "tickets")],
        }
    ]
    assert (status["phase"], status["granted"], status["serviceAccount"]) == ("Active", "1/1", "aiagent.triage")
    assert (status["accountable"], status["replicas"], status["readyReplicas"]) == ("product@corp.example", 1, 1)
    assert status["selector"] == f"workforce.dev/agent-uid={uid}"
    reasons = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert reasons == {
        "Ready": ("True", "Onboarded"),
        "RoleAccepted": ("True", "Accepted"),
        "PermissionsGranted": ("True", "Granted"),
        "WorkloadReady": ("True", "Available"),
    }
    assert all(c["observedGeneration"] == agent["metadata"]["generation"] for c in status["conditions"])


def test_the_agent_may_do_what_was_granted_and_nothing_else(place: Workplace) -> None:
    crm, elsewhere = place.new_namespace("crm"), place.new_namespace("elsewhere")
    place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))

    place.until_ready("triage")

    place.until_can("triage", "get", "tickets", namespace=crm)
    place.until_can("triage", "create", "refunds")
    asked = {
        (namespace, verb, resource)
        for namespace in (place.namespace, crm, elsewhere, "default", "")
        for verb in ("get", "list", "watch", "create", "update", "delete", "impersonate", "escalate")
        for resource in ("tickets", "refunds", "invoices")
    }
    allowed = {(ns, verb, res) for ns, verb, res in asked if place.can("triage", verb, res, namespace=ns)}
    assert allowed == {(crm, "get", "tickets"), (crm, "list", "tickets"), (place.namespace, "create", "refunds")}
    assert not place.can("triage", "get", "secrets", group="")
    assert not place.can("triage", "get", "aiagents", group="workforce.dev")
    assert not place.can("triage", "create", "rolebindings", group="rbac.authorization.k8s.io")


def test_an_account_of_the_same_name_elsewhere_gets_nothing(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm))
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets", namespace=crm)

    def stranger(namespace: str, name: str) -> bool:
        user = f"system:serviceaccount:{namespace}:{name}"
        groups = agents.groups(namespace)
        return place.admin.allowed(user, "get", "tickets", groups=groups, group="crm.example", namespace=crm)

    assert stranger(place.namespace, "aiagent.triage")
    assert not stranger(crm, "aiagent.triage")
    assert not stranger(place.namespace, "default")
    assert not stranger(place.namespace, "triage")


def test_limits_come_before_what_they_limit(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    mark = place.plane.audit_mark()
    with finalizer.born_without_it(place.admin, place.namespace):
        place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))
    agent = place.until_ready("triage")

    home = (place.namespace, crm)
    writes = [w for w in place.writes(mark) if w.namespace in home and w.code < 400]

    def at(resource: str, namespace: str = place.namespace, verb: str = "create") -> tuple[str, str]:
        """When it was first asked for, and when it was answered."""
        found = next(w for w in writes if (w.resource, w.namespace, w.verb) == (resource, namespace, verb))
        return found.received, found.answered

    held = at("aiagents", verb="patch")
    first = [at(r) for r in ("serviceaccounts", "networkpolicies", "configmaps", "roles")] + [at("roles", crm)]
    assert all(held[1] <= one[0] for one in first), "the finalizer stands before anything exists"
    assert at("roles")[1] <= at("rolebindings")[0]
    assert at("roles", crm)[1] <= at("rolebindings", crm)[0]
    for limit in ("serviceaccounts", "networkpolicies", "configmaps"):
        assert at(limit)[1] <= at("deployments")[0], f"{limit} stands before the work"
    assert len([w for w in writes if w.resource == "aiagents" and w.subresource == ""]) == 1
    objects = {(w.resource, w.namespace) for w in writes if w.verb == "create" and w.resource != "events"}
    assert len(objects) == len(place.children(agent["metadata"]["uid"])), "each object is written once"


def test_an_agent_born_with_the_finalizer_is_not_written_for_it(place: Workplace) -> None:
    born = place.employ("triage", place.new_role(), permission("refund"))
    if not finalizer.has_mutating_policies(place.admin):
        pytest.skip("this API server has no mutating admission policies (Kubernetes 1.36 and later has)")
    assert born["metadata"]["finalizers"] == [agents.FINALIZER]
    mark = place.plane.audit_mark()
    ready = place.until_ready("triage")
    assert not [w for w in place.writes(mark) if w.resource == "aiagents" and not w.subresource]
    assert ready["metadata"]["finalizers"] == [agents.FINALIZER]


def test_foreign_finalizers_stay_beside_the_operators(place: Workplace) -> None:
    obj = agents.agent(place.namespace, "triage", place.new_role(), permission("refund"))
    obj["metadata"]["finalizers"] = ["tests.example/hold"]
    place.admin.create(obj)
    ready = place.until_ready("triage")
    assert sorted(ready["metadata"]["finalizers"]) == ["tests.example/hold", agents.FINALIZER]
    place.admin.patch(
        agents.API, "aiagents", "triage", {"metadata": {"finalizers": [agents.FINALIZER]}}, namespace=place.namespace
    )


def test_a_converged_agent_costs_no_write_also_after_a_restart(place: Workplace, operator: OperatorProcess) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("router", place.new_role("router"), workload=agents.target("router"))
    for name in ("triage", "router"):
        place.until_ready(name)
    operator.until_idle()

    mark = place.plane.audit_mark()
    passes = operator.metric("aiagent_reconcile_total")
    # Foreign labels are nobody's business, but they make the operator look at each child and agent again.
    for (kind, _, _), obj in place.children(place.get("triage")["metadata"]["uid"]).items():
        if kind != "AgentRevision":  # nobody else may touch one
            place.touch(obj)
    for name in ("triage", "router"):
        place.touch(place.get(name))
    place.admin.wait_for(
        lambda: operator.metric("aiagent_reconcile_total") > passes, what="the operator to look at the agents again"
    )
    operator.until_idle()
    operator.restart()
    operator.until_idle()

    assert [f"{w.verb} {w.uri} {w.code}" for w in place.writes(mark)] == []


def test_the_pods_get_identity_handbook_and_connections_only(place: Workplace) -> None:
    connections = [
        {"name": "zendesk", "secretRef": {"name": "zendesk"}, "audience": "https://zendesk.example"},
        {"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}},
    ]
    place.employ("triage", place.new_role(), connections=connections)
    agent = place.until_ready("triage")
    children = place.children(agent["metadata"]["uid"])

    pod = children["Deployment", place.namespace, "triage-1"]["spec"]["template"]

    assert (pod["spec"]["serviceAccountName"], pod["spec"]["serviceAccount"]) == ("aiagent.triage",) * 2
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    assert set(volumes) == {"workforce-token", "workforce-handbook", "workforce-conn-zendesk"}
    sources = volumes["workforce-conn-zendesk"]["projected"]["sources"]
    tokens = [s["serviceAccountToken"] for s in sources if "serviceAccountToken" in s]
    assert [(t["audience"], t["path"]) for t in tokens] == [("https://zendesk.example", "token")]
    assert [s["secret"]["name"] for s in sources if "secret" in s] == ["zendesk"]
    assert volumes["workforce-handbook"]["configMap"]["name"] == agent["status"]["handbook"]["configMap"]
    mounts = {m["mountPath"]: m for m in pod["spec"]["containers"][0]["volumeMounts"]}
    assert set(mounts) == {
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "/etc/workforce/handbook",
        "/var/run/workforce/connections/zendesk",
    }
    assert all(mount["readOnly"] for mount in mounts.values())
    assert {label: pod["metadata"]["labels"][label] for label in LABELS} == {
        "workforce.dev/agent": "triage",
        "workforce.dev/agent-namespace": place.namespace,
        "workforce.dev/agent-uid": agent["metadata"]["uid"],
    }


def test_the_network_is_closed_but_for_dns_the_api_server_and_what_is_declared(place: Workplace) -> None:
    egress = {"cidr": "203.0.113.0/24", "port": 8443, "protocol": "UDP"}
    place.employ("triage", place.new_role(), connections=[{"name": "crm", "egress": egress}])
    agent = place.until_ready("triage")
    endpoints = place.admin.get("discovery.k8s.io/v1", "endpointslices", "kubernetes", namespace="default")

    spec = place.children(agent["metadata"]["uid"])["NetworkPolicy", place.namespace, "aiagent.triage"]["spec"]

    assert spec["podSelector"] == {"matchLabels": {"workforce.dev/agent-uid": agent["metadata"]["uid"]}}
    assert sorted(spec["policyTypes"]) == ["Egress", "Ingress"]
    assert "ingress" not in spec
    dns, server, declared = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    address = endpoints["endpoints"][0]["addresses"][0]
    assert server["to"] == [{"ipBlock": {"cidr": f"{address}/32"}}]
    assert [port["port"] for port in server["ports"]] == [endpoints["ports"][0]["port"]]
    assert declared == {
        "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}],
        "ports": [{"port": 8443, "protocol": "UDP"}],
    }


def test_a_role_gives_its_defaults_where_the_agent_asks_for_nothing(place: Workplace) -> None:
    defaults = {
        "permissions": [permission("read-tickets")],
        "handbook": {"instructions": {"inline": "Follow the role."}, "prohibited": ["Lie."]},
        "model": {"provider": "example", "name": "m1"},
    }
    place.employ("triage", place.new_role(defaults=defaults), handbook={"prohibited": ["Guess."]})

    agent = place.until_ready("triage")

    assert agent["status"]["granted"] == "1/1"
    place.until_can("triage", "list", "tickets")
    children = place.children(agent["metadata"]["uid"])
    data = children["ConfigMap", place.namespace, agent["status"]["handbook"]["configMap"]]["data"]
    book = orjson.loads(data["handbook.json"])
    assert data["instructions.md"] == "Follow the role."
    assert book["prohibited"] == ["Lie.", "Guess."]
    assert book["model"] == {"provider": "example", "name": "m1"}


def test_an_agent_with_an_unready_pod_says_so_and_not_that_it_is_ready(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.template(held=True))

    agent = place.until_reason("triage", "Ready", "Progressing", "0 of 1 pods")

    assert agents.condition(agent, "Reconciling")
    assert agents.condition(agent, "Stalled") is None
    assert agents.condition(agent, "PermissionsGranted")["status"] == "True"  # type: ignore[index]
    assert agent["status"]["phase"] == "Onboarding"


def test_a_pod_that_cannot_be_made_is_said_in_the_words_of_its_controller(place: Workplace) -> None:
    place.admin.create(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none", "namespace": place.namespace},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    place.employ("triage", place.new_role())

    place.until_reason("triage", "WorkloadReady", "PodsFailing", "exceeded quota: none")


def test_a_template_that_the_api_server_refuses_is_said_and_heals(place: Workplace) -> None:
    broken = agents.template(restartPolicy="Sometimes")
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=broken)

    place.until_reason("triage", "WorkloadReady", "WorkloadInvalid", "restartPolicy", "Sometimes")
    place.until_can("triage", "get", "tickets")
    place.change("triage", workload={"template": {"spec": {"restartPolicy": "Always"}}})

    place.until_ready("triage")
