"""Hiring on a real API server: no right of a role before its hiring evaluations have passed, whatever happens.

Pods of Jobs run nothing there: kwok, in the kubelet's place, ends them with the message that their annotation says, or,
where it is held, when a test lets them go.
"""

import json
from typing import Any

import pytest

from support import agents
from support.agents import permission
from support.committee import change, here, new_policy
from support.kube import ApiError, Object
from support.operator import OperatorProcess
from support.runs import template
from support.terminal import Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

GOOD = json.dumps({"measurements": [{"name": "accuracy", "value": "0.91"}]})
BAD = json.dumps({"measurements": [{"name": "accuracy", "value": "0.71"}]})
BRIEF, HONEST = ({"instructions": {"inline": text}} for text in ("Be brief.", "Be honest."))


def interview(message: str = GOOD, name: str = "interview", **how: Any) -> Object:
    """An evaluation by a Job whose pod ends with this message, or waits to be let go."""
    job = template(message=message, **how)
    return {"name": name, "job": job, "metrics": [{"name": "accuracy", "min": "0.80"}]}


def evaluations(place: Workplace) -> dict[tuple[int, str, str], str]:
    """Phases of all evaluations here, by revision, purpose and name."""
    found = place.admin.list(agents.API, "agentevaluations", namespace=place.namespace)
    return {
        (each["spec"]["revision"], each["spec"]["purpose"], each["spec"]["template"]["name"]): each["status"]["phase"]
        for each in found
    }


def states(place: Workplace) -> dict[int, str]:
    found = place.admin.list(agents.API, "agentrevisions", namespace=place.namespace)
    return {each["spec"]["number"]: each["status"]["state"] for each in found}


def pods(place: Workplace) -> list[Object]:
    return place.admin.list("v1", "pods", namespace=place.namespace, labels="workforce.dev/run=evaluation")


def let_go(place: Workplace) -> None:
    """The kubelet's part: the pod that is held ends with its message."""
    (pod,) = place.admin.wait_for(lambda: pods(place), what="the pod of the evaluation")
    patch = {"metadata": {"annotations": {"localcluster/hold": None}}}
    place.admin.patch("v1", "pods", pod["metadata"]["name"], patch, namespace=place.namespace)


def edit_role(place: Workplace, role: str, **spec: Any) -> None:
    place.admin.patch(agents.API, "agentroles", role, {"spec": spec})


def settled_writes(place: Workplace, operator: OperatorProcess) -> list[Any]:
    """What the operator writes here once somebody has touched the agent: nothing, where it has converged."""
    operator.until_idle()
    mark = place.plane.audit_mark()
    place.touch(place.get("triage"))
    operator.until_idle()
    return place.writes(mark)


def test_no_right_before_the_role_has_hired(place: Workplace, operator: OperatorProcess) -> None:
    role = place.new_role(hiringEvaluations=[interview(hold=True)])
    mark = place.plane.audit_mark()
    agent = place.employ("triage", role, permission("read-tickets"))
    uid = agent["metadata"]["uid"]

    steps = ("the record", "its Job", "its pod")
    for step, there in zip(steps, (lambda: evaluations(place), lambda: jobs(place), lambda: pods(place)), strict=True):
        place.admin.wait_for(there, what=step)
        assert not place.can("triage", "get", "tickets"), step
        assert place.rights(uid) == set(), step
    agent = place.until_reason(
        "triage", "Ready", "Evaluating", 'hiring evaluation "interview"', f'AgentRole "{role}"', "no right is bound"
    )
    assert "hiredAs" not in agent["status"]
    assert [(p["state"], p["reason"]) for p in agent["status"]["permissions"]] == [("Pending", "Evaluating")]
    (job,) = jobs(place).values()
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "aiagent.triage.candidate"
    assert not {kind for kind, _, _ in place.children(uid)} & {"RoleBinding", "Deployment"}
    assert settled_writes(place, operator) == []

    let_go(place)
    place.until_can("triage", "get", "tickets")
    assert evaluations(place) == {(1, "Hiring", "interview"): "Successful"}
    agent = place.until_ready("triage")
    operator.until_idle()
    assert agent["status"]["hiredAs"] == role

    def first(uri: str) -> int:
        return next(i for i, event in enumerate(written) if uri in event.uri.split("?")[0])

    written = place.writes(mark)
    statuses = [i for i, event in enumerate(written) if event.uri.split("?")[0].endswith("/aiagents/triage/status")]
    verdict = max(i for i, event in enumerate(written) if "/agentevaluations/triage-1-interview" in event.uri)
    bound = first("/rolebindings")
    assert verdict < bound
    assert any(verdict < i < bound for i in statuses), "who is hired is written down before the first right"
    place.admin.wait_for(lambda: not jobs(place) and not pods(place), what="the Job to be gone")
    assert ("ServiceAccount", place.namespace, "aiagent.triage.candidate") not in place.children(uid)
    assert settled_writes(place, operator) == []


