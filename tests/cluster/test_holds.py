"""Archives under legal hold: given and ended by orders, and kept where the namespace of the order goes."""

from collections.abc import Callable

import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, archiverecords
from support.agents import permission
from support.kube import ApiError, Object
from support.operator import Installation, OperatorProcess
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

PLURAL = "agentarchives"
GROUND = {"ground": "LegalClaims"}


def leave(place: Workplace, name: str = "triage") -> str:
    """Have an agent come and go; the name of its archive."""
    place.employ(name, place.new_role(), permission("refund"))
    uid = place.until_ready(name)["metadata"]["uid"]
    place.dismiss(name)
    place.until_gone(name)
    return index.name(AgentIdentity(place.namespace, name, uid))


def until(place: Workplace, name: str, holds: Callable[[Object], object], what: str) -> Object:
    return place.admin.wait_object(meta.API_VERSION, PLURAL, name, holds, what=what)


def held(archive: Object) -> list[tuple[str, str, bool]]:
    """Namespace and name of each order that holds an archive, and whether it is an orphan."""
    found = archive["status"].get("holds") or []
    condition = agents.condition(archive, "Held")
    assert (condition is not None) == bool(found)
    return [(each["namespace"], each["order"], each.get("orphaned", False)) for each in found]


def give(place: Workplace, namespace: str, action: str, name: str, archive: str) -> None:
    """An order about an archive by its own name, from any namespace."""
    ground = GROUND if action == "Hold" else {}
    by = place.admin.whoami()
    place.admin.create(agents.order(namespace, name, action, by, archiveRef={"name": archive}, **ground))


def until_ended(place: Workplace, namespace: str, name: str, phase: str, reason: str) -> None:
    def holds(order: Object) -> bool:
        ready = agents.condition(order, "Ready") or {}
        return bool((order["status"].get("phase"), ready.get("reason")) == (phase, reason))

    what = f"order {name} to be {phase}, {reason}"
    place.admin.wait_object(agents.API, "agentactions", name, holds, what=what, namespace=namespace)


def test_what_is_held_is_listed_and_kept_until_it_is_released(place: Workplace) -> None:
    name = leave(place)
    place.order("Hold", "case", "triage", **GROUND)
    order = place.until_ordered("case", "InForce", "InForce", f"AgentArchive {name} is held")
    assert (order["status"]["agents"], order["status"]["done"]) == (1, 1)
    assert order["metadata"]["finalizers"] == [meta.HOLD_FINALIZER]
    archive = place.admin.get(meta.API_VERSION, PLURAL, name)
    (entry,) = archive["status"]["holds"]
    assert entry == {
        "uid": order["metadata"]["uid"], "namespace": place.namespace, "order": "case", "ground": "LegalClaims",
        "by": order["spec"]["requestedBy"], "reason": order["spec"]["reason"],
        "since": order["metadata"]["creationTimestamp"],
    }  # fmt: skip
    assert held(archive) == [(place.namespace, "case", False)]
    assert (agents.condition(archive, "Certified") or {})["status"] == "True", "what was said before stays"
    archiverecords.mark(place.admin, name, name)
    with pytest.raises(ApiError, match="is under legal hold"):
        place.admin.delete(meta.API_VERSION, PLURAL, name)

    place.order("Release", "over", "triage")
    place.until_ordered("over", "Complete", "CarriedOut", "No order holds")
    place.admin.wait_gone(agents.API, "agentactions", "case", namespace=place.namespace)
    assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == []
    place.admin.delete(meta.API_VERSION, PLURAL, name)


def test_one_that_is_to_come_is_held_from_its_beginning(place: Workplace) -> None:
    place.order("Hold", "case", "triage", **GROUND)
    place.until_ordered("case", "InForce", "NoArchive", "one that comes will be held")
    name = leave(place)
    until(place, name, lambda a: held(a) == [(place.namespace, "case", False)], "it to be held")
    place.until_ordered("case", "InForce", "InForce")
    # Whoever may release lifts it by deleting it.
    place.admin.delete(agents.API, "agentactions", "case", namespace=place.namespace)
    place.admin.wait_gone(agents.API, "agentactions", "case", namespace=place.namespace)
    assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == []


