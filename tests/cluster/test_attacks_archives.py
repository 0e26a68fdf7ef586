"""What people and programs try in order to forge, rewrite or remove the record of an agent that has left."""

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import archiverecords
from support.agents import order
from support.archiverecords import PLURAL
from support.kube import ApiError, Kube, Object, wait_for
from support.tenancy import RBAC, Office, refused, unauthorized

pytestmark = pytest.mark.cluster

DEFINITIONS = ("apiextensions.k8s.io/v1", "customresourcedefinitions", f"{PLURAL}.{meta.GROUP}")
ALL = {"apiGroups": [meta.GROUP], "resources": [PLURAL, f"{PLURAL}/status"], "verbs": ["*"]}
FORGED = {"status": {"phase": "Certified"}}
GROUP = "rbac.authorization.k8s.io"
STOPS = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["suspend", "resume"]}


@pytest.fixture
def name(office: Office) -> Iterator[str]:
    """The record of an archive, which the operator has made."""
    yield office.operator.create(archiverecords.record(f"triage-{office.namespace}"))["metadata"]["name"]
    archiverecords.clear(office.admin, f"triage-{office.namespace}")


def give(office: Office, subject: Object, cluster_role: str) -> None:
    """Bind the ClusterRole in the whole cluster, until the office closes."""
    name = f"archivist-{uuid.uuid4().hex[:8]}"
    ref = {"apiGroup": GROUP, "kind": "ClusterRole", "name": cluster_role}
    head = {"apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    office.admin.create({**head, "roleRef": ref, "subjects": [subject]})
    office.bound.append(("ClusterRoleBinding", name))


def entrusted(office: Office, subject: Object, user: str) -> None:
    """Give somebody every right on AgentArchives, and wait until it counts."""
    name = f"archivist-{uuid.uuid4().hex[:8]}"
    office.admin.create({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [ALL]})
    office.bound.append(("ClusterRole", name))
    give(office, subject, name)
    wait_for(
        lambda: office.admin.allowed(user, "delete", PLURAL, group=meta.GROUP), what=f"{user} to hold the rights on it"
    )


@pytest.fixture
def clerk(office: Office) -> Kube:
    """Somebody whom an administrator has given every right on AgentArchives."""
    user = f"clerk-{office.namespace}"
    entrusted(office, {"kind": "User", "name": user, "apiGroup": GROUP}, user)
    return office.admin.as_user(user)


@pytest.fixture
def robot(office: Office) -> Kube:
    """A ServiceAccount that has every right on AgentArchives, as a GitOps tool may have."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": office.namespace}
    entrusted(office, subject, f"system:serviceaccount:{office.namespace}:default")
    return office.admin.as_serviceaccount(office.namespace, "default")


# Forging -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["editor", "owner"])
def test_forging_one_with_the_rights_of_a_tenant(office: Office, name: str, who: str) -> None:
    person: Kube = getattr(office, who)
    with unauthorized(f'cannot create resource "{PLURAL}"'):
        person.create(archiverecords.record("forged"))
    with unauthorized(f'cannot get resource "{PLURAL}"'):
        person.get(meta.API_VERSION, PLURAL, name)


@pytest.mark.parametrize("cluster_role", ["admin", "workforce-admin", "workforce-agents-abandon"])
def test_no_role_for_people_writes_them_not_even_in_the_whole_cluster(office: Office, cluster_role: str) -> None:
    user = f"{cluster_role}-{office.namespace}"
    give(office, {"kind": "User", "name": user, "apiGroup": GROUP}, cluster_role)
    wait_for(
        lambda: office.admin.allowed(user, "get", "aiagents", group=meta.GROUP), what=f"{user} to hold {cluster_role}"
    )
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        for subresource in ("", "status"):
            assert not office.admin.allowed(user, verb, PLURAL, group=meta.GROUP, subresource=subresource), verb


def test_forging_one_with_every_right(office: Office, clerk: Kube) -> None:
    with refused("agent-archives", "only the operator makes one"):
        clerk.create(archiverecords.record("forged"))
    with refused("agent-archives", "delete the AIAgent, and its archive follows"):
        clerk.apply(archiverecords.record("forged"))


def test_forging_one_as_administrator_of_the_cluster(office: Office) -> None:
    with refused("agent-archives", "only the operator makes one"):
        office.admin.create(archiverecords.record("forged"))


def test_restoring_one_from_a_backup(office: Office, robot: Kube) -> None:
    with refused("agent-archives", "only the operator makes one"):
        robot.create(archiverecords.record("restored"))


# Rewriting -----------------------------------------------------------------------------------------------------------


def test_rewriting_what_was_archived(office: Office, name: str, clerk: Kube) -> None:
    for person in (clerk, office.admin):
        for spec in ({"reason": "Business"}, {"retention": {"until": "2026-11-23T10:00:00Z"}}, {"notCaptured": None}):
            with pytest.raises(ApiError, match="an archive is a record and never changes"):
                person.patch(meta.API_VERSION, PLURAL, name, {"spec": spec})


def test_claiming_that_it_was_verified_or_certified(office: Office, name: str, clerk: Kube, robot: Kube) -> None:
    for person in (clerk, robot, office.admin):
        with refused("agent-status", "that of an archive follows the archive in its store"):
            person.patch(meta.API_VERSION, PLURAL, name, FORGED, subresource="status")


def test_slipping_a_status_in_with_metadata(office: Office, name: str, clerk: Kube) -> None:
    live = clerk.get(meta.API_VERSION, PLURAL, name)
    after = clerk.replace(live | FORGED)
    assert after["status"] == live["status"]
    assert "phase" not in after["status"]


@pytest.fixture
def loosened(office: Office, name: str) -> Iterator[None]:
    """An administrator has taken out of the definition what keeps records as they are."""
    whole = office.admin.get(*DEFINITIONS)["spec"]["versions"]
    loose = copy.deepcopy(whole)
    del loose[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    del loose[0]["subresources"]

    def define(versions: Any) -> None:
        patch = [{"op": "replace", "path": "/spec/versions", "value": versions}]
        office.admin.patch(*DEFINITIONS, patch, kind="json")

    def by_definition() -> bool:
        try:
            office.admin.patch(meta.API_VERSION, PLURAL, name, {"spec": {"reason": "Business"}})
        except ApiError as error:
            return "never changes" in error.message
        raise AssertionError("neither the definition nor a policy has refused it")

    define(loose)
    try:
        wait_for(lambda: not by_definition(), what="the definition to say nothing about changes")
        yield
    finally:
        define(whole)
        wait_for(by_definition, what="the definition to refuse changes again")


def test_rewriting_it_past_a_loosened_definition(office: Office, name: str, loosened: None) -> None:
    for patch in ({"spec": {"reason": "Business"}}, FORGED):
        with refused("agent-archives", "change metadata only"):
            office.admin.patch(meta.API_VERSION, PLURAL, name, patch)
    archiverecords.mark(office.admin, name, "not yet")


# Holding and releasing -----------------------------------------------------------------------------------------------

ORDERS = {"apiGroups": [meta.GROUP], "resources": ["agentactions", "agentactions/status"], "verbs": ["*"]}
BOTH = {"apiGroups": [meta.GROUP], "resources": ["aiagents", PLURAL], "verbs": ["hold", "release"]}
HOLDS = {"apiGroups": [meta.GROUP], "resources": ["aiagents", PLURAL], "verbs": ["hold"]}
LISTED = {
    "uid": "u", "namespace": "legal", "order": "keep", "by": "ann", "since": "2026-11-22T10:00:00Z",
    "ground": "LegalClaims", "reason": "A case",
}  # fmt: skip


def hold(office: Office, by: str, name: str = "keep", action: str = "Hold", **about: Any) -> Object:
    ground = {"ground": "LegalClaims"} if action == "Hold" else {}
    about = {f"{key}Ref": {"name": value} for key, value in about.items()}
    return order(office.namespace, name, action, by, **ground, **about)


@pytest.fixture
def held(office: Office) -> Object:
    """A Hold on what there is of the agent, which the operator guards."""
    office.admin.create(hold(office, office.admin.whoami(), agent="triage"))
    patch = {"metadata": {"finalizers": [meta.HOLD_FINALIZER]}}
    return office.operator.patch(meta.API_VERSION, "agentactions", "keep", patch, namespace=office.namespace)


@pytest.mark.parametrize("action", ["Hold", "Release"])
def test_holding_and_releasing_without_the_verb(office: Office, name: str, action: str) -> None:
    clerk = office.person(ORDERS)
    verb = action.lower()
    with refused("order-verbs", f"ask for the verb {verb} on aiagents/triage"):
        clerk.create(hold(office, clerk.whoami(), action=action, agent="triage"))
    with refused("order-verbs", f"ask for the verb {verb} on agentarchives/{name} in the whole cluster"):
        clerk.create(hold(office, clerk.whoami(), action=action, archive=name))


def test_holding_in_anothers_name(office: Office) -> None:
    clerk = office.person(ORDERS, BOTH)
    with refused("order-verbs", f"spec.requestedBy must be {clerk.whoami()}"):
        clerk.create(hold(office, "counsel@corp.example", agent="triage"))


@pytest.mark.parametrize("action", ["Hold", "Release"])
def test_naming_an_archive_with_rights_in_ones_own_namespace(office: Office, name: str, action: str) -> None:
    """Whoever's archive it is: its name stands for no namespace."""
    clerk = office.person(ORDERS, BOTH)
    assert clerk.create(hold(office, clerk.whoami(), "own", action, agent="triage"))
    for archive in (name, "no-such-archive"):
        with refused("order-verbs", f"on agentarchives/{archive} in the whole cluster"):
            clerk.create(hold(office, clerk.whoami(), action=action, archive=archive))


def test_naming_an_archive_with_the_verb_on_all(office: Office, name: str) -> None:
    user = f"counsel-{office.namespace}"
    for role in ("workforce-archives-hold", "workforce-archives-release"):
        give(office, {"kind": "User", "name": user, "apiGroup": GROUP}, role)
    wait_for(lambda: office.admin.allowed(user, "release", PLURAL, group=meta.GROUP), what="counsel to hold the verb")
    counsel = office.admin.as_user(user)
    assert counsel.create(hold(office, user, archive=name))
    assert counsel.create(hold(office, user, "end", "Release", archive=name))
    counsel.delete(meta.API_VERSION, "agentactions", "keep", namespace=office.namespace)


def test_lifting_a_hold_without_the_verb_release(office: Office, held: Object) -> None:
    clerk = office.person(ORDERS, HOLDS, STOPS)
    what = (meta.API_VERSION, "agentactions", "keep")
    with refused("order-lifting", "ask for the verb release on aiagents"):
        clerk.delete(*what, namespace=office.namespace)
    with refused("order-lifting", "may not lift the order keep"):
        clerk.raw("DELETE", clerk.path(meta.API_VERSION, "agentactions", office.namespace, None))
    for finalizers in (None, ["somebody.example/else"]):
        with refused("order-finalizer", "the finalizer workforce.dev/hold is the operator's"):
            clerk.patch(*what, {"metadata": {"finalizers": finalizers}}, namespace=office.namespace)
    with pytest.raises(ApiError, match="an order is never changed"):
        clerk.patch(*what, {"spec": {"agentRef": {"name": "other"}}}, namespace=office.namespace)
    assert "deletionTimestamp" not in office.admin.get(*what, namespace=office.namespace)["metadata"]


def test_lifting_a_hold_on_an_archive_with_rights_in_ones_own_namespace(office: Office, name: str) -> None:
    office.admin.create(hold(office, office.admin.whoami(), archive=name))
    clerk = office.person(ORDERS, BOTH)
    with refused("order-lifting", f"ask for the verb release on agentarchives/{name} in the whole cluster"):
        clerk.delete(meta.API_VERSION, "agentactions", "keep", namespace=office.namespace)


def test_lifting_a_hold_with_its_namespace_leaves_the_order_until_the_operator_has_noted_it(
    office: Office, held: Object
) -> None:
    controller = office.admin.as_serviceaccount("kube-system", "namespace-controller")
    controller.delete(meta.API_VERSION, "agentactions", "keep", namespace=office.namespace)
    there = office.admin.get(meta.API_VERSION, "agentactions", "keep", namespace=office.namespace)
    assert there["metadata"]["finalizers"] == [meta.HOLD_FINALIZER]
    office.admin.patch(
        meta.API_VERSION, "agentactions", "keep", {"metadata": {"finalizers": None}}, namespace=office.namespace
    )


def test_deleting_the_record_of_an_archive_that_is_held(office: Office, name: str, clerk: Kube) -> None:
    where = (meta.API_VERSION, PLURAL, name)
    office.operator.patch(*where, {"status": {"holds": [LISTED]}}, subresource="status")
    archiverecords.mark(clerk, name, name)
    for person in (clerk, office.admin):
        with refused("agent-archives", "is under legal hold"):
            person.delete(*where)
    with refused("agent-status", "only the operator writes the status"):
        clerk.patch(*where, {"status": {"holds": None}}, subresource="status")
    office.operator.patch(*where, {"status": {"holds": None}}, subresource="status")


# Erasing and abandoning ----------------------------------------------------------------------------------------------

GIVES_UP = {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["abandon"]}
ERASES = {"apiGroups": [meta.GROUP], "resources": ["aiagents", PLURAL], "verbs": ["erase"]}


def test_erasing_without_the_verb_or_with_that_on_agents_of_a_namespace(office: Office, name: str) -> None:
    clerk = office.person(ORDERS, BOTH, GIVES_UP, ERASES)
    for archive in (name, "no-such-archive"):
        with refused("order-verbs", f"ask for the verb erase on agentarchives/{archive} in the whole cluster"):
            clerk.create(hold(office, clerk.whoami(), action="Erase", archive=archive))
    with pytest.raises(ApiError, match="Erase is about one archive"):
        clerk.create(hold(office, clerk.whoami(), action="Erase", agent="triage"))


def test_erasing_in_anothers_name_and_changing_it_afterwards(office: Office, name: str) -> None:
    user = f"dpo-{office.namespace}"
    give(office, {"kind": "User", "name": user, "apiGroup": GROUP}, "workforce-archives-erase")
    wait_for(lambda: office.admin.allowed(user, "erase", PLURAL, group=meta.GROUP), what="the officer to hold the verb")
    officer = office.admin.as_user(user)
    with refused("order-verbs", f"spec.requestedBy must be {user}"):
        officer.create(hold(office, "counsel@corp.example", "forget", "Erase", archive=name))
    assert officer.create(hold(office, user, "forget", "Erase", archive=name))
    clerk = office.person(ORDERS)
    for patch in ({"archiveRef": {"name": "other"}}, {"reason": "Another one"}):
        with pytest.raises(ApiError, match="an order is never changed"):
            clerk.patch(meta.API_VERSION, "agentactions", "forget", {"spec": patch}, namespace=office.namespace)
    with refused("order-verbs", "ask for the verb hold"):
        officer.create(hold(office, user, archive=name))


def test_saying_that_it_was_erased(office: Office, name: str, clerk: Kube) -> None:
    said = {**LISTED, "startTime": LISTED["since"]}
    erasure = {key: said[key] for key in ("uid", "namespace", "order", "by", "reason", "startTime")}
    with refused("agent-status", "only the operator writes the status"):
        clerk.patch(meta.API_VERSION, PLURAL, name, {"status": {"erasure": erasure}}, subresource="status")


def test_abandoning_without_the_verb_or_in_anothers_name(office: Office) -> None:
    clerk = office.person(ORDERS, BOTH)
    with refused("order-verbs", "ask for the verb abandon on aiagents/triage"):
        clerk.create(hold(office, clerk.whoami(), action="Abandon", agent="triage"))
    ciso = office.person(ORDERS, GIVES_UP)
    with refused("order-verbs", f"spec.requestedBy must be {ciso.whoami()}"):
        ciso.create(hold(office, "ceo@corp.example", action="Abandon", agent="triage"))
    assert ciso.create(hold(office, ciso.whoami(), "give-up", "Abandon", agent="triage"))
    with pytest.raises(ApiError, match="an order is never changed"):
        ciso.patch(
            meta.API_VERSION, "agentactions", "give-up", {"spec": {"agentRef": {"name": "other"}}},
            namespace=office.namespace,
        )  # fmt: skip


def test_abandoning_an_agent_of_another_namespace(office: Office) -> None:
    ciso = office.person(ORDERS, GIVES_UP)
    about = {"agentRef": {"name": "triage", "namespace": "kube-system"}}
    with refused("order-verbs", "may not order Abandon in kube-system: ask for the verb abandon on aiagents/triage"):
        ciso.create(order(office.namespace, "give-up", "Abandon", ciso.whoami(), **about))
    with pytest.raises(ApiError, match=r"agentRef\.namespace goes with Abandon only"):
        office.admin.create(order(office.namespace, "stop", "Suspend", office.admin.whoami(), **about))


def test_saying_that_an_agent_was_abandoned(office: Office) -> None:
    body = archiverecords.record(f"forged-{office.namespace}")
    del body["spec"]["manifest"]
    said = {key: LISTED[key] for key in ("uid", "namespace", "order", "by", "reason")}
    body["spec"]["abandoned"] = {**said, "time": LISTED["since"], "message": "The store is lost"}
    with refused("agent-archives", "only the operator makes one"):
        office.admin.create(body)


# Removing ------------------------------------------------------------------------------------------------------------


def test_deleting_it(office: Office, name: str, clerk: Kube) -> None:
    remedy = f"kubectl annotate agentarchive {name} {archiverecords.ALLOW_DELETION}={name}"
    for person in (clerk, office.admin):
        for propagation in ("Background", "Foreground", "Orphan"):
            with refused("agent-archives", remedy):
                person.delete(meta.API_VERSION, PLURAL, name, propagation=propagation)
    assert "deletionTimestamp" not in office.admin.get(meta.API_VERSION, PLURAL, name)["metadata"]


def test_deleting_all_at_once(office: Office, name: str, clerk: Kube) -> None:
    with refused("agent-archives", "is a record of what an agent could do and did"):
        clerk.raw("DELETE", clerk.path(meta.API_VERSION, PLURAL, None, None))
    assert office.admin.get(meta.API_VERSION, PLURAL, name)


@pytest.mark.parametrize("value", ["true", "", "triage"])
def test_deleting_it_with_an_annotation_that_names_another(office: Office, name: str, value: str) -> None:
    archiverecords.mark(office.admin, name, value)
    with refused("agent-archives", "if that is wanted, annotate it first"):
        office.admin.delete(meta.API_VERSION, PLURAL, name)


def test_deleting_it_by_a_program(office: Office, name: str, robot: Kube) -> None:
    archiverecords.mark(robot, name, name)
    with refused("agent-archives", "Only a person deletes it, no ServiceAccount"):
        robot.delete(meta.API_VERSION, PLURAL, name)


def test_deleting_it_by_the_operator_itself(office: Office, name: str) -> None:
    archiverecords.mark(office.admin, name, name)
    with unauthorized(f'cannot delete resource "{PLURAL}"'):
        office.operator.delete(meta.API_VERSION, PLURAL, name)


def test_deleting_it_by_the_garbage_collector(office: Office, name: str, clerk: Kube) -> None:
    ghost = {"apiVersion": "v1", "kind": "Namespace", "name": "gone", "uid": str(uuid.uuid4())}
    clerk.patch(meta.API_VERSION, PLURAL, name, {"metadata": {"ownerReferences": [ghost]}})
    collector = office.admin.as_serviceaccount("kube-system", "generic-garbage-collector")
    with refused("agent-archives", "no ServiceAccount"):
        collector.delete(meta.API_VERSION, PLURAL, name)
    assert office.admin.get(meta.API_VERSION, PLURAL, name)
