"""Who gets requests: what a thief of the operator's token makes of others' Services, and what authors let it do."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import chart
from support.kube import Object
from support.tenancy import Office, refused

pytestmark = pytest.mark.cluster

AIAGENTS = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["get", "create", "patch", "update"]}
CREATE_DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}
TEMPLATE = {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}}
BLUE_GREEN = {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage"}}
OURS = {meta.LABEL_AGENT: "triage", "app": "triage"}


def service(office: Office, selector: Object | None = None, **more: Any) -> Object:
    """A Service of the tenant's, as it is in the cluster."""
    spec = {"selector": OURS if selector is None else selector, "ports": [{"port": 80, "targetPort": 8080}]}
    return office.editor.create(office.obj("v1", "Service", "triage", spec=spec, metadata=more))


def patched(office: Office, patch: Object, name: str = "triage") -> Object:
    return office.operator.patch("v1", "services", name, patch, namespace=office.namespace)


def test_a_rollout_sets_the_revision_and_takes_it_out_again(office: Office) -> None:
    service(office)
    for value, expected in (("5", {**OURS, meta.LABEL_REVISION: "5"}), (None, OURS)):
        found = patched(office, {"spec": {"selector": {meta.LABEL_REVISION: value}}})
        assert found["spec"]["selector"] == expected


@pytest.mark.parametrize(
    "selector", [{"app": "payroll"}, {meta.LABEL_AGENT: "router"}, {meta.LABEL_AGENT: None}, {"app": None}, {"x": "y"}]
)
def test_pointing_a_service_at_other_pods(office: Office, selector: Object) -> None:
    service(office)
    with refused("operator-services", "sets only workforce.dev/revision in a Service's selector"):
        patched(office, {"spec": {"selector": selector}})


@pytest.mark.parametrize("value", ["", "0", "latest", "5 or 6", "-1"])
def test_a_revision_that_is_none(office: Office, value: str) -> None:
    service(office)
    with pytest.raises(Exception, match=r"operator-services|Invalid value"):
        patched(office, {"spec": {"selector": {meta.LABEL_REVISION: value}}})


@pytest.mark.parametrize(
    "spec",
    [
        {"ports": [{"port": 443, "targetPort": 8080}]},
        {"ports": [{"port": 80, "targetPort": 22}]},
        {"type": "NodePort"},
        {"externalIPs": ["203.0.113.9"]},
        {"publishNotReadyAddresses": True},
        {"sessionAffinity": "ClientIP"},
    ],
    ids=str,
)
def test_changing_anything_else_of_a_service(office: Office, spec: Object) -> None:
    service(office)
    with refused("operator-services", "its owner changes ports, type and the rest"):
        patched(office, {"spec": spec})


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app": "payroll"}},
        {"annotations": {"service.example/load-balancer-target": "payroll"}},
        {"finalizers": ["example.org/held"]},
    ],
    ids=str,
)
def test_marking_a_service(office: Office, metadata: Object) -> None:
    service(office)
    with refused("operator-services", "changes nothing of a Service but a key of its selector"):
        patched(office, {"metadata": metadata})


@pytest.mark.parametrize("selector", [{"app": "payroll"}, {}])
def test_cutting_off_a_service_that_is_no_agents(office: Office, selector: Object) -> None:
    service(office, selector)
    with refused("operator-services", "changes only Services that select an agent"):
        patched(office, {"spec": {"selector": {meta.LABEL_REVISION: "7"}}})


def test_taking_a_service_for_an_agents(office: Office) -> None:
    service(office, {"app": "payroll"})
    with refused("operator-services", "changes only Services that select an agent"):
        patched(office, {"spec": {"selector": {meta.LABEL_AGENT: "triage", meta.LABEL_REVISION: "7"}}})


@pytest.mark.parametrize("namespace", ["kube-system", chart.NAMESPACE])
def test_services_where_no_agent_runs(office: Office, namespace: str) -> None:
    obj = office.obj("v1", "Service", office.namespace, spec={"selector": OURS, "ports": [{"port": 80}]})
    obj["metadata"]["namespace"] = namespace
    office.admin.create(obj)
    try:
        with refused("operator-services", "no Service there is any business of the operator"):
            patch = {"spec": {"selector": {meta.LABEL_REVISION: "7"}}}
            office.operator.patch("v1", "services", office.namespace, patch, namespace=namespace)
    finally:
        office.admin.delete("v1", "services", office.namespace, namespace=namespace)


@pytest.mark.parametrize("verb", ["create", "delete", "list"])
def test_services_are_not_the_operators_to_make_list_or_remove(office: Office, verb: str) -> None:
    assert not office.admin.allowed(chart.USERNAME, verb, "services", groups=chart.GROUPS, namespace=office.namespace)


# Authors --------------------------------------------------------------------------------------------------------------


def test_naming_a_service_that_the_author_may_not_update(office: Office) -> None:
    author = office.person(AIAGENTS, CREATE_DEPLOYMENTS)
    agent = office.agent(workload=TEMPLATE, retraining={"rollout": BLUE_GREEN})
    with refused("author-rights", "may not update services"):
        author.create(agent)
    harmless = copy.deepcopy(agent)
    harmless["spec"]["retraining"]["rollout"] = {"strategy": "Recreate"}
    author.create(harmless)
    with refused("author-rights", "only who may update Services lets a rollout say what they select"):
        author.patch(meta.API_VERSION, "aiagents", "triage", {"spec": agent["spec"]}, namespace=office.namespace)


def test_an_author_who_may_update_services_names_one(office: Office) -> None:
    services = {"apiGroups": [""], "resources": ["services"], "verbs": ["update"]}
    author = office.person(AIAGENTS, CREATE_DEPLOYMENTS, services)
    author.create(office.agent(workload=TEMPLATE, retraining={"rollout": BLUE_GREEN}))