def jobs(place: Workplace) -> dict[str, Object]:
    return {job["metadata"]["name"]: job for job in place.admin.list("batch/v1", "jobs", namespace=place.namespace)}


def test_what_fails_gets_nothing_and_other_work_heals_it(place: Workplace, operator: OperatorProcess) -> None:
    role = place.new_role(hiringEvaluations=[interview(BAD)])
    uid = place.employ("triage", role, permission("read-tickets"))["metadata"]["uid"]
    place.until_reason("triage", "Ready", "EvaluationFailed", 'hiring evaluation "interview"', "0.71 is below min 0.80")
    operator.until_idle()
    assert states(place) == {1: "Rejected"}
    assert place.rights(uid) == set()
    assert not place.can("triage", "get", "tickets")
    assert settled_writes(place, operator) == []

    # A role that asks for something else now asks it of other work: what is rejected is not tried again.
    edit_role(place, role, hiringEvaluations=[interview()])
    operator.until_idle()
    assert states(place) == {1: "Rejected"}
    place.change("triage", handbook=BRIEF)
    place.until_ready("triage")
    assert states(place) == {1: "Rejected", 2: "Stable"}
    place.until_can("triage", "get", "tickets")


def test_the_roles_and_the_agents_own_have_to_pass(place: Workplace, operator: OperatorProcess) -> None:
    role = place.new_role(hiringEvaluations=[interview(hold=True)])
    own = {"evaluations": [interview()]}
    uid = place.employ("triage", role, permission("read-tickets"), retraining=own)["metadata"]["uid"]
    passed = {(1, "Promotion", "interview"): "Successful"}.items()
    place.admin.wait_for(lambda: evaluations(place).items() >= passed, what="its own to have passed")
    operator.until_idle()
    assert place.rights(uid) == set()
    let_go(place)
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")


def test_who_was_hired_stays_hired(place: Workplace, operator: OperatorProcess) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"))
    assert place.until_ready("triage")["status"]["hiredAs"] == role
    place.until_can("triage", "get", "tickets")
    operator.until_idle()
    mark = place.plane.audit_mark()
    edit_role(place, role, hiringEvaluations=[interview(hold=True)])
    operator.until_idle()
    assert [event.uri for event in place.writes(mark) if "/agentroles/" not in event.uri] == []
    place.change("triage", handbook=BRIEF)
    place.until_ready("triage")
    assert (evaluations(place), states(place)) == ({}, {1: "Superseded", 2: "Stable"})


