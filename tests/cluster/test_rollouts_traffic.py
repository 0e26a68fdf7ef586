"""Rollouts that say who gets requests, on a real control plane: BlueGreen by Services, Canary by an HTTPRoute."""

from collections.abc import Iterator
from typing import Any

import pytest

from support import agents, gateway
from support.cluster import Cluster
from support.kube import Object, wait_for
from support.operator import OperatorProcess
from support.services import make_services, selected
from support.versions import (
    deployments,
    edit,
    edit_badly,
    employ,
    states,
    until_rejected,
    until_serves,
    until_waits,
)
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

DELAYS = {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}
BLUE_GREEN: Object = {
    "strategy": "BlueGreen",
    "blueGreen": {"activeService": "triage", "previewService": "preview", "autoPromotionEnabled": False},
    **DELAYS,
}
ROUTED: Object = {
    "strategy": "Canary",
    "steps": [{"weight": 25}, {"pause": {}}],
    "trafficRouting": {"httpRoute": {"name": "triage"}, "stableService": "triage", "canaryService": "preview"},
    **DELAYS,
}


def routed(place: Workplace) -> dict[str, int]:
    """The weights of the route."""
    return gateway.weights(place.admin.get(gateway.API, "httproutes", "triage", namespace=place.namespace))


def test_a_service_is_switched_at_once_when_a_person_says_so(place: Workplace, operator: OperatorProcess) -> None:
    make_services(place)
    employ(place, BLUE_GREEN, replicas=2)
    assert selected(place) == {"triage": "1", "preview": "1"}
    edit(place)
    until_waits(place, 2, "Person", step=1)
    assert selected(place) == {"triage": "1", "preview": "2"}
    assert deployments(place) == {"triage-1": 2, "triage-2": 2}

    place.order("Promote", "on", "triage")
    until_serves(place, 2)
    assert selected(place) == {"triage": "2", "preview": "2"}
    assert deployments(place) == {"triage-2": 2}
    assert states(place) == {1: "Superseded", 2: "Stable"}

    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


def test_a_blue_green_that_is_aborted_or_fails_switches_nothing(place: Workplace) -> None:
    make_services(place)
    employ(place, {**BLUE_GREEN, "progressDeadlineSeconds": 3}, replicas=2)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    assert (selected(place), deployments(place)) == ({"triage": "1", "preview": "1"}, {"triage-1": 2})

    edit_badly(place, replicas=2)
    until_rejected(place, 3, "no progress for 3s")
    assert (selected(place), deployments(place)) == ({"triage": "1", "preview": "1"}, {"triage-1": 2})


def test_a_service_that_does_not_fit_is_waited_for(place: Workplace) -> None:
    make_services(place, "preview")
    workload = agents.template(replicas=1)
    place.employ("triage", place.new_role(), retraining={"rollout": BLUE_GREEN}, workload=workload)
    place.until_reason("triage", "Ready", "TrafficNotFound", f"Service {place.namespace}/triage", "does not exist")
    make_services(place, "triage", app="somebody")
    place.touch(place.get("triage"))
    place.until(
        "triage",
        lambda a: "does not select the agent" in (agents.condition(a, "Ready") or {})["message"],
        what="the Service to be refused",
    )
    assert selected(place)["triage"] == ""
    patch: Any = {"spec": {"selector": {"workforce.dev/agent": "triage", "app": None}}}
    place.admin.patch("v1", "services", "triage", patch, namespace=place.namespace)
    place.touch(place.get("triage"))
    place.until_settled("triage")
    assert selected(place) == {"triage": "1", "preview": "1"}


def test_somebody_elses_switch_is_put_right_when_it_is_seen(place: Workplace) -> None:
    make_services(place)
    employ(place, BLUE_GREEN, replicas=1)
    for value in ("7", None):
        patch: Any = {"spec": {"selector": {"workforce.dev/revision": value}}}
        place.admin.patch("v1", "services", "triage", patch, namespace=place.namespace)
        place.touch(place.get("triage"))
        wait_for(lambda: selected(place)["triage"] == "1", what="the Service to select what serves")


def test_services_are_given_back(place: Workplace) -> None:
    make_services(place)
    employ(place, BLUE_GREEN, replicas=1)
    place.change("triage", retraining={"rollout": {"strategy": "Recreate", **dict.fromkeys((*DELAYS, "blueGreen"))}})
    wait_for(lambda: selected(place) == {"triage": "", "preview": ""}, what="the key to be taken out")
    place.until_settled("triage")
    assert "services" not in place.get("triage")["status"]

    place.change("triage", retraining=None)
    place.change("triage", retraining={"rollout": BLUE_GREEN})
    wait_for(lambda: selected(place) == {"triage": "1", "preview": "1"}, what="the key to be there again")
    place.dismiss("triage")
    place.until_gone("triage")
    assert selected(place) == {"triage": "", "preview": ""}


# Routes ---------------------------------------------------------------------------------------------------------------


def test_without_the_gateway_api_it_says_so_and_goes_on_when_it_is_there(
    place: Workplace, control_plane: Cluster
) -> None:
    make_services(place)
    workload = agents.template(replicas=1)
    place.employ("triage", place.new_role(), retraining={"rollout": ROUTED}, workload=workload)
    place.until_reason("triage", "Ready", "GatewayApiMissing", "Install the Gateway API")

    gateway.install(control_plane.admin)
    try:
        place.touch(place.get("triage"))
        place.until_reason("triage", "Ready", "TrafficNotFound", "HTTPRoute", "does not exist")
        place.admin.create(gateway.route(place.namespace, "triage", "other"))
        place.touch(place.get("triage"))
        words = "has no rule with backendRefs to both"
        place.until(
            "triage", lambda a: words in (agents.condition(a, "Ready") or {})["message"], what="the route to be refused"
        )
    finally:
        gateway.remove(control_plane.admin)


@pytest.fixture
def route(place: Workplace, control_plane: Cluster) -> Iterator[None]:
    gateway.install(control_plane.admin)
    make_services(place)
    place.admin.create(gateway.route(place.namespace, "triage", "preview"))
    yield
    gateway.remove(control_plane.admin)


@pytest.mark.usefixtures("route")
def test_requests_follow_the_weights_to_the_end(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, ROUTED)
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=25)
    assert (selected(place), routed(place)) == ({"triage": "1", "preview": "2"}, {"triage": 75, "preview": 25})
    assert deployments(place) == {"triage-1": 4, "triage-2": 1}

    place.order("Promote", "on", "triage")
    until_serves(place, 2)
    assert (selected(place), routed(place)) == ({"triage": "2", "preview": "2"}, {"triage": 100, "preview": 0})
    assert deployments(place) == {"triage-2": 4}
    live = place.admin.get(gateway.API, "httproutes", "triage", namespace=place.namespace)
    assert live["spec"]["hostnames"] == ["triage.example"]

    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


@pytest.mark.usefixtures("route")
def test_an_abort_gives_requests_back(place: Workplace) -> None:
    employ(place, ROUTED)
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=25)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    assert (selected(place), routed(place)) == ({"triage": "1", "preview": "1"}, {"triage": 100, "preview": 0})
    assert deployments(place) == {"triage-1": 4}
