"""The store: old news is no news, and each change reaches those that it concerns."""

from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.core.objects import Child, ChildKind, ObjectKey
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.runtime.orders import ActionKey
from aiagent_operator.runtime.rolerecord import RoleRecord
from aiagent_operator.runtime.store import AgentKey, Key, OrphanKey, RoleKey, Store

KEY = ObjectKey(ChildKind.ROLE, "crm", "aiagent.triage")


@pytest.fixture
def told() -> list[Key]:
    return []


@pytest.fixture
def store(told: list[Key]) -> Store:
    return Store(told.append)


def agent(name: str = "triage", version: int = 10, uid: str = "u1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "crm", "name": name, "uid": uid, "resourceVersion": str(version)},
        "spec": {"roleRef": {"name": "support"}, **spec},
    }


def child(version: int = 5, uid: str = "c1", agent_uid: str = "u1", digest: str = "d") -> Child:
    return Child(KEY, uid, str(version), agent_uid, digest)


def test_an_older_agent_does_not_replace_a_newer_one(store: Store, told: list[Key]) -> None:
    assert store.observe_agent(agent(version=10))
    assert not store.observe_agent(agent(version=9))
    assert not store.observe_agent(agent(version=10))
    assert store.agents[AgentKey("crm", "triage")].resource_version == 10
    assert told == [AgentKey("crm", "triage")]


@pytest.mark.parametrize(
    ("change", "heard"),
    [({}, False), ({"generation": 2}, True), ({"labels": {"tier": "gold"}}, True)],
    ids=["nothing", "spec", "labels"],
)
def test_what_others_have_changed_before_a_status_was_written_is_heard_of(
    store: Store, told: list[Key], change: dict[str, Any], heard: bool
) -> None:
    """The watch brings their version when a newer one is known, and is not listened to."""
    before, after = agent(version=10), agent(version=12)
    before["metadata"]["generation"] = 1
    after["metadata"] |= {"generation": 1} | change
    store.observe_agent(before)
    told.clear()
    store.observe_agent(after, answer=True)
    assert told == [AgentKey("crm", "triage")] * heard
    assert not store.observe_agent(agent(version=11) | {"metadata": after["metadata"] | {"resourceVersion": "11"}})


def test_an_answer_does_not_bring_back_an_agent_that_went_or_one_of_before(store: Store, told: list[Key]) -> None:
    """It was written to just before its end, of which the watch has told by then."""
    store.observe_agent(agent(version=10))
    store.forget_agent("crm", "triage", "u1")
    told.clear()
    assert not store.observe_agent(agent(version=11), answer=True)
    assert not store.agents
    assert store.agent_of("u1") is None
    store.observe_agent(agent(version=13, uid="u2"))
    told.clear()
    assert not store.observe_agent(agent(version=14), answer=True)
    assert store.agents[AgentKey("crm", "triage")].uid == "u2"
    assert told == []


def test_an_agent_that_came_back_under_its_name_is_another(store: Store) -> None:
    store.observe_agent(agent(version=10, uid="u1"))
    assert store.observe_agent(agent(version=9, uid="u2"))
    assert store.agents[AgentKey("crm", "triage")].uid == "u2"


def test_a_change_concerns_who_depends_on_it_and_nobody_else(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent("a", permissions=[{"name": "p", "namespaces": ["billing"]}]))
    store.observe_agent(agent("b", uid="u2"))
    told.clear()
    store.observe_namespace("billing", NamespaceFacts())
    assert told == [AgentKey("crm", "a")]
    told.clear()
    store.observe_namespace("billing", NamespaceFacts())
    assert told == []
    store.observe_role("support", RoleRecord({}, None, "unreadable"))
    assert set(told) == {RoleKey("support"), AgentKey("crm", "a"), AgentKey("crm", "b")}


def test_an_agent_that_no_longer_names_a_namespace_does_not_hear_of_it(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent(version=1, permissions=[{"name": "p", "namespaces": ["billing"]}]))
    store.observe_agent(agent(version=2))
    told.clear()
    store.observe_namespace("billing", NamespaceFacts())
    assert told == []


