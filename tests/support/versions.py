"""What a test reads of an agent's versions in a cluster: revisions, pods, and how far a rollout is."""

import itertools
from typing import Any

from support import agents
from support.kube import Object
from support.workplace import Workplace


def revisions(place: Workplace, name: str = "triage") -> dict[int, Object]:
    """The agent's revisions by number."""
    uid = place.get(name)["metadata"]["uid"]
    found = place.admin.list(
        agents.API, "agentrevisions", namespace=place.namespace, labels=f"workforce.dev/agent-uid={uid}"
    )
    return {each["spec"]["number"]: each for each in found}


def states(place: Workplace, name: str = "triage") -> dict[int, str]:
    """The state of each revision."""
    return {number: each["status"]["state"] for number, each in sorted(revisions(place, name).items())}


def deployments(place: Workplace) -> dict[str, int]:
    """Pods asked for, by Deployment, of those that are not on their way out."""
    found = place.admin.list("apps/v1", "deployments", namespace=place.namespace)
    return {
        each["metadata"]["name"]: each["spec"]["replicas"]
        for each in found
        if "deletionTimestamp" not in each["metadata"]
    }


def pods(place: Workplace) -> list[Object]:
    """The agent's pods that are not on their way out."""
    found = place.admin.list("v1", "pods", namespace=place.namespace, labels="workforce.dev/agent=triage")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(place: Workplace) -> int:
    """Ready pods of the agent, whatever their revision."""
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
        for pod in pods(place)
    )


def running(place: Workplace) -> set[str]:
    """The revisions that have pods."""
    return {pod["metadata"]["labels"]["workforce.dev/revision"] for pod in pods(place)}


def rollout(place: Workplace) -> Object:
    """How far the agent's rollout is, as its status says."""
    return (place.get("triage").get("status") or {}).get("rollout") or {}


def employ(place: Workplace, strategy: Object, *, replicas: int = 4, **spec: Any) -> Object:
    """An agent with a rollout, whose first revision serves."""
    workload = agents.template(replicas=replicas)
    place.employ("triage", place.new_role(), retraining={"rollout": strategy}, workload=workload, **spec)
    return place.until_ready("triage")


_TEXTS = itertools.count(1)


def edit(place: Workplace) -> None:
    """Other work, whose pods become ready."""
    place.change("triage", handbook={"instructions": {"inline": f"Be brief {next(_TEXTS)}."}})


def edit_badly(place: Workplace, *, replicas: int = 4) -> None:
    """Other work, whose pods never become ready."""
    place.replace_workload("triage", agents.template(replicas=replicas, held=True))


def until_waits(place: Workplace, revision: int, what: str, **fields: Any) -> Object:
    """Wait until the rollout of a revision waits for this, and its status says the rest."""

    def holds(agent: Object) -> bool:
        found = agent["status"].get("rollout") or {}
        wanted = {"revision": revision, "waitsFor": what, **fields}
        return all(found.get(key) == value for key, value in wanted.items())

    return place.until("triage", holds, what=f"revision {revision} to wait for {what} {fields}")


def until_rejected(place: Workplace, number: int, *texts: str) -> Object:
    """Wait until a revision was given up, and check that its record says why."""
    agent = place.until(
        "triage",
        lambda a: (
            a["status"]["revision"].get("rejected") == number and not a["status"].get("rollout", {}).get("revision")
        ),
        what=f"revision {number} to be rejected",
    )
    place.until_reason("triage", "Ready", "RevisionRejected", f"triage-{number}")
    message = revisions(place)[number]["status"]["message"]
    assert all(text in message for text in texts), message
    return agent


def until_serves(place: Workplace, number: int) -> Object:
    """Wait until a revision serves alone, and nothing is left to do."""
    agent = place.until(
        "triage",
        lambda a: a["status"]["revision"].get("stable") == number and not a["status"]["revision"].get("rollingOut"),
        what=f"revision {number} to serve",
    )
    place.until_settled("triage")
    return agent
