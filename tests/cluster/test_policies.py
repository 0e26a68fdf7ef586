"""AgentPolicies on a real API server: whom they select, what holds, and what follows where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from support import agents
from support.agents import permission
from support.committee import change, here, new_policy, until_policy
from support.kube import ApiError, Object
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, Status
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

MARS = {"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "6h", "timeZone": "Mars/Olympus"}
STRICT = {"maxAge": "1s", "overdue": {"grace": "1s", "action": "Suspend"}}


def states(place: Workplace) -> dict[int, str]:
    found = place.admin.list(agents.API, "agentrevisions", namespace=place.namespace)
    return {each["spec"]["number"]: each["status"]["state"] for each in found}


def training(agent: Object) -> dict[str, Any]:
    found: dict[str, Any] = agent["status"].get("training", {})
    return found


def selected_by(*names: str) -> Any:
    return lambda agent: tuple(training(agent).get("policies", ())) == tuple(sorted(names))


def counted(agents_: int, overdue: int) -> Any:
    wanted = (agents_, 0, overdue)
    return lambda policy: tuple(policy["status"].get(field) for field in ("agents", "training", "overdue")) == wanted


def rewrite(place: Workplace, *texts: str) -> None:
    """One revision after another."""
    for text in texts:
        place.change("triage", handbook={"instructions": {"inline": text}})
        place.until_settled("triage")


def test_of_several_histories_the_longest_is_kept(place: Workplace) -> None:
    new_policy(place, "short", here(place), revisionHistoryLimit=1)
    long = new_policy(place, "long", here(place), revisionHistoryLimit=2)
    place.employ("triage", place.new_role(), revisionHistoryLimit=0)
    place.until_ready("triage")
    rewrite(place, "one", "two", "three", "four")
    assert states(place) == {3: "Superseded", 4: "Superseded", 5: "Stable"}

    place.admin.delete(agents.API, "agentpolicies", long)
    place.admin.wait_for(lambda: states(place) == {4: "Superseded", 5: "Stable"}, what="the shorter history to hold")


def test_overdue_is_announced_then_suspended_then_healed_by_an_edit(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_can("triage", "create", "refunds")
    name = new_policy(place, "age", here(place), maxAge="1s")

    agent = place.until_reason("triage", "TrainingCurrent", "OverdueBeyondGrace", name)
    assert place.is_ready("triage"), "an announcement takes nothing away"
    assert training(agent)["maxAge"] == {"value": "1s", "policies": [name]}
    assert training(agent)["waitsFor"]["reason"] == "NoRetraining"

    change(place, name, overdue={"grace": "87600h", "action": "Suspend"})
    place.until_reason("triage", "TrainingCurrent", "Overdue", name, "suspends the agent at")
    assert place.is_ready("triage"), "and so does the grace"

    mark = place.plane.audit_mark()
    change(place, name, overdue={"grace": "1s", "action": "Suspend"})
    agent = place.until_reason("triage", "Ready", "Suspended", name, "have it trained")
    place.until_reason("triage", "TrainingCurrent", "SuspendedForAge", name)
    assert training(agent)["suspendedBy"] == [name]
    assert agents.condition(agent, "Stalled") is None
    assert place.rights(uid) == set()
    place.until_cannot("triage", "create", "refunds")
    writes = place.writes(mark)
    revoked = max(w.answered for w in writes if (w.resource, w.verb) == ("rolebindings", "delete"))
    assert revoked <= min(w.received for w in writes if w.resource == "deployments")
    reasons = {event["reason"] for event in place.events("triage")}
    assert {"OverdueBeyondGrace", "Overdue", "SuspendedForAge"} <= reasons

    change(place, name, maxAge="87600h")
    agent = place.until_ready("triage")
    place.until_can("triage", "create", "refunds")
    place.until_reason("triage", "TrainingCurrent", "UpToDate", "87600h", name)
    assert "suspendedBy" not in training(agent)


def test_a_suspension_ends_with_its_policy_and_an_order_does_not_end_it(place: Workplace) -> None:
    name = new_policy(place, "age", here(place), **STRICT)
    place.employ("triage", place.new_role(), permission("refund"))
    place.until_reason("triage", "Ready", "Suspended", name)

    place.order("Suspend", "stop", "triage")
    place.until_ordered("stop", "InForce", "InForce")
    place.order("Resume", "go-on", "triage")
    place.until_ordered("go-on", "Complete", "CarriedOut", "a policy suspends triage")
    place.until_reason("triage", "Ready", "Suspended", name)

    place.admin.delete(agents.API, "agentpolicies", name)
    agent = place.until_ready("triage")
    place.until_can("triage", "create", "refunds")
    place.until("triage", lambda a: "training" not in a["status"], what="nothing to be said of training any more")
    assert agents.condition(agent, "TrainingCurrent") is None


def test_time_alone_suspends(place: Workplace) -> None:
    """No event tells of the end of a grace: the operator itself looks again."""
    name = new_policy(place, "age", here(place), maxAge="4s", overdue={"grace": "4s", "action": "Suspend"})
    place.employ("triage", place.new_role())
    place.until_reason("triage", "Ready", "Suspended", name)
    reasons = [event["reason"] for event in place.events("triage")]
    assert reasons.count("SuspendedForAge") == 1
    assert reasons.count("Overdue") <= 1, "a busy machine may see both at once"


def test_who_is_selected_follows_role_labels_and_namespace(place: Workplace) -> None:
    support, clerk = place.new_role(), place.new_role("clerk")
    by_role = new_policy(place, "role", {**here(place), "roles": [clerk]}, revisionHistoryLimit=1)
    gold = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}
    by_label = new_policy(place, "label", {**here(place), "agentSelector": gold}, revisionHistoryLimit=1)
    data = {"namespaceSelector": {"matchLabels": {"data": place.namespace}}}
    by_namespace = new_policy(place, "namespace", data, revisionHistoryLimit=1)
    place.employ("triage", support)
    place.until_ready("triage")
    assert training(place.get("triage")) == {}

    place.change("triage", roleRef={"name": clerk})
    place.until("triage", selected_by(by_role), what="the policy of its role")
    label = {"metadata": {"labels": {"tier": "gold"}}}
    place.admin.patch(agents.API, "aiagents", "triage", label, namespace=place.namespace)
    place.until("triage", selected_by(by_role, by_label), what="the policy of its label")
    place.admin.patch("v1", "namespaces", place.namespace, {"metadata": {"labels": {"data": place.namespace}}})
    place.until("triage", selected_by(by_role, by_label, by_namespace), what="the policy of its namespace")
    for name in (by_role, by_label, by_namespace):
        until_policy(place, name, counted(1, 0), what=f"{name} to count the agent")

    label["metadata"]["labels"]["tier"] = "lead"
    place.admin.patch(agents.API, "aiagents", "triage", label, namespace=place.namespace)
    place.admin.patch("v1", "namespaces", place.namespace, {"metadata": {"labels": {"data": None}}})
    place.until("triage", selected_by(by_role), what="labels to be followed both ways")
    change(place, by_label, selector={"agentSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}})
    place.until("triage", selected_by(by_role, by_label), what="an edit of a selector")
    change(place, by_role, selector={"roles": [support]})
    place.until("triage", selected_by(by_label), what="an edit that selects it no longer")
    until_policy(place, by_role, counted(0, 0), what="nobody to be selected")


def test_a_policy_that_cannot_be_read_holds_and_heals(place: Workplace) -> None:
    place.employ("triage", place.new_role(), revisionHistoryLimit=0)
    place.until_ready("triage")
    rewrite(place, "one")
    assert states(place) == {2: "Stable"}
    name = new_policy(place, "mars", here(place), windows=[MARS])
    policy = until_policy(
        place,
        name,
        lambda p: agents.condition(p, "Ready")["status"] == "False",
        what="the policy to be found unreadable",
    )
    ready = agents.condition(policy, "Ready")
    assert ready
    assert ready["reason"] == "InvalidSpec"
    assert "spec.windows[nights]" in ready["message"]
    place.until_reason("triage", "TrainingCurrent", "PolicyUnreadable", name, "spec.windows[nights]")
    assert place.is_ready("triage"), "what serves goes on serving"

    place.change("triage", handbook={"instructions": {"inline": "two"}})
    agent = place.until_reason("triage", "Ready", "PolicyUnreadable", "revision 3 may not take over", name)
    place.installed.operator().until_idle()
    assert states(place) == {2: "Stable", 3: "Candidate"}
    assert agents.condition(agent, "Stalled")
    deployments = place.admin.list("apps/v1", "deployments", namespace=place.namespace)
    assert {d["metadata"]["name"]: d["spec"]["replicas"] for d in deployments} == {"triage-2": 1}

    change(place, name, windows=[{**MARS, "timeZone": "UTC"}])
    place.until_settled("triage")
    assert states(place) == {3: "Stable"}
    until_policy(place, name, lambda p: agents.condition(p, "Ready")["status"] == "True", what="it to be readable")


def test_an_order_goes_back_though_a_policy_cannot_be_read(place: Workplace) -> None:
    place.employ("triage", place.new_role())
    place.until_ready("triage")
    rewrite(place, "one")
    name = new_policy(place, "mars", here(place), windows=[MARS])
    place.until_reason("triage", "TrainingCurrent", "PolicyUnreadable", name)
    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "Revision 1 serves")


def test_a_policy_counts_its_agents_and_says_so_once(place: Workplace, operator: OperatorProcess) -> None:
    name = new_policy(place, "age", here(place), maxAge="1s")
    until_policy(place, name, counted(0, 0), what="a policy without agents")
    role = place.new_role()
    for agent in ("first", "second"):
        place.employ(agent, role)
        place.until_ready(agent)
    policy = until_policy(place, name, counted(2, 2), what="both agents to be counted as overdue")
    assert agents.condition(policy, "Ready")["reason"] == "Accepted"  # type: ignore[index]
    assert policy["status"]["observedGeneration"] == policy["metadata"]["generation"]

    place.dismiss("first")
    place.until_gone("first")
    until_policy(place, name, counted(1, 1), what="one agent to be left")
    change(place, name, maxAge="87600h")
    until_policy(place, name, counted(1, 0), what="nobody to be overdue")


@pytest.mark.parametrize("spec", [{"maxAge": "87600h"}, STRICT], ids=["kept", "suspended"])
def test_what_is_settled_costs_no_write_and_a_restart_none_either(
    place: Workplace, operator: OperatorProcess, spec: dict[str, Any]
) -> None:
    name = new_policy(place, "age", here(place), maxConcurrent=1, revisionHistoryLimit=3, **spec)
    place.employ("triage", place.new_role(), permission("refund"))
    suspended = spec is STRICT
    if suspended:
        place.until_reason("triage", "Ready", "Suspended", name)
    else:
        place.until_ready("triage")
    until_policy(place, name, counted(1, int(suspended)), what="the agent to be counted")
    operator.until_idle()

    mark = place.plane.audit_mark()
    place.touch(place.get("triage"))
    policy = place.admin.get(agents.API, "agentpolicies", name)
    place.admin.patch(
        agents.API, "agentpolicies", policy["metadata"]["name"], {"metadata": {"labels": {"touched": "yes"}}}
    )
    operator.until_idle()
    operator.restart()
    operator.until_idle()
    assert [write.uri for write in place.writes(mark)] == []


def test_a_policy_that_went_while_the_operator_was_away_holds_no_longer(
    place: Workplace, operator: OperatorProcess
) -> None:
    name = new_policy(place, "age", here(place), **STRICT)
    place.employ("triage", place.new_role())
    place.until_reason("triage", "Ready", "Suspended", name)
    operator.kill9()
    place.admin.delete(agents.API, "agentpolicies", name)
    operator.forget_lease()
    operator.start()
    place.until_ready("triage")


def test_only_the_operator_says_how_a_policy_stands(place: Workplace) -> None:
    name = new_policy(place, "age", here(place), maxAge="87600h")
    until_policy(place, name, counted(0, 0), what="the policy to be looked at")
    with pytest.raises(ApiError, match="only the operator writes the status"):
        place.admin.patch(agents.API, "agentpolicies", name, {"status": {"agents": 7}}, subresource="status")


def test_a_policy_that_goes_while_no_watch_sees_it_is_missed_by_the_census(
    vacant: Workplace, installed: Installation
) -> None:
    """A watch that begins anew lists what there is, and says nothing of what has gone."""
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()), scan_interval="3")
        operator.forget_lease()
        with operator:
            name = new_policy(vacant, "age", here(vacant), **STRICT)
            vacant.employ("triage", vacant.new_role())
            vacant.until_reason("triage", "Ready", "Suspended", name)

            blind = proxy.inject(Status(503), lambda call: call.path.endswith("/agentpolicies"))
            proxy.expire_watches()
            vacant.admin.delete(agents.API, "agentpolicies", name)
            vacant.admin.wait_for(
                lambda: any(c.path.endswith("/agentpolicies") and c.status == 503 for c in proxy.calls),
                what="the operator to list policies in vain",
            )
            proxy.withdraw(blind)
            vacant.until_ready("triage")
