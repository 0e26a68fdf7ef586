"""What is refused or waited for: each with its own reason and remedy, nothing more granted, and healed in time."""

import pytest

from support import agents
from support.agents import permission, rule
from support.kube import ApiError, Object
from support.workplace import Workplace


def _state(agent: Object, name: str) -> tuple[str, str]:
    entry = next(p for p in agent["status"]["permissions"] if p["name"] == name)
    return entry["state"], entry["reason"]


def test_a_missing_role_is_waited_for_and_nothing_exists_meanwhile(place: Workplace) -> None:
    role = place.name("late")
    place.employ("triage", role, permission("read-tickets"))

    agent = place.until_reason("triage", "Ready", "RoleNotFound", role, "spec.roleRef.name")
    assert place.children(agent["metadata"]["uid"]) == {}
    assert _state(agent, "read-tickets") == ("Pending", "RoleNotFound")

    place.new_role("late")
    place.until_ready("triage")


def test_a_draft_grants_nothing(place: Workplace) -> None:
    role = place.new_role(state="Draft")
    place.employ("triage", role, permission("read-tickets"))

    agent = place.until_reason("triage", "Ready", "RoleNotApproved", role)

    assert place.children(agent["metadata"]["uid"]) == {}


def test_a_missing_owner_function_is_named_and_its_owner_heals(place: Workplace) -> None:
    place.employ("triage", place.new_role(requiredOwnerFunctions=["Product", "Legal"]), permission("read-tickets"))

    place.until_reason("triage", "Ready", "OwnerMissing", "Legal", "spec.owners")
    place.change("triage", owners=[agents.owner(), agents.owner("legal", "Consulted", "Legal")])

    place.until_ready("triage")


def test_inline_rules_beyond_the_role_are_refused_and_the_rest_is_granted(place: Workplace) -> None:
    wide = permission("wide", rules=[rule("get list delete", "tickets")])
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"), wide)

    agent = place.until_reason("triage", "Ready", "BeyondRoleCeiling", role, "delete", "tickets", "spec.ceiling")

    assert (_state(agent, "read-tickets"), _state(agent, "wide")[0]) == (("Granted", "Granted"), "Refused")
    assert place.rights(agent["metadata"]["uid"]) == {
        (place.namespace, "crm.example", "tickets", verb) for verb in ("get", "list")
    }
    place.admin.patch(agents.API, "agentroles", role, {"spec": {"ceiling": [rule("delete", "tickets")]}})
    place.until_ready("triage")
    place.until_can("triage", "delete", "tickets")


def test_a_forbidden_combination_is_refused_whichever_way_it_is_asked_for(place: Workplace) -> None:
    duties = [{"name": "pays", "rules": [agents.REFUND]}, {"name": "bills", "rules": [agents.BILL]}]
    combination = {"name": "pay-and-bill", "description": "Who bills does not refund", "duties": duties}
    role = place.new_role(forbiddenCombinations=[combination])
    place.employ("triage", role, permission("refund"), permission("bill"))

    agent = place.until_reason("triage", "Ready", "ForbiddenCombination", "pay-and-bill", "Who bills does not refund")

    assert (_state(agent, "refund")[0], _state(agent, "bill")[0]) == ("Granted", "Refused")
    assert place.rights(agent["metadata"]["uid"]) == {(place.namespace, "crm.example", "refunds", "create")}
    place.change("triage", permissions=[permission("bill")])
    place.until_ready("triage")
    assert place.rights(agent["metadata"]["uid"]) == {(place.namespace, "crm.example", "invoices", "create")}


