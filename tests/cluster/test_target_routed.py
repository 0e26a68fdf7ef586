"""Canary by requests beside an adopted workload, by the running operator: whoever is asked has a pod that answers."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support import gateway
from support.cluster import Cluster
from support.kube import Kube, Object, wait_for
from support.operator import OperatorProcess
from support.router import ONE, THREE, TWO, edit, employ, image_of, scale, target
from support.services import make_services, ready_pods, selected
from support.versions import deployments, states, until_rejected, until_serves, until_waits
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

ROUTED: Object = {
    "strategy": "Canary",
    "steps": [{"weight": 75}, {"pause": {}}],
    "trafficRouting": {"httpRoute": {"name": "triage"}, "stableService": "triage", "canaryService": "preview"},
    "scaleDownDelaySeconds": 1,
    "abortScaleDownDelaySeconds": 1,
}


class Callers(threading.Thread):
    """Looks all the time whether each Service that gets requests has a ready pod."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        super().__init__(daemon=True)
        self._kube, self._namespace = kube, namespace
        self._over = threading.Event()
        self.looks = 0
        self.unanswered: list[str] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(0.02):
                for name, weight in self._weights().items():
                    # Of two readings one after the other, the second may be about what has changed since.
                    if weight and not self._ready(name) and self._weights()[name] and not self._ready(name):
                        self.unanswered.append(f"{name} gets {weight}, and has no pod that is ready")
                self.looks += 1
        except Exception as error:  # noqa: BLE001 - said by the test
            self.failure = error

    def end(self) -> None:
        """Looks no more, and says what was seen."""
        self._over.set()
        self.join()
        if self.failure:
            raise self.failure
        assert self.looks > 10
        assert self.unanswered == []

    def _weights(self) -> dict[str, int]:
        return gateway.weights(self._kube.get(gateway.API, "httproutes", "triage", namespace=self._namespace))

    def _ready(self, service: str) -> int:
        return ready_pods(self._kube, self._namespace, service)


@pytest.fixture
def route(place: Workplace, control_plane: Cluster) -> Iterator[None]:
    gateway.install(control_plane.admin)
    make_services(place)
    place.admin.create(gateway.route(place.namespace, "triage", "preview"))
    yield
    gateway.remove(control_plane.admin)


@pytest.fixture
def callers(place: Workplace, route: None) -> Callers:
    """From when the agent is at work on."""
    del route
    employ(place, ROUTED)
    found = Callers(place.admin, place.namespace)
    found.start()
    return found


def _label(place: Workplace) -> str:
    label: str = target(place)["spec"]["template"]["metadata"]["labels"].get("workforce.dev/revision", "")
    return label


def _weights(place: Workplace) -> dict[str, int]:
    return gateway.weights(place.admin.get(gateway.API, "httproutes", "triage", namespace=place.namespace))


def test_requests_follow_the_weights_into_the_target(
    place: Workplace, operator: OperatorProcess, callers: Callers
) -> None:
    scale(place)
    assert (selected(place), _weights(place), _label(place)) == (
        {"triage": "1", "preview": "1"},
        {"triage": 100, "preview": 0},
        "1",
    )
    before = target(place)["spec"]
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=75)
    assert (selected(place), _weights(place)) == ({"triage": "1", "preview": "2"}, {"triage": 25, "preview": 75})
    assert deployments(place) == {"router": 4, "router-canary": 3}
    assert target(place)["spec"] == before, "the target is untouched"
    theirs = place.admin.list("v1", "pods", namespace=place.namespace, labels="app=router")
    assert {pod["metadata"]["labels"]["workforce.dev/revision"] for pod in theirs} == {"1"}, (
        "no autoscaler counts others"
    )

    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert (image_of(place), _label(place), deployments(place)) == (TWO, "2", {"router": 4})
    assert (selected(place), _weights(place)) == ({"triage": "2", "preview": "2"}, {"triage": 100, "preview": 0})
    assert states(place) == {1: "Superseded", 2: "Stable"}

    place.order("Rollback", "back", "triage")
    until_serves(place, 1)
    assert (image_of(place), _label(place), deployments(place)) == (ONE, "1", {"router": 4})
    callers.end()
    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


def test_an_abort_and_another_candidate_leave_nobody_unanswered(place: Workplace, callers: Callers) -> None:
    before = target(place)["spec"]
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=75)
    edit(place, THREE)
    until_waits(place, 3, "Person", step=1, weight=75)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 3, "AgentAction stop")
    place.admin.wait_gone("apps/v1", "deployments", "router-canary", namespace=place.namespace)
    assert (selected(place), _weights(place)) == ({"triage": "1", "preview": "1"}, {"triage": 100, "preview": 0})
    assert target(place)["spec"] == before
    callers.end()


def test_an_abort_after_it_has_landed_brings_the_target_back_first(place: Workplace, callers: Callers) -> None:
    steps = [{"weight": 75}, {"pause": {}}, {"weight": 100}, {"pause": {}}]
    place.change("triage", retraining={"rollout": {"steps": steps}})
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Promote", "go", "triage")
    until_waits(place, 2, "Person", step=3)
    assert (image_of(place), _label(place), _weights(place)) == (TWO, "2", {"triage": 0, "preview": 100})
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    assert (image_of(place), _label(place), _weights(place)) == (ONE, "1", {"triage": 100, "preview": 0})
    place.admin.wait_gone("apps/v1", "deployments", "router-canary", namespace=place.namespace)
    callers.end()


def test_a_route_that_goes_and_comes_back_in_the_middle(place: Workplace, callers: Callers) -> None:
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=75)
    gone: Any = {"trafficRouting": None, "scaleDownDelaySeconds": None, "abortScaleDownDelaySeconds": None}
    place.change("triage", retraining={"rollout": {**gone, "steps": [{"weight": 50}, {"pause": {}}]}})
    wait_for(lambda: selected(place) == {"triage": "", "preview": ""}, what="both Services to select all pods")
    wait_for(lambda: not _label(place), what="the label to go from the target")
    until_waits(place, 2, "Person", step=1, weight=50)
    assert "services" not in place.get("triage")["status"]

    place.change("triage", retraining={"rollout": ROUTED})
    until_waits(place, 2, "Person", step=1, weight=75)
    assert (selected(place), _weights(place)) == ({"triage": "1", "preview": "2"}, {"triage": 25, "preview": 75})
    callers.end()
    place.dismiss("triage")
    place.until_gone("triage")
    assert (selected(place), _label(place), image_of(place)) == ({"triage": "", "preview": ""}, "", ONE)


def test_a_canary_service_that_selects_by_the_targets_labels_is_said(place: Workplace, callers: Callers) -> None:
    patch: Any = {"spec": {"selector": {"app": "router"}}}
    place.admin.patch("v1", "services", "preview", patch, namespace=place.namespace)
    edit(place)
    words = ("Service", "preview", "app: router", "workforce.dev/agent: triage is enough")
    place.until_reason("triage", "Ready", "TrafficNotFound", *words)
    assert _weights(place) == {"triage": 100, "preview": 0}
    place.admin.patch("v1", "services", "preview", {"spec": {"selector": {"app": None}}}, namespace=place.namespace)
    until_waits(place, 2, "Person", step=1, weight=75)
    callers.end()
