"""What people and programs try in order to forge, rewrite or remove the record of an agent that has left."""

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import archiverecords
from support.archiverecords import PLURAL
from support.kube import ApiError, Kube, Object, wait_for
from support.tenancy import RBAC, Office, refused, unauthorized

pytestmark = pytest.mark.cluster

DEFINITIONS = ("apiextensions.k8s.io/v1", "customresourcedefinitions", f"{PLURAL}.{meta.GROUP}")
ALL = {"apiGroups": [meta.GROUP], "resources": [PLURAL, f"{PLURAL}/status"], "verbs": ["*"]}
FORGED = {"status": {"phase": "Certified"}}
GROUP = "rbac.authorization.k8s.io"


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