def test_a_transfer_is_a_hiring(place: Workplace, operator: OperatorProcess) -> None:
    clerk = place.new_role("clerk", sets={"read-tickets": [agents.READ_TICKETS], "refund": [agents.REFUND]})
    judge = place.new_role(
        "judge",
        sets={"read-tickets": [agents.READ_TICKETS], "bill": [agents.BILL]},
        hiringEvaluations=[interview(hold=True)],
    )
    asked = [permission(name) for name in ("read-tickets", "refund", "bill")]
    uid = place.employ("triage", clerk, *asked)["metadata"]["uid"]
    place.until("triage", lambda agent: (agent["status"].get("revision") or {}).get("stable") == 1, what="it to serve")
    place.until_can("triage", "create", "refunds")

    place.change("triage", roleRef={"name": judge})
    agent = place.until_reason("triage", "RevisionAccepted", "Evaluating", f'AgentRole "{clerk}" gave it already')
    place.until_cannot("triage", "create", "refunds")
    operator.until_idle()
    held = {(verb, resource) for _, _, resource, verb in place.rights(uid)}
    assert held == {("get", "tickets"), ("list", "tickets")}
    assert not place.can("triage", "create", "invoices")
    assert agent["status"]["hiredAs"] == clerk
    assert states(place) == {1: "Stable"}, "what serves goes on serving"

    # Neither a suspension nor a binding that somebody deletes is a way around it, nor a new operator.
    operator.restart()
    operator.until_idle()
    assert not place.can("triage", "create", "invoices")
    (binding,) = (name for kind, _, name in place.children(uid) if kind == "RoleBinding")
    place.admin.delete(agents.RBAC, "rolebindings", binding, namespace=place.namespace)
    operator.until_idle()
    assert place.rights(uid) == set()

    let_go(place)
    place.until_can("triage", "create", "invoices")
    assert evaluations(place) == {(1, "Hiring", "interview"): "Successful"}
    place.until_can("triage", "get", "tickets")
    assert place.get("triage")["status"]["hiredAs"] == judge


def test_a_transfer_that_fails_ends_where_it_began(place: Workplace, operator: OperatorProcess) -> None:
    sets = {"read-tickets": [agents.READ_TICKETS], "bill": [agents.BILL]}
    clerk = place.new_role("clerk", sets={**sets, "bill": [agents.REFUND]})
    judge = place.new_role("judge", sets=sets, hiringEvaluations=[interview(BAD)])
    place.employ("triage", clerk, permission("read-tickets"), permission("bill"))
    place.until_ready("triage")
    place.change("triage", roleRef={"name": judge})
    place.until_reason("triage", "RevisionAccepted", "EvaluationFailed", f'name AgentRole "{clerk}" again')
    operator.until_idle()
    assert states(place) == {1: "Stable"}
    assert not place.can("triage", "create", "invoices")
    place.until_can("triage", "get", "tickets")
    place.change("triage", roleRef={"name": clerk})
    place.until_ready("triage")
    place.until_can("triage", "create", "refunds")


def test_a_target_runs_without_rights_until_its_work_has_passed(place: Workplace, operator: OperatorProcess) -> None:
    role = place.new_role(hiringEvaluations=[interview(BAD)])
    place.admin.create(agents.workload(place.namespace, "router"))
    target = agents.target("router")
    uid = place.employ("triage", role, permission("read-tickets"), workload=target)["metadata"]["uid"]
    place.until_reason(
        "triage", "RevisionAccepted", "EvaluationFailed", "Revision 1 has not passed", "Change an image of Deployment"
    )
    operator.until_idle()
    assert states(place) == {1: "Stable"}, "it runs by its owner's hand"
    assert place.rights(uid) == set()
    assert not place.can("triage", "get", "tickets")

    edit_role(place, role, hiringEvaluations=[interview()])
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/agent:2"}]
    place.admin.patch("apps/v1", "deployments", "router", patch, namespace=place.namespace, kind="json")
    place.until_can("triage", "get", "tickets")
    assert evaluations(place)[2, "Hiring", "interview"] == "Successful"
    place.until_ready("triage")


def test_an_agent_that_leaves_while_it_is_hired_leaves_nothing(place: Workplace) -> None:
    uid = place.employ("triage", place.new_role(hiringEvaluations=[interview(hold=True)]))["metadata"]["uid"]
    place.admin.wait_for(lambda: pods(place), what="its pod")
    place.dismiss("triage")
    place.until_gone("triage")
    assert place.children(uid) == {}
    place.admin.wait_for(lambda: not pods(place), what="the pod to be gone")


