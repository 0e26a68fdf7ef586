"""Runs of agents under the running operator: what becomes of them when the agent leaves, or is gone already."""

import uuid

import pytest

from aiagent_operator.api import runs
from aiagent_operator.core.objects import AgentIdentity
from support import chart
from support.agents import permission
from support.kube import Kube, Object
from support.localcluster.audit import AuditEvent
from support.runs import JOBS, account_of, begin, template
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def account(place: Workplace) -> Kube:
    """The operator's own account, which makes the runs of these tests."""
    return place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)


def leaving_with_a_run(place: Workplace, account: Kube) -> AgentIdentity:
    """An agent that is being deleted in the middle of a training, while no operator is there."""
    place.employ("triage", place.new_role(), permission("read-tickets"))
    agent = AgentIdentity(place.namespace, "triage", place.until_ready("triage")["metadata"]["uid"])
    place.installed.end_shared()
    begin(account, agent, template(hold=True))
    until_pods(place, agent)
    place.dismiss("triage")
    return agent


def until_pods(place: Workplace, agent: AgentIdentity) -> list[Object]:
    """The pods of the agent's runs, as soon as there are any."""
    return place.admin.wait_for(lambda: pods_of(place, agent), what="a pod of the run")


def pods_of(place: Workplace, agent: AgentIdentity) -> list[Object]:
    """All pods with the labels of the agent's runs."""
    return place.admin.list("v1", "pods", namespace=agent.namespace, labels=f"{runs.LABEL_RUN_OF}={agent.uid}")


def test_an_agent_that_leaves_stops_its_run_and_leaves_nothing(place: Workplace, account: Kube) -> None:
    agent = leaving_with_a_run(place, account)

    place.installed.operator()
    place.until_gone("triage")

    assert place.children(agent.uid) == {}
    assert pods_of(place, agent) == []


def test_rights_end_before_the_run_and_its_limits_after_its_last_pod(place: Workplace, account: Kube) -> None:
    agent = leaving_with_a_run(place, account)
    pod = pods_of(place, agent)[0]["metadata"]["name"]
    mark = place.plane.audit_mark()

    place.installed.operator()
    place.until_gone("triage")

    def deleted(resource: str, name: str) -> tuple[str, str]:
        """First arrival and last answer: a pod is deleted once when it is to stop, and once when it has stopped."""
        path = f"/namespaces/{place.namespace}/{resource}/{name}"

        def events() -> list[AuditEvent]:
            found = [e for e in place.plane.audit(mark) if e.verb == "delete" and e.uri.split("?")[0].endswith(path)]
            return [event for event in found if event.code < 400]

        found = place.admin.wait_for(events, what=f"the deletion of {path} in the audit log")
        return min(e.received for e in found), max(e.answered for e in found)

    stopped = deleted("pods", pod)
    assert deleted("rolebindings", "aiagent.triage")[1] <= deleted("jobs", "triage-2-train")[0] <= stopped[0]
    for limit in (("networkpolicies", "aiagent.triage.runs"), ("serviceaccounts", account_of(agent))):
        assert stopped[1] <= deleted(*limit)[0]


def test_runs_of_an_agent_that_is_gone_are_swept_up(place: Workplace, account: Kube) -> None:
    agent = AgentIdentity(place.namespace, "gone", str(uuid.uuid4()))
    place.installed.end_shared()
    begin(account, agent, template(hold=True))
    until_pods(place, agent)

    place.installed.operator()

    place.admin.wait_gone(JOBS, "jobs", "gone-2-train", namespace=place.namespace)
    place.admin.wait_for(lambda: not place.children(agent.uid) and not pods_of(place, agent), what="nothing to be left")


def test_a_finalizer_on_a_job_keeps_the_limits_of_its_pods(place: Workplace, account: Kube) -> None:
    """Whoever may change Jobs may hold one; what limits it stays as long, and the agent says what it waits for."""
    agent = leaving_with_a_run(place, account)
    where = {"namespace": place.namespace}
    held: Object = {"metadata": {"finalizers": ["tests.example/hold"]}}
    place.admin.patch(JOBS, "jobs", "triage-2-train", held, **where)

    place.installed.operator()
    place.until_reason("triage", "Ready", "Offboarding", "Job", "triage-2-train")

    assert place.admin.get("networking.k8s.io/v1", "networkpolicies", "aiagent.triage.runs", **where)
    assert not place.can("triage", "get", "tickets"), "its rights did not wait"
    free: Object = {"metadata": {"finalizers": None}}
    place.admin.patch(JOBS, "jobs", "triage-2-train", free, **where)
    place.until_gone("triage")
    assert place.children(agent.uid) == {}
