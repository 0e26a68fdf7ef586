"""The policies that are known: which agents a change concerns, and what those that select an agent demand together."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.core.policies.merged import NOTHING
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.store import AgentKey, Key, RoleKey, Store

CRM, HR = AgentKey("crm", "triage"), AgentKey("hr", "payroll")


@pytest.fixture
def told() -> list[Key]:
    return []


@pytest.fixture
def store(told: list[Key]) -> Store:
    """Two agents, in two namespaces, of two roles."""
    found = Store(told.append)
    for name in ("crm", "hr"):
        found.observe_namespace(name, NamespaceFacts({"kubernetes.io/metadata.name": name}))
    found.observe_agent(agent(CRM, "support"))
    found.observe_agent(agent(HR, "clerk"))
    told.clear()
    return found


def agent(key: AgentKey, role: str, *, version: int = 1, **labels: str) -> dict[str, Any]:
    metadata = {
        "namespace": key.namespace, "name": key.name, "uid": f"u-{key.name}", "resourceVersion": str(version),
        "labels": labels,
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"roleRef": {"name": role}}}


def policy(name: str = "p", *, version: int = 1, generation: int = 1, uid: str = "", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": uid or f"u-{name}", "resourceVersion": str(version), "generation": generation}
    return {"metadata": metadata, "spec": {"description": "Rules", "selector": {}} | spec}


def names(store: Store, key: AgentKey) -> tuple[str, ...]:
    return store.demands(key, store.agents[key]).names


def test_a_policy_concerns_the_agents_that_it_selects(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy(selector={"roles": ["support"]}))
    assert told == [CRM, PolicyKey("p")]
    assert (names(store, CRM), names(store, HR)) == (("p",), ())


def test_a_policy_that_selects_others_concerns_those_that_it_selected_too(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy(selector={"roles": ["support"]}))
    told.clear()
    store.policies.observe(policy(version=2, generation=2, selector={"roles": ["clerk"]}))
    assert told == [CRM, HR, PolicyKey("p")]
    assert (names(store, CRM), names(store, HR)) == ((), ("p",))


def test_a_status_concerns_the_policy_alone(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy())
    told.clear()
    store.policies.observe(policy(version=2) | {"status": {"agents": 2}})
    assert told == [PolicyKey("p")]
    assert store.policies.records["p"].status == {"agents": 2}


def test_old_news_is_no_news(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy(version=5, generation=2, maxAge="1h"))
    told.clear()
    store.policies.observe(policy(version=4, generation=1, maxAge="2h"))
    store.policies.forget("p", "another")
    assert told == []
    assert store.policies.records["p"].version == 5


def test_one_of_the_same_name_is_another_policy(store: Store) -> None:
    store.policies.observe(policy(version=5, maxAge="1h"))
    store.policies.observe(policy(version=9, uid="new", maxAge="2h"))
    age = store.demands(CRM, store.agents[CRM]).max_age
    assert age
    assert str(age) == '2h of AgentPolicy "p"'


def test_what_is_gone_demands_nothing(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy(maxAge="1h"))
    told.clear()
    store.policies.forget("p", "u-p")
    assert told == [CRM, HR]
    assert store.demands(CRM, store.agents[CRM]) is NOTHING


def test_an_answer_does_not_bring_back_a_policy_that_went_or_one_of_before(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy(maxAge="1h"))
    store.policies.forget("p", "u-p")
    told.clear()
    store.policies.observe(policy(version=2, maxAge="1h"), answer=True)
    assert not store.policies.records
    store.policies.observe(policy(version=3, uid="new", maxAge="2h"))
    told.clear()
    store.policies.observe(policy(version=4, maxAge="1h"), answer=True)
    assert store.policies.records["p"].uid == "new"
    assert told == []
    store.policies.observe(policy(version=5, uid="new", maxAge="2h"), answer=True)
    assert store.policies.records["p"].version == 5


def test_labels_and_namespaces_are_looked_at_each_time(store: Store, told: list[Key]) -> None:
    store.policies.observe(policy("a", selector={"agentSelector": {"matchLabels": {"tier": "gold"}}}))
    store.policies.observe(policy("b", selector={"namespaceSelector": {"matchLabels": {"data": "customer"}}}))
    assert names(store, CRM) == ()
    told.clear()
    store.observe_agent(agent(CRM, "support", version=2, tier="gold"))
    assert names(store, CRM) == ("a",)
    store.observe_namespace("crm", NamespaceFacts({"data": "customer"}))
    assert told == [CRM, CRM]
    assert names(store, CRM) == ("a", "b")


def test_a_policy_may_be_about_an_agent_whose_namespace_is_not_known(store: Store) -> None:
    store.policies.observe(policy(selector={"namespaceSelector": {"matchLabels": {"data": "customer"}}}))
    store.observe_namespace("crm", None)
    assert names(store, CRM) == ("p",)


def test_equal_demands_are_put_together_once(store: Store) -> None:
    for name in ("a", "b"):
        store.policies.observe(policy(name, maxAge="1h"))
    assert store.demands(CRM, store.agents[CRM]) is store.demands(HR, store.agents[HR])


def test_a_policy_is_not_its_namesake_of_another_kind() -> None:
    assert PolicyKey("support") != RoleKey("support")


def test_all_policies_are_looked_at_after_a_start(store: Store) -> None:
    store.policies.observe(policy())
    assert PolicyKey("p") in store.all_keys()
