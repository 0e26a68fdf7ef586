"""On kind: the weights that the operator writes into an HTTPRoute, as a real gateway follows them.

The agent answers with what it is told to be, so that an edit of its spec is a revision that answers otherwise. Those
who ask it reach it through the gateway alone.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from e2e import gateway as real
from e2e.agency import PATIENCE, Agency
from e2e.callers import Callers
from e2e.conftest import IMAGE, say
from support import agents, gateway
from support.agents import API
from support.kube import Kube, Object, wait_for

NAMESPACE, NAME, ROLE = "e2e-gateway", "triage", "e2e-gateway"
SHARE = 20
ROLLOUT: Object = {
    "strategy": "Canary",
    "steps": [{"weight": SHARE}, {"pause": {}}],
    "trafficRouting": {"httpRoute": {"name": NAME}, "stableService": "stable", "canaryService": "canary"},
    "scaleDownDelaySeconds": 5,
    "abortScaleDownDelaySeconds": 5,
}
_SCRIPT = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"model": sys.argv[1]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

Server(("", 8080), Handler).serve_forever()
"""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def template(model: str) -> Object:
    """The pods. One that leaves goes on answering until the gateway has learned of it."""
    container = {
        "name": "app",
        "image": IMAGE,
        "command": ["python3", "-uc", _SCRIPT, model],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    return {"spec": {"containers": [container], "terminationGracePeriodSeconds": 10}}


def author_objects() -> list[Object]:
    """What an author makes beside the agent: two Services, the route, and a way in for the gateway."""
    here = {"namespace": NAMESPACE}
    services = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here | {"name": name},
            "spec": {"selector": {"workforce.dev/agent": NAME}, "ports": [{"port": 80, "targetPort": "http"}]},
        }
        for name in ("stable", "canary")
    ]
    route = gateway.route(NAMESPACE, "stable", "canary")
    route["spec"] |= {"parentRefs": [{"name": real.NAME, "namespace": real.NAMESPACE}], "hostnames": [real.HOST]}
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": real.NAMESPACE}}}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": here | {"name": "gateway"},
        "spec": {
            "podSelector": {"matchLabels": {"workforce.dev/agent": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [peer], "ports": [{"port": "http"}]}],
        },
    }
    return [*services, route, policy]


@pytest.fixture(scope="module")
def agency(kube: Kube, release: None) -> Iterator[Agency]:
    """The gateway, the agent behind it, and callers before it."""
    real.install(kube, IMAGE)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kube.apply(agents.role(ROLE, sets={}), force=True)
    for obj in author_objects():
        kube.apply(obj, force=True)
    workload = {"replicas": 2, "template": template("first")}
    kube.apply(agents.agent(NAMESPACE, NAME, ROLE, workload=workload, retraining={"rollout": ROLLOUT}), force=True)
    kube.wait_object(
        API, "aiagents", NAME, lambda a: (a.get("status") or {}).get("revision", {}).get("stable"),
        what="the first revision to serve", namespace=NAMESPACE, timeout=PATIENCE,
    )  # fmt: skip
    callers = Callers(kube, IMAGE, real.HOST, rate=100)
    # Whoever comes before the gateway has learned of the route is told that there is nothing.
    wait_for(lambda: not callers.for_a_while(2).failed, what="the gateway to know the route", timeout=PATIENCE)
    yield Agency(kube, callers, NAMESPACE, NAME)
    callers.leave()
    kube.delete(API, "aiagents", NAME, namespace=NAMESPACE)
    kube.wait_gone(API, "aiagents", NAME, namespace=NAMESPACE, timeout=120)
    real.remove(kube)


@pytest.fixture(autouse=True)
def nobody_goes_unanswered(agency: Agency) -> Iterator[None]:
    """Whatever a test is about."""
    begin = time.time()
    yield
    found = agency.callers.since(begin)
    assert found.number > found.seconds, "the callers were to ask all the time"
    assert found.failed == []


def rolled_out(agency: Agency, number: int, stable: str, candidate: str, *, answers: int) -> Counter[str]:
    """Edits the agent, and gives so many answers by who gave them while the candidate has its share."""
    agency.change(workload={"template": template(candidate)})
    agency.until_a_person_is_waited_for(number)
    assert weights(agency) == {"stable": 100 - SHARE, "canary": SHARE}
    begin = time.time()
    wait_for(lambda: candidate in agency.callers.since(begin).all, what="the gateway to know the weights", timeout=60)
    found = agency.callers.for_as_many(answers).all
    assert set(found) == {stable, candidate}
    # The gateway draws for each request, whoever asks. A draw as odd as this comes once in a million runs.
    share, spread = SHARE / 100, math.sqrt(SHARE / 100 * (1 - SHARE / 100) / found.total())
    assert abs(found[candidate] / found.total() - share) < 4.9 * spread, found
    return found


def weights(agency: Agency) -> dict[str, int]:
    """What the operator wrote into the route."""
    return gateway.weights(agency.kube.get(gateway.API, "httproutes", NAME, namespace=NAMESPACE))


def until_weights(agency: Agency, **wanted: int) -> None:
    """Waits for them: the route is another object than the agent."""
    wait_for(lambda: weights(agency) == wanted, what=f"the route to have the weights {wanted}", timeout=PATIENCE)


def test_the_gateway_gives_the_share_that_is_asked_for_then_all(agency: Agency) -> None:
    begin = time.time()
    assert set(agency.callers.for_a_while(2).all) == {"first"}
    canary = rolled_out(agency, 2, "first", "second", answers=1500)
    agency.order("Promote", f"go-on-{time.time():.0f}")
    agency.until_it_serves(2)
    agency.until_alone("second")
    until_weights(agency, stable=100, canary=0)
    everything = agency.callers.since(begin)
    say(
        f"by HTTPRoute at {SHARE} %: {canary['second'] / canary.total():.1%} of {canary.total()} answers came from the "
        f"candidate, after Promote all; failed: {len(everything.failed)} of {everything.number}"
    )


def test_an_abort_takes_all_requests_back(agency: Agency) -> None:
    begin = time.time()
    canary = rolled_out(agency, 3, "second", "third", answers=500)
    agency.order("Abort", f"stop-{time.time():.0f}")
    assert "AgentAction stop-" in agency.until_rejected(3)
    agency.until_alone("second")
    until_weights(agency, stable=100, canary=0)
    assert agency.agent()["status"]["revision"]["stable"] == 2
    everything = agency.callers.since(begin)
    say(
        f"by HTTPRoute at {SHARE} %, aborted: {canary['third'] / canary.total():.1%} of {canary.total()} answers, then "
        f"none; failed: {len(everything.failed)} of {everything.number}"
    )