def test_a_role_whose_job_reads_the_agents_namespace_is_said_to_be_wrong(place: Workplace) -> None:
    """Of roles that are older than the policy: the operator refuses what that would."""
    loot = {"volumes": [{"name": "loot", "secret": {"secretName": "payroll"}}]}
    policy = "role-runs.workforce.dev"
    binding = place.admin.get("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", policy)
    place.admin.delete("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", policy)
    try:
        role = place.admin.wait_for(lambda: _made(place, interview(**loot)), what="the policy to be off")
    finally:
        kept = {k: v for k, v in binding["metadata"].items() if k in ("name", "labels", "annotations")}
        place.admin.create(binding | {"metadata": kept})

    def wrong(found: Object) -> bool:
        ready = agents.condition(found, "Ready")
        return bool(ready and ready["reason"] == "EvaluationInvalid" and "payroll" not in ready["message"])

    place.admin.wait_object(agents.API, "agentroles", role, wrong, what="the role to say so")
    place.employ("triage", role, permission("read-tickets"))
    place.until_reason("triage", "RevisionAccepted", "EvaluationInvalid", 'volume "loot" (secret)')
    assert jobs(place) == {}
    assert not place.can("triage", "get", "tickets")


def _made(place: Workplace, evaluation: Object) -> str:
    try:
        return place.new_role(hiringEvaluations=[evaluation])
    except ApiError:
        return ""


def test_describe_says_what_hiring_waits_for(place: Workplace, terminal: Terminal) -> None:
    clerk = place.new_role("clerk")
    judge = place.new_role("judge", hiringEvaluations=[interview(hold=True)])
    place.employ("triage", clerk)
    place.until_ready("triage")
    place.change("triage", roleRef={"name": judge})
    place.until_reason("triage", "Ready", "Evaluating")
    command = f"kubectl aiagent describe triage -n {place.namespace}"
    screen = terminal.run(command, place.plane.kubeconfig).screen
    assert f"Role:         {judge}, not hired yet; hired as {clerk}" in screen
    waits = screen.partition("What it waits for:")[2].partition("\n\n")[0]
    assert f'hiring evaluation "interview" of AgentRole "{judge}"' in waits


# Policies ------------------------------------------------------------------------------------------------------------


def test_what_a_policy_requires_holds_up_what_is_new_and_nothing_else(
    place: Workplace, operator: OperatorProcess
) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"))
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")
    policy = new_policy(place, "corp", here(place), requiredEvaluations=[{"name": "interview"}])
    operator.until_idle()
    assert place.is_ready("triage"), "what served before goes on"

    uid = place.employ("second", role, permission("read-tickets"))["metadata"]["uid"]
    texts = (f'AgentPolicy "{policy}" requires evaluation "interview"', "Add an evaluation of that name")
    place.until_reason("second", "Ready", "EvaluationRequired", *texts, "no right is bound")
    assert place.rights(uid) == set()
    assert not place.can("second", "get", "tickets")

    place.change("triage", handbook=BRIEF)
    place.until_reason("triage", "Ready", "EvaluationRequired", "revision 1 serves")
    operator.until_idle()
    assert place.can("triage", "get", "tickets")
    place.change("triage", retraining={"evaluations": [interview()]})
    place.until_ready("triage")

    change(place, policy, requiredEvaluations=None)
    place.until_ready("second")
    place.until_can("second", "get", "tickets")


def test_of_a_target_a_policy_has_it_said(place: Workplace, operator: OperatorProcess) -> None:
    new_policy(place, "corp", here(place), requiredEvaluations=[{"name": "safety"}])
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router"))
    place.until_reason(
        "triage", "RevisionAccepted", "EvaluationRequired", 'requires evaluation "safety"', "cannot be held back"
    )
    place.until_can("triage", "get", "tickets")
    place.until_ready("triage")
    operator.until_idle()
    assert states(place) == {1: "Stable"}
