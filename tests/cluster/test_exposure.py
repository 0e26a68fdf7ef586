"""Exposure of an agent's identity, from the binding that causes it to the status that says so, and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import agents
from support.agents import permission
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def watchful(installed: Installation, vacant: Workplace) -> Iterator[OperatorProcess]:
    """An operator that scans all the time."""
    with installed.alone(scan_interval="1") as operator:
        yield operator


def bind(place: Workplace, name: str, role: str, subject: str, *, kind: str = "Group") -> Object:
    group = "rbac.authorization.k8s.io"
    return place.admin.create(
        {
            "apiVersion": agents.RBAC,
            "kind": "RoleBinding",
            "metadata": {"namespace": place.namespace, "name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": kind, "name": subject}],
        }
    )


def unbind(place: Workplace, name: str) -> None:
    place.admin.delete(agents.RBAC, "rolebindings", name, namespace=place.namespace)


def unexposed(agent: Object) -> bool:
    return agents.condition(agent, "IdentityExposed") is None


def test_an_isolated_role_takes_rights_back_while_others_can_act_as_the_agent(
    vacant: Workplace, watchful: OperatorProcess
) -> None:
    place = vacant
    place.employ("triage", place.new_role(identityIsolation="Required"), permission("read-tickets"))
    place.employ("intake", place.new_role("lenient"), permission("read-tickets"))
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")

    bind(place, "developers", "edit", "developers")
    named = (f"RoleBinding {place.namespace}/developers to ClusterRole edit", 'Group "developers"', "workforce-edit")
    place.until_reason("triage", "IdentityExposed", "OthersHoldIdentity", *named)
    place.until_reason("intake", "IdentityExposed", "OthersHoldIdentity", *named)
    place.until_reason("triage", "Ready", "IdentityNotIsolated")
    place.until_cannot("triage", "get", "tickets")
    place.until_can("intake", "get", "tickets")
    wait_for(lambda: watchful.metric("aiagent_identity_exposed") >= 2, what="both agents to be counted as exposed")
    counted = "its permission to be counted as refused"
    wait_for(lambda: watchful.metric("aiagent_permissions", state="Refused") >= 1, what=counted)

    unbind(place, "developers")
    bind(place, "developers", "workforce-edit", "developers")
    place.until("triage", unexposed, what="the exposure to be over")
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")


def test_rights_through_a_group_are_said_and_do_not_count_against_isolation(
    vacant: Workplace, watchful: OperatorProcess
) -> None:
    place = vacant
    place.employ("triage", place.new_role(identityIsolation="Required"), permission("read-tickets"))
    place.until_ready("triage")

    bind(place, "everybody", "view", f"system:serviceaccounts:{place.namespace}")
    source = f"RoleBinding {place.namespace}/everybody to ClusterRole view gives rights to its group"
    place.until_reason("triage", "IdentityExposed", "RightsFromOthers", source)
    place.until_can("triage", "get", "tickets")

    unbind(place, "everybody")
    place.until("triage", unexposed, what="the exposure to be over")


def test_a_foreign_network_policy_is_said(vacant: Workplace, watchful: OperatorProcess) -> None:
    place = vacant
    place.employ("triage", place.new_role(), permission("read-tickets"))
    place.until_ready("triage")
    place.admin.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": place.namespace, "name": "open"},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
        }
    )
    place.until_reason("triage", "IdentityExposed", "NetworkWidened", f"NetworkPolicy {place.namespace}/open")
    place.admin.delete("networking.k8s.io/v1", "networkpolicies", "open", namespace=place.namespace)
    place.until("triage", unexposed, what="the exposure to be over")