def test_a_child_is_found_by_its_agent_and_its_change_told(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent())
    told.clear()
    store.observe_child(child())
    assert told == [AgentKey("crm", "triage")]
    assert store.children("u1") == {KEY: child()}
    store.observe_child(child(version=4, digest="old"))
    assert store.children("u1")[KEY].digest == "d"


def test_an_order_hears_of_a_revision_that_its_agent_s_own_pass_has_written(store: Store, told: list[Key]) -> None:
    """The watch tells nothing new of it then, and what the order waits for is in no other object."""
    store.observe_agent(agent())
    about = {"action": "Rollback", "agentRef": {"name": "triage"}, "requestedBy": "sam", "reason": "Wrong"}
    born = {"uid": "o1", "resourceVersion": "11", "creationTimestamp": "2026-11-22T11:38:03Z"}
    store.orders.observe({"metadata": {"namespace": "crm", "name": "back", **born}, "spec": about})
    told.clear()
    store.observe_child(replace(child(), key=replace(KEY, kind=ChildKind.AGENT_REVISION)), notify=False)
    assert told == [ActionKey("crm", "back")]
    told.clear()
    store.observe_child(child(), notify=False)
    assert told == [], "of an order about a thousand agents, each of their bindings would be one more look at all"


def test_a_child_that_changes_hands_concerns_both(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent())
    store.observe_child(child(version=5, agent_uid="u1"))
    told.clear()
    store.observe_child(child(version=6, agent_uid="u9"))
    assert set(told) == {AgentKey("crm", "triage"), OrphanKey("u9")}
    assert store.children("u1") == {}
    assert store.orphans() == ["u9"]


def test_a_late_answer_does_not_bring_back_what_is_gone(store: Store) -> None:
    store.observe_child(child(version=5))
    store.forget_child(KEY, "c1", version="7")
    store.observe_child(child(version=6))
    assert store.children("u1") == {}
    store.observe_child(child(version=8, uid="c2"))
    assert store.children("u1")[KEY].uid == "c2"


def test_whose_deletion_was_answered_is_known_to_be_gone_and_nobody_hears_of_it(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent())
    store.observe_child(child(version=5))
    told.clear()
    store.end_child(KEY, "c1")
    store.observe_child(child(version=5))
    assert store.children("u1") == {}
    assert (list(store.ended), told) == (["c1"], [])
    store.observe_child(child(version=9, uid="c2"), notify=False)
    store.end_child(KEY, "c1")
    assert store.children("u1")[KEY].uid == "c2", "another one has come under its name"
    store.observe_child(child(version=9, uid="c2", digest="e"), notify=False)
    store.observe_child(child(version=10, uid="c2", digest="e"), notify=False)
    assert store.children("u1")[KEY].digest == "e"


def test_a_watch_that_tells_of_an_end_proves_none(store: Store) -> None:
    """It tells the same of an object that lost its label."""
    store.observe_child(child(version=5))
    store.forget_child(KEY, "c1", version="6")
    assert "c1" not in store.ended


def test_an_object_that_lost_its_label_can_be_seen_again_at_the_same_version(store: Store) -> None:
    store.observe_child(child(version=5))
    store.forget_child(KEY, "c1", version="6")
    store.observe_child(child(version=6, digest=""))
    assert store.children("u1")[KEY].digest == ""


def test_the_end_of_another_object_of_the_name_is_not_its_end(store: Store) -> None:
    store.observe_child(child(version=9, uid="c2"))
    store.forget_child(KEY, "c1", version="7")
    assert store.children("u1")[KEY].uid == "c2"


def test_children_of_a_forgotten_agent_are_orphans(store: Store, told: list[Key]) -> None:
    store.observe_agent(agent())
    store.observe_child(child())
    told.clear()
    store.forget_agent("crm", "triage", "u1")
    assert told == [AgentKey("crm", "triage"), OrphanKey("u1")]
    assert store.orphans() == ["u1"]
