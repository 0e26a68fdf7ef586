"""The definitions in a real API server: accepted, explained, shown, scaled, and with Ready from the first moment."""

import copy
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.schema import Kind
from support import chart
from support.cluster import Cluster
from support.definitions import definitions, established, install
from support.kube import ApiError, Kube, Object

pytestmark = pytest.mark.cluster

AGENT: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AIAgent",
    "metadata": {"name": "triage", "namespace": "default"},
    "spec": {
        "roleRef": {"name": "customer-service"},
        "purpose": "Answer first-line tickets",
        "owners": [
            {
                "name": "product",
                "function": "Product",
                "responsibility": "Accountable",
                "subject": {"kind": "User", "name": "product-owner@corp.example"},
            }
        ],
        "workload": {
            "template": {"spec": {"containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]}},
            "replicas": 2,
        },
    },
}
ROLE: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentRole",
    "metadata": {"name": "customer-service"},
    "spec": {"description": "Answers customers", "lifecycle": {"state": "Approved"}},
}

POLICY: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentPolicy",
    "metadata": {"name": "customer-data"},
    "spec": {"description": "Trained every month", "selector": {}, "maxAge": "720h"},
}


@pytest.fixture(scope="module")
def kube(kernel: Cluster) -> Kube:
    install(kernel.admin)
    return kernel.admin


@pytest.fixture
def operator_account(kube: Kube) -> Kube:
    """As the operator: nobody else may write a status."""
    return kube.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)


@pytest.mark.parametrize("definition", definitions(), ids=lambda d: d["metadata"]["name"])
def test_definition_is_established_and_nothing_of_it_was_dropped(kube: Kube, definition: Object) -> None:
    stored = kube.get("apiextensions.k8s.io/v1", "customresourcedefinitions", definition["metadata"]["name"])
    assert established(stored)
    version = stored["spec"]["versions"][0]
    assert version["schema"] == definition["spec"]["versions"][0]["schema"]
    assert version["subresources"] == definition["spec"]["versions"][0]["subresources"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_explain_has_words_for_every_field(kube: Kube, kind: Kind) -> None:
    """kubectl explain reads this document; metadata and the envelope are the API server's own."""
    document = kube.raw("GET", f"/openapi/v3/apis/{meta.API_VERSION}")
    schema = document["components"]["schemas"][f"dev.workforce.{meta.VERSION}.{kind.kind}"]

    def unexplained(node: Any, path: str) -> list[str]:
        found: list[str] = []
        for name, child in node.get("properties", {}).items():
            found += [] if child.get("description") else [f"{path}.{name}"]
            found += unexplained(child, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                found += unexplained(node[key], f"{path}[]")
        return found

    assert unexplained(schema["properties"]["spec"], ".spec") == []
    assert unexplained(schema["properties"]["status"], ".status") == []


def test_categories_and_short_names_are_served(kube: Kube) -> None:
    resources = {r["name"]: r for r in kube.raw("GET", f"/apis/{meta.API_VERSION}")["resources"]}
    assert resources["aiagents"]["shortNames"] == ["aia"]
    assert resources["agentroles"]["shortNames"] == ["arole"]
    assert resources["agentpolicies"]["shortNames"] == ["apol"]
    assert resources["agentpolicies"]["categories"] == ["workforce"]
    assert not resources["agentpolicies"]["namespaced"]
    assert resources["agentarchives"]["shortNames"] == ["aarch"]
    assert resources["agentarchives"]["categories"] == ["workforce"]
    assert not resources["agentarchives"]["namespaced"]
    assert resources["aiagents"]["categories"] == resources["agentroles"]["categories"] == ["workforce"]
    assert {"aiagents/status", "aiagents/scale"} | {f"{kind.plural}/status" for kind in KINDS} <= set(resources)


@pytest.mark.parametrize("manifest", [AGENT, ROLE, POLICY], ids=lambda m: m["kind"])
def test_ready_is_unknown_before_the_operator_has_seen_the_object(kube: Kube, manifest: Object) -> None:
    created = kube.create(manifest, dry_run=True)
    (ready,) = created["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Pending")


def test_what_an_author_did_not_write_stays_out_of_the_stored_spec(kube: Kube) -> None:
    """Only scalars get defaults, so that GitOps tools see no difference in lists and maps."""
    created = kube.create(AGENT, dry_run=True)
    assert created["spec"] == {**AGENT["spec"], "suspended": False}


def test_scale_changes_the_replicas_of_a_template(kube: Kube) -> None:
    agent = copy.deepcopy(AGENT)
    agent["metadata"]["name"] = "scaled"
    kube.create(agent)
    try:
        path = f"/apis/{meta.API_VERSION}/namespaces/default/aiagents/scaled/scale"
        assert kube.raw("GET", path)["spec"]["replicas"] == 2
        merge = "application/merge-patch+json"
        kube.raw("PATCH", path, {"spec": {"replicas": 5}}, content_type=merge)
        stored = kube.get(meta.API_VERSION, "aiagents", "scaled", namespace="default")
        assert stored["spec"]["workload"]["replicas"] == 5
        with pytest.raises(ApiError, match="replicas"):
            kube.raw("PATCH", path, {"spec": {"replicas": 1001}}, content_type=merge)
    finally:
        kube.delete(meta.API_VERSION, "aiagents", "scaled", namespace="default")


def test_a_printed_row_has_a_cell_for_every_column(kube: Kube, operator_account: Kube) -> None:
    agent = copy.deepcopy(AGENT)
    agent["metadata"]["name"] = "printed"
    kube.create(agent)
    try:
        operator_account.patch(
            meta.API_VERSION,
            "aiagents",
            "printed",
            {
                "status": {
                    "phase": "Active",
                    "revision": {"stable": 3},
                    "granted": "1/1",
                    "accountable": "product-owner@corp.example",
                    "conditions": [
                        {
                            "type": "Ready",
                            "status": "True",
                            "reason": "Onboarded",
                            "message": "All that the spec says is true.",
                            "lastTransitionTime": "2026-01-01T00:00:00Z",
                        }
                    ],
                }
            },
            namespace="default",
            subresource="status",
        )
        path = f"/apis/{meta.API_VERSION}/namespaces/default/aiagents/printed"
        params = {"includeObject": "Object"}
        table = kube.raw("GET", path, params=params, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        names = [column["name"] for column in table["columnDefinitions"]]
        (printed,) = table["rows"]
        row = dict(zip(names, printed["cells"], strict=True))
        assert row.pop("Age")
        # An operator of other tests may have reported on the agent meanwhile: the row says what its object does.
        status = printed["object"]["status"]
        (ready,) = (found for found in status["conditions"] if found["type"] == "Ready")
        assert row == {
            "Name": "printed",
            "Role": "customer-service",
            "Ready": ready["status"],
            "Reason": ready["reason"],
            "Phase": status.get("phase"),
            "Revision": status.get("revision", {}).get("stable"),
            "Granted": status.get("granted"),
            "Accountable": status.get("accountable"),
            "Purpose": "Answer first-line tickets",
            "Message": ready["message"],
        }
    finally:
        kube.delete(meta.API_VERSION, "aiagents", "printed", namespace="default")
