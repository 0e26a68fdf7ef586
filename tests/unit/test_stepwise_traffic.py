"""A rollout that says who gets requests, round by round: Services, and the pods that nobody asks any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core import onboarding
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.workload import routes
from support.decisions import said
from support.stepwise import CANARY, Agent, employed

OURS = {"workforce.dev/agent": "triage"}
BLUE_GREEN = {
    "strategy": "BlueGreen",
    "blueGreen": {"activeService": "triage", "previewService": "preview", "autoPromotionEnabled": False},
}


def selected(agent: Agent) -> dict[str, str]:
    return {name: selector.get("workforce.dev/revision", "") for name, selector in agent.services.items()}


def blue(**fields: Any) -> Agent:
    agent = employed({**BLUE_GREEN, **fields}, services={"triage": dict(OURS), "preview": dict(OURS)})
    assert (selected(agent), agent.status["services"]) == ({"triage": "1", "preview": "1"}, ["preview", "triage"])
    agent.unanswered = 0
    return agent


def test_a_service_is_switched_when_all_pods_are_there_and_a_person_says_so() -> None:
    agent = blue()
    plan = agent.settle()
    assert said(plan, "Ready")[1] == "RolloutPaused"
    assert agent.pods == {"triage-1": 10, "triage-2": 10}
    assert selected(agent) == {"triage": "1", "preview": "2"}

    agent.order(OrderKind.PROMOTE)
    plan = agent.settle()
    assert selected(agent) == {"triage": "2", "preview": "2"}
    assert agent.pods == {"triage-1": 10, "triage-2": 10}, "proxies have yet to learn of it"
    assert (plan.requeue_after, agent.states[2]) == (30, RevisionState.STABLE)

    agent.now += timedelta(seconds=30)
    plan = agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert said(plan, "Ready")[0] is True
    assert agent.unanswered == 0


def test_an_abort_of_blue_green_leaves_who_serves_alone() -> None:
    agent = blue(abortScaleDownDelaySeconds=5)
    agent.settle()
    agent.order(OrderKind.ABORT)
    agent.settle()
    agent.now += timedelta(seconds=5)
    agent.settle()
    assert agent.pods == {"triage-1": 10}
    assert selected(agent) == {"triage": "1", "preview": "1"}
    assert agent.states[2] is RevisionState.REJECTED
    assert agent.unanswered == 0


def test_a_candidate_that_another_one_follows_keeps_its_pods_until_nobody_asks_them() -> None:
    agent = blue()
    agent.settle()
    agent.text = "Be honest."
    agent.settle()
    assert selected(agent) == {"triage": "1", "preview": "3"}
    assert agent.pods == {"triage-1": 10, "triage-2": 10, "triage-3": 10}
    agent.now += timedelta(seconds=30)
    agent.settle()
    assert agent.pods == {"triage-1": 10, "triage-3": 10}


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({"preview": OURS}, "Service home/triage, named by spec.retraining.rollout, does not exist"),
        ({"triage": {"app": "x"}, "preview": OURS}, "put workforce.dev/agent: triage into its spec.selector"),
    ],
)
def test_a_service_that_does_not_fit_is_said_and_not_touched(services: dict[str, Any], words: str) -> None:
    agent = Agent(BLUE_GREEN, services={name: dict(selector) for name, selector in services.items()})
    plan = agent.settle()
    assert said(plan, "Ready")[1] == "TrafficNotFound"
    assert words in said(plan, "Ready")[2]
    assert plan.requeue_after == 15
    assert agent.services.get("triage") == services.get("triage")
    agent.services["triage"] = dict(OURS)
    assert said(agent.settle(), "Ready")[0] is True


def test_what_somebody_else_makes_a_service_select_is_put_right_when_it_is_looked_at() -> None:
    agent = blue()
    agent.text = "Be kind."
    agent.settle()
    agent.services["triage"]["workforce.dev/revision"] = "7"
    plan = onboarding.decide(agent.observe())
    assert said(plan, "Ready")[0] is False
    assert said(agent.settle(), "Ready")[0] is True
    assert selected(agent)["triage"] == "1"


@pytest.mark.parametrize("rollout", [None, CANARY, {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage"}}])
def test_services_that_the_spec_no_longer_names_are_given_back(rollout: dict[str, Any] | None) -> None:
    agent = blue()
    agent.rollout, agent.text = rollout, "Be kind."
    agent.settle()
    kept = {"triage": "1"} if rollout and "blueGreen" in rollout else {"triage": ""}
    assert selected(agent) == {"preview": "", **kept}
    assert agent.status["services"] == (["triage"] if kept["triage"] else None)


# Canary by requests ---------------------------------------------------------------------------------------------------

ROUTED = {
    "strategy": "Canary",
    "steps": [{"weight": 20}, {"pause": {}}],
    "trafficRouting": {"httpRoute": {"name": "triage"}, "stableService": "triage", "canaryService": "canary"},
}


def routed(**fields: Any) -> Agent:
    services = {"triage": dict(OURS), "canary": dict(OURS)}
    agent = employed({**ROUTED, **fields}, services=services, route={"triage": 1, "canary": 1})
    assert (selected(agent), agent.route) == ({"triage": "1", "canary": "1"}, {"triage": 100, "canary": 0})
    agent.unanswered = 0
    return agent


def test_requests_follow_the_weights_when_pods_are_ready() -> None:
    agent = routed()
    agent.settle()
    assert agent.pods == {"triage-1": 10, "triage-2": 2}
    assert (selected(agent), agent.route) == ({"triage": "1", "canary": "2"}, {"triage": 80, "canary": 20})
    assert (agent.kept["step"], agent.kept["weight"]) == (1, 20)

    agent.order(OrderKind.PROMOTE)
    agent.settle()
    assert (selected(agent), agent.route) == ({"triage": "2", "canary": "2"}, {"triage": 100, "canary": 0})
    assert agent.pods == {"triage-1": 10, "triage-2": 10}
    agent.now += timedelta(seconds=30)
    agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert agent.unanswered == 0


def test_an_abort_sends_requests_back_before_pods_go() -> None:
    agent = routed()
    agent.settle()
    agent.order(OrderKind.ABORT)
    agent.settle()
    assert (agent.route, agent.pods) == ({"triage": 100, "canary": 0}, {"triage-1": 10, "triage-2": 2})
    agent.now += timedelta(seconds=30)
    agent.settle()
    assert agent.pods == {"triage-1": 10}
    assert agent.states[2] is RevisionState.REJECTED
    assert agent.unanswered == 0


def test_a_candidate_that_another_one_follows_gets_no_requests_before_its_service_turns() -> None:
    agent = routed()
    agent.settle()
    agent.text, agent.broken = "Be honest.", {"triage-3"}
    agent.settle()
    assert (selected(agent), agent.route) == ({"triage": "1", "canary": "3"}, {"triage": 100, "canary": 0})
    assert agent.unanswered == 0


@pytest.mark.parametrize(
    ("route", "reason", "words"),
    [
        (
            None,
            "TrafficNotFound",
            "named by spec.retraining.rollout.trafficRouting, does not exist",
        ),
        ({}, "GatewayApiMissing", "the cluster has no gateway.networking.k8s.io/v1 HTTPRoute"),
        ({"triage": 1}, "TrafficNotFound", "has no rule with backendRefs to both canary and triage"),
    ],
)
def test_a_route_that_does_not_fit_is_said(route: dict[str, int] | None, reason: str, words: str) -> None:
    agent = Agent(ROUTED, services={"triage": dict(OURS), "canary": dict(OURS)}, route=route)
    plan = agent.settle()
    assert said(plan, "Ready")[:2] == (False, reason)
    assert words in said(plan, "Ready")[2]
    agent.route = {"triage": 1, "canary": 1}
    assert said(agent.settle(), "Ready")[0] is True


def test_only_rules_and_refs_of_both_services_get_weights() -> None:
    def ref(name: str, **fields: Any) -> dict[str, Any]:
        return {"name": name, "port": 80, **fields}

    live = {
        "metadata": {"namespace": "home", "resourceVersion": "7", "uid": "u", "labels": {"a": "b"}},
        "spec": {
            "hostnames": ["triage.example"],
            "rules": [
                {
                    "matches": [{"path": {"value": "/"}}],
                    "backendRefs": [ref("triage"), ref("canary", weight=3), ref("x")],
                },
                {"backendRefs": [ref("canary", weight=9)]},
                {"backendRefs": [ref("triage"), ref("canary", namespace="other")]},
                {"filters": [{"type": "RequestRedirect"}]},
                {"backendRefs": [ref("triage", kind="Pool", group="x"), ref("canary")]},
            ],
        },
    }
    assert routes.weights(live, ("canary", "triage")) == {"canary": 3, "triage": 1}
    found = routes.changed(live, {"canary": 20, "triage": 80})
    assert found["metadata"] == {"resourceVersion": "7", "uid": "u"}
    wanted = [ref("triage", weight=80), ref("canary", weight=20), ref("x")]
    assert found["spec"]["rules"][0] == {**live["spec"]["rules"][0], "backendRefs": wanted}
    assert found["spec"]["rules"][1:] == live["spec"]["rules"][1:]
    live["spec"]["rules"].append({"backendRefs": [ref("triage"), ref("canary")]})
    assert routes.weights(live, ("canary", "triage")) == {"canary": -1, "triage": 1}
