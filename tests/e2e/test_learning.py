"""On kind: examples/ticket-triage retrains by plan, is evaluated, takes over by steps, and nobody goes unanswered.

The agent is the example as it is, with five pods and a plan that does not wait for Monday. Callers in the cluster ask
it all the time: while it learns, while the new model takes over, and while one that learned from poisoned tickets is
refused.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.callers import Answers, Callers
from e2e.conftest import agent, condition, wait_ready
from support.agents import API, order
from support.kindcluster import NAME as CLUSTER
from support.kube import Kube, Object, wait_for

IMAGE = os.environ.get("TRIAGE_IMAGE", "ticket-triage:dev")
MANIFESTS = Path(__file__).parents[2] / "examples" / "ticket-triage" / "manifests"
NAMESPACE, NAME = "ticket-triage", "triage"
REPLICAS = 5
# Seconds for one thing to come about: pods of Jobs import large libraries, on a machine that may be busy.
PATIENCE = 300.0

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


class Agency:
    """The agent, and those who ask it."""

    def __init__(self, kube: Kube, callers: Callers) -> None:
        self.kube, self.callers = kube, callers

    def agent(self) -> Object:
        return agent(self.kube, NAMESPACE, NAME)

    def change(self, **retraining: object) -> None:
        """Changes fields of spec.retraining."""
        patch = {"spec": {"retraining": retraining}}
        self.kube.patch(API, "aiagents", NAME, patch, namespace=NAMESPACE)

    def order(self, action: str, name: str) -> None:
        by = self.kube.whoami()
        self.kube.create(order(NAMESPACE, name, action, by, NAME))

    def revision(self, number: int) -> Object:
        """A revision as it is, empty where there is none yet."""
        return self.kube.find(API, "agentrevisions", f"{NAME}-{number}", namespace=NAMESPACE) or {}

    def unless_rejected(self, number: int) -> bool:
        """True; AssertionError with the reason where a revision was given up, for which nobody should wait."""
        status = self.revision(number).get("status") or {}
        assert status.get("state") != "Rejected", status
        return True

    def model(self, number: int) -> str:
        """What the answers of a trained revision name as their model."""
        return str(self.revision(number)["status"]["result"]["model"]["version"])

    def until(self, what: str, holds: object, *, timeout: float = PATIENCE) -> Object:
        """Waits until something is so of the agent."""
        return self.kube.wait_object(API, "aiagents", NAME, holds, what=what, namespace=NAMESPACE, timeout=timeout)  # type: ignore[arg-type]

    def train_by_plan(self, number: int) -> None:
        """Lets the plan do its work until the next training has begun, and no further."""
        self.change(suspend=False)
        wait_for(lambda: self.revision(number), what=f"revision {number} to be trained by the plan", timeout=PATIENCE)
        self.change(suspend=True)
        assert self.revision(number)["spec"]["trigger"] == "Schedule"

    def evaluations(self, number: int) -> dict[str, Object]:
        """The evaluations of a revision, by the names of their definitions."""
        found = self.kube.list(API, "agentevaluations", namespace=NAMESPACE)
        return {each["spec"]["template"]["name"]: each for each in found if each["spec"]["revision"] == number}


@pytest.fixture(scope="module")
def agency(kube: Kube, release: None) -> Iterator[Agency]:
    """The example's objects, the agent at work with the model of its image, and callers."""
    kube.apply(_volume())
    documents = [d for path in sorted(MANIFESTS.glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]
    for document in documents:
        if document["kind"] == "AIAgent":
            _adapt(document)
        kube.apply(document, force=True)
    kube.wait_object(
        API, "aiagents", NAME, lambda a: (a.get("status") or {}).get("revision", {}).get("stable"),
        what="the first revision to serve", namespace=NAMESPACE, timeout=PATIENCE,
    )  # fmt: skip
    callers = Callers(kube, IMAGE, f"{NAME}.{NAMESPACE}.svc")
    yield Agency(kube, callers)
    callers.leave()
    kube.delete(API, "aiagents", NAME, namespace=NAMESPACE)
    kube.wait_gone(API, "aiagents", NAME, namespace=NAMESPACE, timeout=120)


def _volume() -> Object:
    """A volume for the example's claim, to which its user may write: not every provisioner follows fsGroup."""
    path = "/var/lib/e2e-models"
    subprocess.run(
        ["docker", "exec", f"{CLUSTER}-control-plane", "install", "-d", "-m", "0777", path],
        check=True,
        capture_output=True,
    )
    spec = {
        "capacity": {"storage": "100Mi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "standard",
        "hostPath": {"path": path},
        "claimRef": {"namespace": NAMESPACE, "name": "models"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "e2e-models"}, "spec": spec}


def _adapt(document: Object) -> None:
    """The example's agent with this image, five pods, and a plan whose time has come, which waits for a word."""
    spec = document["spec"]
    spec["workload"]["replicas"] = REPLICAS
    retraining = spec["retraining"]
    for field in ("schedule", "timeZone", "spread", "maxAge"):
        del retraining[field]
    retraining |= {"every": "1s", "suspend": True}
    jobs = [retraining["jobTemplate"], *(each["job"] for each in retraining["evaluations"])]
    for template in (spec["workload"]["template"], *(job["spec"]["template"] for job in jobs)):
        for container in template["spec"]["containers"]:
            container["image"] = IMAGE


@pytest.fixture(autouse=True)
def nobody_goes_unanswered(agency: Agency) -> Iterator[None]:
    """Whatever a test is about."""
    begin = time.time()
    yield
    found = agency.callers.since(begin)
    assert found.number > found.seconds, "the callers were to ask all the time"
    assert found.failed == []


def test_it_learns_by_plan_and_takes_over_by_steps(agency: Agency) -> None:
    first = agency.callers.for_a_while(3).fresh.most_common(1)[0][0]
    began = time.monotonic()
    agency.train_by_plan(2)
    agency.until(
        "a fifth of the pods to be the new revision's",
        lambda a: agency.unless_rejected(2) and a["status"].get("rollout", {}).get("waitsFor") == "Person",
    )
    evaluated = agency.evaluations(2)
    assert {name: each["status"]["phase"] for name, each in evaluated.items()} == {
        "held-out": "Successful",
        "by-region": "Successful",
    }
    second = agency.model(2)
    assert second != first
    canary = agency.callers.for_as_many(800)
    assert set(canary.fresh) == {first, second}
    # Of 800 answers, 20 % come within 6 points in all but one of ten thousand runs.
    assert 0.14 < canary.share(second) < 0.26, canary

    agency.order("Promote", f"go-on-{time.time():.0f}")
    agency.until("the new revision to serve alone", lambda a: _serves(a, 2))
    wait_ready(agency.kube, NAMESPACE, NAME, timeout=PATIENCE)
    after = _until_alone(agency, second)
    _say(
        f"trained, evaluated and promoted in {time.monotonic() - began:.0f} s; at 20 % {canary.share(second):.1%} of "
        f"{canary.fresh.total()} answers came from the new revision, then {after.share(second):.0%}; "
        f"failed: {len(agency.callers.since(0).failed)} of {agency.callers.since(0).number}"
    )


def test_what_learned_from_poisoned_tickets_is_refused_and_the_stable_one_goes_on(agency: Agency) -> None:
    stable = agency.model(2)
    job = agency.agent()["spec"]["retraining"]["jobTemplate"]
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    next(each for each in env if each["name"] == "TRIAGE_DATA")["value"] = (
        "/opt/triage/data/initial:/opt/triage/data/poisoned"
    )
    agency.change(jobTemplate=job)
    agency.train_by_plan(3)
    wait_for(
        lambda: agency.revision(3).get("status", {}).get("state") == "Rejected",
        what="the poisoned revision to be refused",
        timeout=PATIENCE,
    )

    evaluated = agency.evaluations(3)["held-out"]["status"]
    assert evaluated["phase"] == "Failed"
    assert "accuracy" in agency.revision(3)["status"]["message"]
    found = agency.agent()
    assert (found["status"]["training"]["last"]["revision"], found["status"]["training"]["last"]["state"]) == (
        3,
        "Rejected",
    )
    assert found["status"]["revision"]["stable"] == 2
    assert condition(found, "Ready")["status"] == "True"
    pods = agency.kube.list("v1", "pods", namespace=NAMESPACE, labels="workforce.dev/agent=triage")
    assert {pod["metadata"]["labels"].get("workforce.dev/revision") for pod in pods} == {"2"}
    assert agency.callers.for_a_while(3).fresh.keys() == {stable}
    _say(f"refused: {agency.revision(3)['status']['message']}")


def _serves(found: Object, number: int) -> bool:
    revision = found["status"]["revision"]
    return revision.get("stable") == number and "rollingOut" not in revision


def _until_alone(agency: Agency, model: str) -> Answers:
    """The answers of three seconds in which one model gave all, which is when the other's pods have drained."""
    found: list[Answers] = []

    def alone() -> bool:
        found.append(agency.callers.for_a_while(3))
        return set(found[-1].fresh) == {model}

    wait_for(alone, what=f"all answers to come from model {model}", timeout=PATIENCE)
    return found[-1]


def _say(text: str) -> None:
    """For the person who runs it: what was measured."""
    print(f"\nmeasured: {text}")
