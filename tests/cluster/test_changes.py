"""What a change of the spec, of the role or of the cluster makes of an agent that is employed."""

from support import agents
from support.agents import permission, rule
from support.workplace import Workplace

BASIC = {
    ("ServiceAccount", "aiagent.triage"),
    ("NetworkPolicy", "aiagent.triage"),
    ("Deployment", "triage-1"),
    ("AgentRevision", "triage-1"),
}


def test_a_permission_that_is_taken_out_takes_its_objects_along(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_can("triage", "create", "refunds")

    place.change("triage", permissions=[permission("read-tickets", crm)])
    place.until_ready("triage")

    kinds = {(kind, ns) for kind, ns, _ in place.children(uid) if kind in ("Role", "RoleBinding")}
    assert kinds == {("Role", crm), ("RoleBinding", crm)}
    place.until_cannot("triage", "create", "refunds")

    place.change("triage", permissions=[])
    agent = place.until_ready("triage")

    left = {(kind, name) for kind, _, name in place.children(uid)}
    assert left == BASIC | {("ConfigMap", agent["status"]["handbook"]["configMap"])}
    assert agent["status"]["permissions"] == []
    place.until_cannot("triage", "get", "tickets", namespace=crm)


def test_a_permission_can_move_from_one_namespace_to_another(place: Workplace) -> None:
    crm, archive = place.new_namespace("crm"), place.new_namespace("archive")
    place.employ("triage", place.new_role(), permission("read-tickets", crm))
    uid = place.until_ready("triage")["metadata"]["uid"]

    place.change("triage", permissions=[permission("read-tickets", archive)])
    place.until_ready("triage")

    assert place.rights(uid) == {(archive, "crm.example", "tickets", verb) for verb in ("get", "list")}
    names = {(ns, name) for kind, ns, name in place.children(uid) if kind == "RoleBinding"}
    assert names == {(archive, agents.foreign_name("triage", uid))}


def test_inline_rules_hold_within_the_ceiling(place: Workplace) -> None:
    ceiling = [rule("get list update", "tickets articles")]
    asked = [rule("get", "articles", "faq", "rules"), rule("update", "tickets")]
    place.employ("triage", place.new_role(ceiling=ceiling), permission("edit", rules=asked))

    uid = place.until_ready("triage")["metadata"]["uid"]

    place.until_can("triage", "get", "articles", object_name="faq")
    assert not place.can("triage", "get", "articles", object_name="salaries")
    assert not place.can("triage", "list", "articles")
    assert place.can("triage", "update", "tickets")
    place.change("triage", permissions=[permission("edit", rules=[rule("get", "articles", "faq")])])
    place.until_ready("triage")
    place.until_cannot("triage", "update", "tickets")
    held = place.children(uid)["Role", place.namespace, "aiagent.triage"]["rules"]
    assert held == [rule("get", "articles", "faq")]


def test_another_owner_writes_no_child_and_restarts_nothing(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"))
    before = place.until_ready("triage")
    versions = {k: o["metadata"]["resourceVersion"] for k, o in place.children(before["metadata"]["uid"]).items()}

    mark = place.plane.audit_mark()
    place.change("triage", owners=[agents.owner("support"), agents.owner("data", "Consulted", "Data")])
    agent = place.until("triage", lambda a: a["status"]["accountable"] == "support@corp.example", what="the new owner")

    assert agents.condition(agent, "Ready")["status"] == "True"  # type: ignore[index]
    after = {k: o["metadata"]["resourceVersion"] for k, o in place.children(before["metadata"]["uid"]).items()}
    assert after == versions
    assert {(w.resource, w.subresource) for w in place.writes(mark)} == {("aiagents", "status")}


def test_a_new_handbook_is_a_new_config_map_and_a_rollout(place: Workplace) -> None:
    place.employ("triage", place.new_role())
    first = place.until_ready("triage")
    old = first["status"]["handbook"]

    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    agent = place.until_ready("triage")

    new = agent["status"]["handbook"]
    assert new["configMap"] != old["configMap"]
    assert new["digest"] != old["digest"]
    children = place.children(agent["metadata"]["uid"])
    books = {name for kind, _, name in children if kind == "ConfigMap"}
    assert books == {old["configMap"], new["configMap"]}, "an earlier revision can be gone back to"
    assert children["ConfigMap", place.namespace, new["configMap"]]["data"]["instructions.md"] == "Be brief."
    assert {name for kind, _, name in children if kind == "Deployment"} == {"triage-2"}
    deployment = children["Deployment", place.namespace, "triage-2"]
    volumes = {v["name"]: v for v in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["workforce-handbook"]["configMap"]["name"] == new["configMap"]


def test_the_old_handbook_stays_while_pods_still_mount_it(place: Workplace) -> None:
    place.employ("triage", place.new_role())
    first = place.until_ready("triage")
    old = first["status"]["handbook"]["configMap"]

    held = agents.template(held=True)
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}}, workload=held)
    agent = place.until_reason("triage", "WorkloadReady", "Progressing", "pods")

    books = {name for kind, _, name in place.children(agent["metadata"]["uid"]) if kind == "ConfigMap"}
    assert len(books) == 2
    assert old in books


