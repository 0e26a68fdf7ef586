"""manifests/samples: accepted as they are, consistent among each other, and open to the authors that they name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from support.cluster import Cluster
from support.kube import ApiError, Kube, Object

pytestmark = pytest.mark.cluster

SAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "samples"
DOCUMENTS: list[Object] = [
    document
    for path in sorted(SAMPLES.rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document
]
# Who employs which agent, as 30-access.yaml says.
AUTHORS = {
    "triage": "product-owner@corp.example",
    "sourcing": "purchasing-owner@corp.example",
    "insights": "insights-owner@corp.example",
    "helpdesk": "product-owner@corp.example",
    "helpdesk-v2": "product-owner@corp.example",
}
ACCESS = ("30-access.yaml", "succession/10-access.yaml")


def of_kind(kind: str) -> list[Object]:
    return [document for document in DOCUMENTS if document["kind"] == kind]


def named(document: Object) -> str:
    return f"{document['kind']}:{document['metadata']['name']}"


@pytest.fixture(scope="module")
def kube(kernel: Cluster) -> Iterator[Kube]:
    """A cluster with the operator's definitions and policies, and with the namespaces and access of the samples."""
    admin = kernel.admin
    for document in of_kind("Namespace"):
        admin.apply(document, force=True)
    access = [document for file in ACCESS for document in yaml.safe_load_all((SAMPLES / file).read_text())]
    for document in access:
        admin.apply(document, force=True)
    yield admin
    for document in access:
        place = document["metadata"].get("namespace")
        admin.delete(document["apiVersion"], document["kind"], document["metadata"]["name"], namespace=place)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_sample_is_accepted_without_a_warning_about_unknown_fields(kube: Kube, document: Object) -> None:
    place = document["metadata"].get("namespace")
    path = kube.path(document["apiVersion"], document["kind"], place, document["metadata"]["name"])
    params = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "samples", "force": "true"}
    accepted = kube.raw("PATCH", path, document, params=params, content_type="application/apply-patch+yaml")
    if document["kind"] in ("AIAgent", "AgentRole", "AgentPolicy"):
        assert accepted["spec"].keys() >= document["spec"].keys()


@pytest.mark.parametrize("document", of_kind("AIAgent"), ids=named)
def test_agent_asks_only_for_what_its_role_has_and_has_the_owners_that_it_requires(document: Object) -> None:
    agent = AIAgent.model_validate(document)
    roles = {role.metadata.name: role.spec for role in map(AgentRole.model_validate, of_kind("AgentRole"))}
    role = roles[agent.spec.role_ref.name]
    sets = {entry.name for entry in role.permission_sets}
    asked = agent.spec.permissions or role.defaults.permissions
    assert asked, "an agent without rights shows nothing"
    assert {permission.name for permission in asked} <= sets
    assert {namespace for permission in asked for namespace in permission.namespaces} <= set(role.namespaces.names)
    assert set(role.required_owner_functions) <= {owner.function for owner in agent.spec.owners}


def test_every_right_of_the_roles_is_grantable() -> None:
    grantable = {
        (group, resource, verb, name)
        for cluster_role in of_kind("ClusterRole")
        if cluster_role["metadata"].get("labels", {}).get(meta.LABEL_GRANTABLE) == "true"
        for rule in cluster_role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
    promised = {
        (group, resource, verb, name)
        for role in map(AgentRole.model_validate, of_kind("AgentRole"))
        for entry in role.spec.permission_sets
        for rule in entry.rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
        for name in rule.resource_names or ("",)
    }
    assert promised <= grantable
    assert grantable <= promised, "grantable, but no role uses it: samples grant no more than they need"


@pytest.mark.parametrize("document", of_kind("AIAgent"), ids=named)
def test_author_named_in_the_samples_may_apply_the_agent(kube: Kube, document: Object) -> None:
    author = kube.as_user(AUTHORS[document["metadata"]["name"]])
    assert author.create(document, dry_run=True)["metadata"]["uid"]


@pytest.mark.parametrize("document", of_kind("AIAgent"), ids=named)
def test_author_of_another_role_may_not(kube: Kube, document: Object) -> None:
    """Even with the rights of an author in the namespace: the verb `use` on the role is missing."""
    name, place = document["metadata"]["name"], document["metadata"]["namespace"]
    stranger = next(user for user in AUTHORS.values() if user != AUTHORS[name])
    bindings = [b for b in of_kind("RoleBinding") if b["metadata"]["namespace"] == place]
    borrowed = [
        {
            **binding,
            "metadata": {"name": f"borrowed-{binding['metadata']['name']}", "namespace": place},
            "subjects": [{**binding["subjects"][0], "name": stranger}],
        }
        for binding in bindings
    ]
    for binding in borrowed:
        kube.apply(binding, force=True)
    try:
        role = document["spec"]["roleRef"]["name"]
        with pytest.raises(ApiError, match=f"may not employ agents of the role {role}"):
            kube.as_user(stranger).create(document, dry_run=True)
    finally:
        for binding in borrowed:
            kube.delete("rbac.authorization.k8s.io/v1", "rolebindings", binding["metadata"]["name"], namespace=place)
