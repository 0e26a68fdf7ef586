"""Who gets requests: what a thief of the operator's token makes of others' Services, and what authors let it do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import chart, gateway
from support.cluster import Cluster
from support.kube import Object
from support.tenancy import Office, refused

pytestmark = pytest.mark.cluster

AIAGENTS = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["get", "create", "patch", "update"]}
CREATE_DEPLOYMENTS = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}
TEMPLATE = {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}}}
BLUE_GREEN = {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage"}}
ROUTED = {
    "strategy": "Canary",
    "trafficRouting": {"httpRoute": {"name": "triage"}, "stableService": "triage", "canaryService": "canary"},
}
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


def test_routing_by_weights_needs_the_right_on_routes_too(office: Office) -> None:
    services = {"apiGroups": [""], "resources": ["services"], "verbs": ["update"]}
    routes = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"], "verbs": ["update"]}
    agent = office.agent(workload=TEMPLATE, retraining={"rollout": ROUTED})
    with refused("author-rights", "may not update httproutes"):
        office.person(AIAGENTS, CREATE_DEPLOYMENTS, services).create(agent)
    with refused("author-rights", "may not update services"):
        office.person(AIAGENTS, CREATE_DEPLOYMENTS, routes).create(agent)
    office.person(AIAGENTS, CREATE_DEPLOYMENTS, services, routes).create(agent)


# Routes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway_api(kernel: Cluster) -> Iterator[None]:
    gateway.install(kernel.admin)
    yield
    gateway.remove(kernel.admin)


@pytest.fixture
def route(office: Office, gateway_api: None) -> Object:
    """A route of the tenant's, as it is in the cluster."""
    match = {"path": {"type": "PathPrefix", "value": "/triage"}}
    return office.admin.create(gateway.route(office.namespace, "triage", "canary", matches=[match]))


def rerouted(office: Office, route: Object, change: Callable[[Object], Any]) -> Object:
    """The route as the operator's account would have it."""
    spec = copy.deepcopy(route["spec"])
    change(spec)
    patch = {"spec": spec}
    return office.operator.patch(gateway.API, "httproutes", "triage", patch, namespace=office.namespace)


def test_a_rollout_sets_weights(office: Office, route: Object) -> None:
    def weigh(spec: Object) -> None:
        spec["rules"][0]["backendRefs"][0]["weight"] = 80
        spec["rules"][0]["backendRefs"][1]["weight"] = 20

    assert gateway.weights(rerouted(office, route, weigh)) == {"triage": 80, "canary": 20}


@pytest.mark.parametrize("field", [{"name": "payroll"}, {"namespace": "kube-system"}, {"port": 22}, {"kind": "Pool"}])
def test_sending_requests_to_other_backends(office: Office, route: Object, field: Object) -> None:
    with refused("operator-routes", "sets only the weights of an HTTPRoute's backendRefs"):
        rerouted(office, route, lambda spec: spec["rules"][0]["backendRefs"][1].update(field))


def test_adding_and_dropping_backends(office: Office, route: Object) -> None:
    with refused("operator-routes", "its owner says which Services these are"):
        rerouted(office, route, lambda spec: spec["rules"][0]["backendRefs"].append({"name": "mine", "port": 80}))
    with refused("operator-routes", "its owner says which Services these are"):
        rerouted(office, route, lambda spec: spec["rules"][0]["backendRefs"].pop())


def test_changing_rules(office: Office, route: Object) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "mine", "port": 80}}}
    changes: list[Callable[[Object], Any]] = [
        lambda spec: spec["rules"][0].update(filters=[mirror]),
        lambda spec: spec["rules"][0].update(matches=[{"path": {"type": "PathPrefix", "value": "/"}}]),
        lambda spec: spec["rules"].append({"backendRefs": [{"name": "mine", "port": 80}]}),
        lambda spec: spec["rules"][0]["matches"].append({"path": {"type": "Exact", "value": "/payroll"}}),
    ]
    for change in changes:
        with refused("operator-routes", "leaves the rules of an HTTPRoute as they are"):
            rerouted(office, route, change)


@pytest.mark.parametrize(
    "fields", [{"hostnames": ["payroll.example"]}, {"hostnames": None}, {"parentRefs": [{"name": "public"}]}], ids=str
)
def test_answering_for_others(office: Office, route: Object, fields: Object) -> None:
    with refused("operator-routes", "its owner changes hostnames, gateways and the rest"):
        rerouted(office, route, lambda spec: spec.update(fields))


def test_marking_a_route(office: Office, route: Object) -> None:
    patch = {"metadata": {"annotations": {"gateway.example/policy": "none"}}}
    with refused("operator-routes", "changes nothing of an HTTPRoute but weights"):
        office.operator.patch(gateway.API, "httproutes", "triage", patch, namespace=office.namespace)


@pytest.mark.usefixtures("gateway_api")
def test_routes_where_no_agent_runs(office: Office) -> None:
    obj = gateway.route("kube-system", "triage", "canary", name=office.namespace)
    office.admin.create(obj)
    obj["spec"]["rules"][0]["backendRefs"][0]["weight"] = 0
    try:
        with refused("operator-routes", "no HTTPRoute there is any business of the operator"):
            patch = {"spec": obj["spec"]}
            office.operator.patch(gateway.API, "httproutes", office.namespace, patch, namespace="kube-system")
    finally:
        office.admin.delete(gateway.API, "httproutes", office.namespace, namespace="kube-system")