def test_instructions_from_a_config_map_are_followed(place: Workplace) -> None:
    place.admin.create(agents.config_map(place.namespace, "texts", **{"support.md": "Be kind.", "other": "x"}))
    source = {"instructions": {"configMapKeyRef": {"name": "texts", "key": "support.md"}}}
    place.employ("triage", place.new_role(), handbook=source)
    first = place.until_ready("triage")["status"]["handbook"]

    patch = {"data": {"support.md": "Be kind and brief."}}
    place.admin.patch("v1", "configmaps", "texts", patch, namespace=place.namespace)
    agent = place.until("triage", lambda a: a["status"]["handbook"] != first, what="the new handbook in the status")

    book = agent["status"]["handbook"]["configMap"]
    data = place.admin.get("v1", "configmaps", book, namespace=place.namespace)["data"]
    assert data["instructions.md"] == "Be kind and brief."


def test_more_replicas_by_the_scale_subresource(place: Workplace) -> None:
    place.employ("triage", place.new_role())
    place.until_ready("triage")

    path = place.admin.path(agents.API, "aiagents", place.namespace, "triage", "scale")
    scale = place.admin.raw("GET", path)
    scale["spec"]["replicas"] = 3
    place.admin.raw("PUT", path, scale)

    agent = place.until_ready("triage")
    assert (agent["status"]["replicas"], agent["status"]["readyReplicas"]) == (3, 3)
    assert place.admin.raw("GET", path)["status"] == {"replicas": 3, "selector": agent["status"]["selector"]}


def test_from_template_to_target_and_back(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), permission("read-tickets"))
    uid = place.until_ready("triage")["metadata"]["uid"]

    place.replace_workload("triage", agents.target("router"))
    place.until_ready("triage")
    assert {name for kind, _, name in place.children(uid) if kind == "Deployment"} == {"router"}
    place.admin.wait_gone("apps/v1", "deployments", "triage-1", namespace=place.namespace)

    place.replace_workload("triage", agents.template())
    place.until_ready("triage")
    assert {name for kind, _, name in place.children(uid) if kind == "Deployment"} == {"triage-1"}, (
        "the same work is the same revision"
    )
    router = place.admin.get("apps/v1", "deployments", "router", namespace=place.namespace)
    assert router["spec"]["template"]["spec"].get("serviceAccountName") in (None, "default")
    assert "labels" not in router["metadata"]