def test_what_nobody_made_grantable_is_refused_until_somebody_does(place: Workplace) -> None:
    forecasts = rule("get", "forecasts", group="plan.example")
    place.employ("triage", place.new_role(sets={"plan": [forecasts]}), permission("plan"))

    agent = place.until_reason("triage", "Ready", "NotGrantable", "forecasts", "workforce.dev/grantable=true")
    assert place.rights(agent["metadata"]["uid"]) == set()
    role = agent["spec"]["roleRef"]["name"]
    place.admin.wait_object(
        agents.API,
        "agentroles",
        role,
        lambda r: (agents.condition(r, "Ready") or {}).get("reason") == "NotGrantable",
        what="the role to say that its set is not grantable",
    )

    place.grantable("plan", forecasts)
    place.until_ready("triage")
    place.until_can("triage", "get", "forecasts", group="plan.example")
    place.admin.wait_object(
        agents.API,
        "agentroles",
        role,
        lambda r: (agents.condition(r, "Ready") or {}).get("status") == "True",
        what="the role to say that its set can be granted",
    )


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (rule("get", "serviceaccounts/token", group=""), "serviceaccounts/token"),
        (rule("create", "pods/exec", group=""), "pods/exec"),
        (rule("impersonate", "users", group=""), "impersonate"),
        (rule("bind", "roles"), "bind"),
        (rule("get", "aiagents", group="workforce.dev"), "workforce.dev"),
        (rule("create", "rolebindings", group="rbac.authorization.k8s.io"), "rbac.authorization.k8s.io"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_agent_may_hold_is_refused_even_where_it_is_grantable(
    place: Workplace, asked: Object, word: str
) -> None:
    place.employ("triage", place.new_role(sets={"too-much": [asked]}), permission("too-much"))

    agent = place.until_reason("triage", "Ready", "ForbiddenRight", word)

    assert place.rights(agent["metadata"]["uid"]) == set()


def test_a_namespace_that_does_not_exist_is_waited_for_and_the_others_hold(place: Workplace) -> None:
    crm, late = place.new_namespace("crm"), place.name("late")
    place.employ("triage", place.new_role(), permission("read-tickets", crm, late))

    agent = place.until_reason("triage", "Ready", "NamespaceNotFound", late, "create it")
    assert _state(agent, "read-tickets") == ("Pending", "NamespaceNotFound")
    assert {ns for ns, *_ in place.rights(agent["metadata"]["uid"])} == {crm}

    place.new_namespace("late")
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets", namespace=late)


def test_a_namespace_that_the_role_does_not_allow_is_refused_until_it_does(place: Workplace) -> None:
    finance = place.new_namespace("finance", tests="false")
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets", finance))

    agent = place.until_reason("triage", "Ready", "NamespaceNotAllowed", finance, role)
    assert place.rights(agent["metadata"]["uid"]) == set()

    place.admin.patch("v1", "namespaces", finance, {"metadata": {"labels": {"tests": "true"}}})
    place.until_ready("triage")
    place.admin.patch("v1", "namespaces", finance, {"metadata": {"labels": {"tests": None}}})
    place.until_reason("triage", "Ready", "NamespaceNotAllowed", finance)
    assert place.rights(agent["metadata"]["uid"]) == set()


def test_a_missing_target_is_waited_for(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("late"))

    place.until_reason("triage", "Ready", "TargetNotFound", "late", "create it")
    place.until_can("triage", "get", "tickets")

    place.admin.create(agents.workload(place.namespace, "late"))
    place.until_ready("triage")


def test_a_missing_config_map_and_then_a_missing_key_are_waited_for(place: Workplace) -> None:
    source = {"instructions": {"configMapKeyRef": {"name": "texts", "key": "support.md"}}}
    place.employ("triage", place.new_role(), permission("read-tickets"), handbook=source)

    place.until_reason("triage", "Ready", "HandbookSourceNotFound", "texts", "does not exist", "create it")
    place.admin.create(agents.config_map(place.namespace, "texts", other="x"))
    place.admin.wait_object(
        agents.API,
        "aiagents",
        "triage",
        lambda a: "no key support.md" in (agents.condition(a, "Ready") or {}).get("message", ""),
        what="the missing key to be named",
        namespace=place.namespace,
    )
    place.admin.patch("v1", "configmaps", "texts", {"data": {"support.md": "Be kind."}}, namespace=place.namespace)

    place.until_ready("triage")


def test_a_source_that_vanishes_later_leaves_the_work_as_it_is(place: Workplace) -> None:
    place.admin.create(agents.config_map(place.namespace, "texts", **{"support.md": "Be kind."}))
    source = {"instructions": {"configMapKeyRef": {"name": "texts", "key": "support.md"}}}
    place.employ("triage", place.new_role(), permission("read-tickets"), handbook=source)
    first = place.until_ready("triage")
    before = place.children(first["metadata"]["uid"])

    place.admin.delete("v1", "configmaps", "texts", namespace=place.namespace)

    place.until_reason("triage", "Ready", "HandbookSourceNotFound", "texts")
    after = place.children(first["metadata"]["uid"])
    assert set(after) == set(before)
    deployment = ("Deployment", place.namespace, "triage-1")
    assert after[deployment]["metadata"]["generation"] == before[deployment]["metadata"]["generation"]
    assert place.can("triage", "get", "tickets")


@pytest.mark.parametrize("kind", ["NetworkPolicy", "Deployment"])
def test_a_name_that_somebody_else_has_is_never_taken_over(place: Workplace, kind: str) -> None:
    taken: dict[str, Object] = {
        "NetworkPolicy": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "aiagent.triage", "namespace": place.namespace},
            "spec": {"podSelector": {}},
        },
        "Deployment": agents.workload(place.namespace, "triage-1"),
    }
    foreign = place.admin.create(taken[kind])
    place.employ("triage", place.new_role(), permission("read-tickets"))

    place.until_reason("triage", "Ready", "NameTaken", kind, "is not the operator's", "delete or rename it")

    meta = foreign["metadata"]
    now = place.admin.get(foreign["apiVersion"], kind, meta["name"], namespace=place.namespace)
    assert now["metadata"]["uid"] == meta["uid"]
    assert "workforce.dev/agent-uid" not in now["metadata"].get("labels", {})
    place.admin.delete(foreign["apiVersion"], kind, meta["name"], namespace=place.namespace)
    place.touch(place.get("triage"))
    place.until_ready("triage")


def test_too_many_rights_are_refused_whole(place: Workplace) -> None:
    letters = [f"kind{number}" for number in range(12)]
    many = [rule("get list watch create update delete", " ".join(letters))]
    spaces = [place.new_namespace(f"n{number}") for number in range(8)]
    place.grantable("many", *many)
    place.employ("triage", place.new_role(sets={"many": many}), permission("many", *spaces))

    agent = place.until_reason("triage", "Ready", "TooManyRights", "512")

    assert place.rights(agent["metadata"]["uid"]) == set()


def test_a_spec_that_the_schema_refuses_never_reaches_the_operator(place: Workplace) -> None:
    with pytest.raises(ApiError) as refused:
        place.employ("triage", place.new_role(), owners=[agents.owner("a", "Responsible")])

    assert refused.value.status == 422
    assert "exactly one owner must be Accountable" in refused.value.message