def test_several_hold_it_and_each_is_released_by_itself(place: Workplace) -> None:
    legal = place.new_namespace("legal")
    name = leave(place)
    place.order("Hold", "case", "triage", **GROUND)
    give(place, legal, "Hold", "audit", name)
    until(place, name, lambda a: len(held(a)) == 2, "both to be listed")
    place.order("Release", "over", "triage")
    place.until_ordered("over", "Failed", "StillHeld", f"AgentAction {legal}/audit")
    assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == [(legal, "audit", False)]
    give(place, legal, "Release", "done", name)
    until_ended(place, legal, "done", "Complete", "CarriedOut")
    assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == []


def test_a_hold_outlives_its_namespace_also_for_an_agent_that_leaves_with_it(place: Workplace) -> None:
    home, legal = place.new_namespace("doomed"), place.new_namespace("legal")
    role = place.new_role()
    place.admin.create(agents.agent(home, "triage", role, permission("refund")))
    agent = place.admin.wait_object(
        agents.API,
        "aiagents",
        "triage",
        lambda a: (agents.condition(a, "Ready") or {}).get("status") == "True",
        what="the agent to be onboarded",
        namespace=home,
    )
    place.admin.create(agents.order(home, "case", "Hold", place.admin.whoami(), "triage", **GROUND))
    until_ended(place, home, "case", "InForce", "NoArchive")

    place.admin.delete("v1", "namespaces", home)
    place.admin.wait_gone("v1", "namespaces", home, timeout=120)

    name = index.name(AgentIdentity(home, "triage", agent["metadata"]["uid"]))
    until(place, name, lambda a: held(a) == [(home, "case", True)], "it to be held without its order")
    archiverecords.mark(place.admin, name, name)
    with pytest.raises(ApiError, match="is under legal hold"):
        place.admin.delete(meta.API_VERSION, PLURAL, name)
    give(place, legal, "Release", "over", name)
    until_ended(place, legal, "over", "Complete", "CarriedOut")
    assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == []


def test_whatever_happens_while_no_operator_runs_a_hold_is_kept_or_lifted_as_it_should(
    vacant: Workplace, installed: Installation
) -> None:
    place = vacant
    home, legal = place.new_namespace("doomed"), place.new_namespace("legal")
    with installed.alone() as operator:
        name = leave(place)
        for namespace, order in ((home, "orphan"), (legal, "lifted"), (legal, "stays")):
            give(place, namespace, "Hold", order, name)
        until(place, name, lambda a: len(held(a)) == 3, "all to be listed")
        operator.kill9()
        place.admin.delete("v1", "namespaces", home)
        place.admin.delete(agents.API, "agentactions", "lifted", namespace=legal)
        give(place, legal, "Hold", "new", name)
        wanted = {(home, "orphan", True), (legal, "stays", False), (legal, "new", False)}
        operator.restart()
        until(place, name, lambda a: set(held(a)) == wanted, "it to be held by the right ones")
        place.admin.wait_gone("v1", "namespaces", home, timeout=60)
        operator.until_idle()
        mark = place.plane.audit_mark()
        operator.restart()
        operator.until_idle()
        assert place.writes(mark) == [], "converged holds cost no write"
        assert set(held(place.admin.get(meta.API_VERSION, PLURAL, name))) == wanted
        for order in ("stays", "new"):
            place.admin.delete(agents.API, "agentactions", order, namespace=legal)
            place.admin.wait_gone(agents.API, "agentactions", order, namespace=legal)


def test_killed_at_any_moment_a_hold_is_neither_lost_nor_kept(place: Workplace, operator: OperatorProcess) -> None:
    name = leave(place)
    for pause in range(4):
        place.order("Hold", f"case-{pause}", "triage", **GROUND)
        if pause % 2:
            until(place, name, held, "it to be listed")
        operator.restart()
        place.until_ordered(f"case-{pause}", "InForce", "InForce")
        place.admin.delete(agents.API, "agentactions", f"case-{pause}", namespace=place.namespace)
        operator.restart()
        place.admin.wait_gone(agents.API, "agentactions", f"case-{pause}", namespace=place.namespace)
        assert held(place.admin.get(meta.API_VERSION, PLURAL, name)) == []