def test_a_role_that_is_narrowed_takes_rights_from_all_who_hold_it(place: Workplace) -> None:
    sets = {"work": [rule("get list update", "tickets")]}
    role = place.new_role(sets=sets)
    uids = []
    for name in ("triage", "second"):
        place.employ(name, role, permission("work"))
        uids.append(place.until_ready(name)["metadata"]["uid"])
        place.until_can(name, "update", "tickets")

    narrowed = [{"name": "work", "description": "work", "rules": [rule("get", "tickets")]}]
    place.admin.patch(agents.API, "agentroles", role, {"spec": {"permissionSets": narrowed}})

    for name, uid in zip(("triage", "second"), uids, strict=True):
        place.until_cannot(name, "update", "tickets")
        place.admin.wait_for(
            lambda uid=uid: place.rights(uid) == {(place.namespace, "crm.example", "tickets", "get")},
            what=f"the rights of {name} to be the narrowed ones",
        )
        place.until_ready(name)


def test_a_role_without_the_set_refuses_what_it_no_longer_offers(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]

    sets = [{"name": "refund", "description": "refund", "rules": [agents.REFUND]}]
    place.admin.patch(agents.API, "agentroles", role, {"spec": {"permissionSets": sets}})

    agent = place.until_reason("triage", "Ready", "PermissionSetNotFound", "read-tickets")
    assert place.rights(uid) == {(place.namespace, "crm.example", "refunds", "create")}
    assert [p["state"] for p in agent["status"]["permissions"]] == ["Refused", "Granted"]


def test_a_withdrawn_role_takes_all_rights_and_gives_them_back_when_approved_again(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_can("triage", "get", "tickets")

    place.admin.patch(agents.API, "agentroles", role, {"spec": {"lifecycle": {"state": "Draft"}}})
    agent = place.until_reason("triage", "RoleAccepted", "RoleNotApproved", role, "Approved")

    assert agents.condition(agent, "Ready")["reason"] == "RoleNotApproved"  # type: ignore[index]
    assert place.rights(uid) == set()
    place.until_cannot("triage", "get", "tickets")

    place.admin.patch(agents.API, "agentroles", role, {"spec": {"lifecycle": {"state": "Approved"}}})
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")


def test_a_deleted_role_takes_all_rights(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"))
    uid = place.until_ready("triage")["metadata"]["uid"]

    place.admin.delete(agents.API, "agentroles", role)

    place.until_reason("triage", "Ready", "RoleNotFound", role)
    assert place.rights(uid) == set()
    place.admin.create(agents.role(role))
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")


def test_a_deprecated_role_still_grants_and_names_its_successor(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("read-tickets"))
    place.until_ready("triage")

    lifecycle = {"lifecycle": {"state": "Deprecated", "successor": "customer-care"}}
    place.admin.patch(agents.API, "agentroles", role, {"spec": lifecycle})

    place.until_reason("triage", "RoleAccepted", "RoleDeprecated", "customer-care")
    place.until_ready("triage")
    assert place.can("triage", "get", "tickets")


def test_a_grantable_ceiling_that_shrinks_takes_rights_from_roles(place: Workplace) -> None:
    reports = rule("get list", "reports", group="bi.example")
    source = place.grantable("reports", reports)
    sets = {"reports": [reports], "read-tickets": [agents.READ_TICKETS]}
    place.employ("triage", place.new_role(sets=sets), permission("reports"), permission("read-tickets"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_can("triage", "get", "reports", group="bi.example")

    place.admin.patch(agents.RBAC, "clusterroles", source, {"metadata": {"labels": {"workforce.dev/grantable": None}}})

    agent = place.until_reason("triage", "Ready", "NotGrantable", "reports", "workforce.dev/grantable=true")
    assert place.rights(uid) == {(place.namespace, "crm.example", "tickets", verb) for verb in ("get", "list")}
    assert [p["state"] for p in agent["status"]["permissions"]] == ["Refused", "Granted"]
    place.until_cannot("triage", "get", "reports", group="bi.example")

    place.installed.make_grantable(source, [reports])
    place.until_ready("triage")
    place.until_can("triage", "get", "reports", group="bi.example")
