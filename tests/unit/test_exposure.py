"""Who else can act as an agent: judged from roles, bindings, network policies and pods of others."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.exposure import MOST, Exposure, Way, role_facts, selects
from aiagent_operator.core.rights.exposure_facts import Collector, Facts
from aiagent_operator.core.status import exposure_verdict

AGENT = AgentIdentity("crm", "triage", "uid-1")
OTHER = AgentIdentity("crm", "intake", "uid-2")
ELSEWHERE = AgentIdentity("sales", "triage", "uid-3")
OPERATOR = "system:serviceaccount:workforce-system:aiagent-operator"

Rules = list[dict[str, Any]]


def rule(groups: str, resources: str, verbs: str, names: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {
        "apiGroups": groups.split(",") if groups else [""],
        "resources": resources.split(","),
        "verbs": verbs.split(","),
    }
    return made | ({"resourceNames": names.split(",")} if names else {})


EXEC = [rule("", "pods/exec", "create")]
DEPLOY = [rule("apps", "deployments", "patch")]
AUTHOR = [rule("workforce.dev", "aiagents", "create")]


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name}


def group(name: str) -> dict[str, str]:
    return {"kind": "Group", "name": name}


def account(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


class World:
    """Collects bindings to roles of their own."""

    def __init__(self) -> None:
        self.collector = Collector(OPERATOR)

    def bind(self, name: str, rules: Rules, *subjects: dict[str, str], namespace: str = "crm", role: str = "") -> World:
        kind = "ClusterRole" if role or not namespace else "Role"
        role = role or f"{name}-role"
        self.collector.role("" if kind == "ClusterRole" else namespace, role, role_facts(rules))
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        ref = {"kind": kind, "name": role}
        self.collector.binding({"metadata": metadata, "roleRef": ref, "subjects": list(subjects)})
        return self

    def policy(self, name: str, spec: dict[str, Any], namespace: str = "crm") -> World:
        self.collector.network_policy({"metadata": {"namespace": namespace, "name": name}, "spec": spec})
        return self

    @property
    def facts(self) -> Facts:
        return self.collector.finish()

    def ways(self, agent: AgentIdentity = AGENT) -> list[Way]:
        return [exposure.way for exposure in self.facts.for_agent(agent)]


@pytest.mark.parametrize(
    ("rules", "way"),
    [
        ([rule("", "serviceaccounts", "impersonate")], Way.IMPERSONATE),
        ([rule("*", "*", "impersonate")], Way.IMPERSONATE),
        ([rule("authentication.k8s.io", "serviceaccounts", "impersonate:serviceaccount")], Way.IMPERSONATE),
        (EXEC, Way.EXEC),
        ([rule("", "pods/exec", "get")], Way.EXEC),
        ([rule("", "*/exec", "*")], Way.EXEC),
        ([rule("", "pods/attach", "create")], Way.ATTACH),
        ([rule("", "pods/ephemeralcontainers", "patch")], Way.DEBUG),
        (DEPLOY, Way.WORKLOAD),
        ([rule("", "pods", "update")], Way.WORKLOAD),
    ],
)
def test_each_way_into_an_agent_is_found(rules: Rules, way: Way) -> None:
    (found,) = World().bind("devs", rules, user("dev@corp.example")).facts.for_agent(AGENT)
    assert found.way is way
    assert found.subject == 'User "dev@corp.example"'
    assert found.source == "RoleBinding crm/devs to Role devs-role"


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule("", "pods,pods/log,secrets", "get,list,watch")],
        [rule("", "pods/*", "create")],  # no wildcard in RBAC
        [rule("", "serviceaccounts", "get,update")],
        [rule("", "serviceaccounts/token", "create")],  # stopped by policy
        [rule("extensions.example", "pods/exec", "create")],
        [rule("", "groups", "impersonate")],
        [rule("apps", "deployments", "create,delete")],
        [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
    ],
)
def test_what_gives_no_way_is_not_reported(rules: Rules) -> None:
    assert World().bind("devs", rules, user("dev@corp.example")).facts.for_agent(AGENT) == ()


def test_a_namespaces_binding_reaches_its_own_agents_only() -> None:
    world = World().bind("devs", EXEC, group("devs"))
    assert world.ways() == [Way.EXEC]
    assert world.ways(OTHER) == [Way.EXEC]
    assert world.ways(ELSEWHERE) == []
    assert World().bind("sre", EXEC, group("sre"), namespace="").ways(ELSEWHERE) == [Way.EXEC]


def test_powers_over_users_and_nodes_exist_only_cluster_wide() -> None:
    rules = [rule("", "users", "impersonate"), rule("", "nodes/proxy", "create")]
    assert World().bind("x", rules, user("a")).ways() == []
    assert World().bind("x", rules, user("a"), namespace="").ways() == [Way.IMPERSONATE, Way.NODE]


def test_impersonation_of_named_accounts_concerns_these() -> None:
    world = World().bind("x", [rule("", "serviceaccounts", "impersonate", "aiagent.triage")], user("a"))
    assert (world.ways(AGENT), world.ways(OTHER)) == ([Way.IMPERSONATE], [])
    named = "system:serviceaccount:crm:aiagent.intake"
    world = World().bind("x", [rule("", "users", "impersonate", named)], user("a"), namespace="")
    assert (world.ways(AGENT), world.ways(OTHER)) == ([], [Way.IMPERSONATE])


@pytest.mark.parametrize(
    "subject",
    [
        group("system:masters"),
        group("system:nodes"),
        user("system:kube-controller-manager"),
        account("kube-system", "deployment-controller"),
        account("workforce-system", "aiagent-operator"),
        user(OPERATOR),
        group("system:serviceaccounts:kube-system"),
    ],
)
def test_the_system_itself_is_no_exposure(subject: dict[str, str]) -> None:
    assert World().bind("x", EXEC, subject, namespace="").ways() == []


@pytest.mark.parametrize(
    "subject", [account("tools", "kube-system"), user("system:serviceaccount:tools:ci"), user("system:anonymous")]
)
def test_what_only_looks_like_the_system_is(subject: dict[str, str]) -> None:
    assert World().bind("x", EXEC, subject).ways() == [Way.EXEC]


def test_cluster_administrators_keep_the_policies_themselves() -> None:
    everything = [rule("*", "*", "*")]
    assert World().bind("admins", everything, group("platform"), namespace="").ways() == []
    assert Way.EXEC in World().bind("admins", everything, group("platform")).ways()
    assert Way.EXEC in World().bind("admins", everything, group("system:authenticated"), namespace="").ways()
    assert Way.EXEC in World().bind("admins", everything, group("system:serviceaccounts"), namespace="").ways()


def test_changing_the_workload_is_no_news_of_its_author() -> None:
    assert World().bind("deploy", DEPLOY, group("devs")).ways() == [Way.WORKLOAD]
    author = World().bind("deploy", DEPLOY, group("devs")).bind("hr", AUTHOR, group("devs"))
    assert author.ways() == []
    author = World().bind("deploy", DEPLOY + EXEC, group("devs")).bind("hr", AUTHOR, group("devs"))
    assert author.ways() == [Way.EXEC]
    assert World().bind("deploy", DEPLOY, group("devs")).bind("hr", AUTHOR, group("devs"), namespace="").ways() == []


def test_an_account_is_the_same_as_user_and_as_account() -> None:
    world = (
        World().bind("deploy", DEPLOY, account("ci", "bot")).bind("hr", AUTHOR, user("system:serviceaccount:ci:bot"))
    )
    assert world.ways() == []


def test_an_agent_does_not_expose_itself() -> None:
    world = World().bind("x", EXEC, account("crm", "aiagent.intake"))
    assert world.ways(OTHER) == [Way.NAMED]
    assert world.ways(AGENT) == [Way.EXEC]


@pytest.mark.parametrize(
    "subject", [account("crm", "aiagent.triage"), user("system:serviceaccount:crm:aiagent.triage")]
)
def test_a_binding_older_than_the_policies_is_found(subject: dict[str, str]) -> None:
    world = World().bind("old", [rule("", "secrets", "get")], subject, namespace="vault")
    (found,) = world.facts.for_agent(AGENT)
    assert str(found) == "RoleBinding vault/old to Role old-role gives rights to its account"
    assert world.ways(OTHER) == []


@pytest.mark.parametrize(
    ("name", "reached"),
    [
        ("system:authenticated", [AGENT, ELSEWHERE]),
        ("system:serviceaccounts", [AGENT, ELSEWHERE]),
        ("system:serviceaccounts:crm", [AGENT]),
        ("devs", []),
    ],
)
def test_rights_through_groups_reach_their_agents(name: str, reached: list[AgentIdentity]) -> None:
    world = World().bind("pullers", [rule("", "secrets", "get")], group(name), namespace="images")
    assert [agent for agent in (AGENT, ELSEWHERE) if world.ways(agent) == [Way.GROUP]] == reached


def test_kubernetes_own_defaults_for_everybody_are_no_news() -> None:
    world = World()
    for role in ("system:basic-user", "system:discovery", "system:public-info-viewer", "workforce-roles-view"):
        world.bind(role, [rule("x", "y", "get")], group("system:authenticated"), namespace="", role=role)
    assert world.ways() == []


def test_a_binding_to_a_role_without_rules_or_to_none_gives_nothing() -> None:
    world = World().bind("empty", [], group("system:authenticated"))
    ref = {"kind": "ClusterRole", "name": "gone"}
    world.collector.binding({"metadata": {"name": "x"}, "roleRef": ref, "subjects": [group("system:authenticated")]})
    assert world.ways() == []


ANYWHERE = {"egress": [{}], "policyTypes": ["Egress"]}


def test_foreign_network_policies_that_select_an_agents_pods() -> None:
    world = World()
    world.policy("all", {"podSelector": {}, **ANYWHERE})
    world.policy("deny", {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]})
    world.policy("web", {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{}]})
    world.collector.agent_pod("crm", {"workforce.dev/agent-uid": "uid-2", "app": "web"})
    world.collector.agent_pod("crm", {"workforce.dev/agent-uid": "uid-1", "app": "db"})
    facts = world.facts
    assert [e.source for e in facts.for_agent(AGENT)] == ["NetworkPolicy crm/all"]
    assert [e.source for e in facts.for_agent(OTHER)] == ["NetworkPolicy crm/all", "NetworkPolicy crm/web"]
    assert facts.for_agent(ELSEWHERE) == ()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "b", "operator": "In", "values": ["1"]}, False),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "b", "operator": "DoesNotExist"}, True),
        ({"key": "a", "operator": "Newer"}, False),
    ],
)
def test_label_selectors(expression: dict[str, Any], expected: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"a": "1"}) is expected
    assert not selects({"matchExpressions": [expression], "matchLabels": {"a": "2"}}, {"a": "1"})


def test_a_pod_that_borrows_an_account() -> None:
    world = World()
    world.collector.pod("crm", "old", "aiagent.triage")
    world.collector.pod("crm", "fine", "web")
    assert [str(e) for e in world.facts.for_agent(AGENT)] == ["Pod crm/old runs as its account"]
    assert world.facts.for_agent(OTHER) == ()


def test_equal_clusters_read_equal_in_any_order() -> None:
    bindings: list[tuple[str, Rules, str]] = [("a", EXEC, "x"), ("b", DEPLOY + EXEC, "y"), ("c", EXEC, "z")]
    one, other = World(), World()
    for name, rules, who in bindings:
        one.bind(name, rules, user(who), user("w"))
    for name, rules, who in reversed(bindings):
        other.bind(name, list(reversed(rules)), user("w"), user(who))
    assert one.facts.changed(other.facts) == set()
    assert one.facts.for_agent(AGENT) == other.facts.for_agent(AGENT)


def test_a_change_names_the_namespaces_it_reaches() -> None:
    nothing = World().facts
    assert World().bind("x", EXEC, user("a")).facts.changed(nothing) == {"crm"}
    assert World().bind("x", EXEC, user("a"), namespace="").facts.changed(nothing) is None
    assert World().bind("x", EXEC, group("system:authenticated"), namespace="a").facts.changed(nothing) is None
    reached = World().bind("x", [rule("", "secrets", "get")], group("system:serviceaccounts:crm"), namespace="a")
    assert reached.facts.changed(nothing) == {"crm"}
    reached = World().bind("x", [rule("", "secrets", "get")], account("crm", "aiagent.x"), namespace="a")
    assert reached.facts.changed(nothing) == {"crm"}
    assert World().policy("all", {"podSelector": {}, **ANYWHERE}).facts.changed(nothing) == {"crm"}


def test_the_number_of_exposures_is_bounded_and_the_gravest_come_first() -> None:
    world = World()
    for number in range(MOST):
        world.bind(f"b{number}", DEPLOY, user(f"u{number}"))
    world.bind("z", [rule("", "serviceaccounts", "impersonate")], user("z"))
    found = world.facts.for_agent(AGENT)
    assert len(found) == MOST
    assert found[0].way is Way.IMPERSONATE


def test_the_condition_names_bindings_and_remedies_gravest_reason_first() -> None:
    assert exposure_verdict(()) is None
    world = World().bind("devs", EXEC, group("devs")).policy("all", {"podSelector": {}, **ANYWHERE})
    world.bind("pull", [rule("", "secrets", "get")], group("system:authenticated"))
    verdict = exposure_verdict(world.facts.for_agent(AGENT))
    assert verdict is not None
    assert verdict.reason is Reason.EXPOSED
    assert 'Group "devs" may run commands in its pods (create pods/exec), by RoleBinding crm/devs' in verdict.message
    assert "workforce-edit" in verdict.message
    assert "RoleBinding crm/pull to Role pull-role gives rights to its group (system:authenticated)" in verdict.message
    assert "NetworkPolicy crm/all" in verdict.message
    only = exposure_verdict((Exposure(Way.NETWORK, "", "egress", "NetworkPolicy crm/all"),))
    assert only is not None
    assert only.reason is Reason.NETWORK_WIDENED
    many = exposure_verdict(tuple(Exposure(Way.EXEC, f"User {n}", "", "x") for n in range(11)))
    assert many is not None
    assert " and 3 more" in many.message
