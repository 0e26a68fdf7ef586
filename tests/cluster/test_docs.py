"""What the documents show is accepted by a real API server, and does there what they say."""

import copy
import re
from collections.abc import Iterator

import pytest

from support import agents
from support.cluster import Cluster
from support.documents import DOCUMENTS, ROOT, Block, blocks, objects
from support.kube import ApiError, Kube, Object
from support.operator import OperatorProcess

pytestmark = pytest.mark.cluster

# Kinds of tools around the cluster, and what kubectl reads itself: a control plane alone does not serve them.
ELSEWHERE = ("argoproj.io/", "helm.toolkit.fluxcd.io/", "kustomize.config.k8s.io/", "kustomize.toolkit.fluxcd.io/")
ELSEWHERE += ("source.toolkit.fluxcd.io/",)
README = ROOT / "README.md"
PERMISSIONS = ROOT / "docs" / "permissions.md"
MANIFESTS = [
    (block, document)
    for path in DOCUMENTS
    for block in blocks(path, "yaml")
    for document in objects(block)
    if {"apiVersion", "kind", "metadata"} <= document.keys() and not document["apiVersion"].startswith(ELSEWHERE)
]


def named(value: object) -> str:
    return str(value) if isinstance(value, Block) else f"{value['kind']}:{value['metadata']['name']}"  # type: ignore[index]


@pytest.mark.parametrize(("block", "document"), MANIFESTS, ids=named)
def test_a_manifest_is_accepted_without_unknown_fields(
    kernel: Cluster, namespace: str, block: Block, document: Object
) -> None:
    admin = kernel.admin
    sent = copy.deepcopy(document)
    if sent["metadata"].get("namespace"):
        sent["metadata"]["namespace"] = namespace
    if sent["kind"] == "AgentAction":  # in one's own name
        sent["spec"]["requestedBy"] = admin.whoami()
    path = admin.path(sent["apiVersion"], sent["kind"], sent["metadata"].get("namespace"), sent["metadata"]["name"])
    params = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "docs", "force": "true"}
    accepted = admin.raw("PATCH", path, sent, params=params, content_type="application/apply-patch+yaml")
    assert accepted["metadata"]["name"] == sent["metadata"]["name"]


def test_there_are_manifests_of_both_kinds() -> None:
    assert {"AIAgent", "AgentRole", "ClusterRole"} <= {document["kind"] for _, document in MANIFESTS}


# Rows of "What bad input looks like" in docs/onboarding.md: a change of a spec that is right, and what the page quotes.
BAD_INPUT: list[tuple[Object, str]] = [
    ({"purpos": "answer tickets"}, 'unknown field "spec.purpos"'),
    ({"owners": [agents.owner(responsibility="Responsible")]}, "exactly one owner must be Accountable"),
    ({"owners": [agents.owner(), agents.owner("other")]}, "exactly one owner must be Accountable"),
    ({"workload": {}}, "set exactly one of targetRef and template"),
    (
        {"permissions": [agents.permission("all", rules=[agents.rule("*", "tickets")])]},
        "spec.permissions[0].rules[0].verbs[0] in body should match",
    ),
    (
        {"workload": {"template": agents.pod_template(serviceAccountName="aiagent.other")}},
        "leave serviceAccountName out: the operator puts the agent's own account there",
    ),
    ({"name": 41 * "a"}, "the name of an AIAgent must be a DNS label of at most 40 characters"),
    ({"name": "tri.age"}, "the name of an AIAgent must be a DNS label of at most 40 characters"),
]


@pytest.mark.parametrize(("change", "quoted"), BAD_INPUT, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input_looks_as_the_page_says(kernel: Cluster, namespace: str, change: Object, quoted: str) -> None:
    assert quoted in (ROOT / "docs" / "onboarding.md").read_text()
    name = change.get("name", "triage")
    spec = {key: value for key, value in change.items() if key != "name"}
    manifest = agents.agent(namespace, name, "support")
    manifest["spec"] |= spec
    path = kernel.admin.path(agents.API, "aiagents", namespace, None)
    with pytest.raises(ApiError, match=re.escape(quoted)):
        kernel.admin.raw("POST", path, manifest, params={"dryRun": "All", "fieldValidation": "Strict"})


@pytest.fixture
def desk(admin: Kube, operator: OperatorProcess) -> Iterator[list[Object]]:
    """What a test appends here exists from then on, and is removed after the test, agents first and waited for."""
    made: list[Object] = []
    yield made
    for obj in reversed(made):
        meta = obj["metadata"]
        admin.delete(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))
        if obj["kind"] == "AIAgent":
            admin.wait_gone(agents.API, "aiagents", meta["name"], namespace=meta["namespace"])


def put(admin: Kube, desk: list[Object], *documents: Object) -> None:
    """Apply them, each with the namespace that it is in."""
    for document in documents:
        place = document["metadata"].get("namespace")
        if place and admin.find("v1", "namespaces", place) is None:
            put(admin, desk, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
        admin.apply(document, force=True)
        desk.append(document)


def settled(agent: Object) -> Object | None:
    """The agent's permissions by name, once its present spec has been decided."""
    status = agent.get("status", {})
    if status.get("observedGeneration") != agent["metadata"]["generation"]:
        return None
    return {entry["name"]: entry for entry in status.get("permissions", [])}


def test_the_first_agent_of_the_readme_is_what_the_readme_says(admin: Kube, desk: list[Object]) -> None:
    put(admin, desk, *(document for block in blocks(README, "yaml") for document in objects(block)))

    def decided(agent: Object) -> bool:
        work = agents.condition(agent, "WorkloadReady")
        return bool(settled(agent) and work and work["status"] == "True")

    what = "the first agent to work, with its permissions decided"
    agent = admin.wait_object(agents.API, "aiagents", "helper", decided, what=what, namespace="first-agents")

    states = {name: entry["state"] for name, entry in (settled(agent) or {}).items()}
    assert states == {"read-articles": "Granted", "write-articles": "Refused"}
    user, groups = agents.username("first-agents", "helper"), agents.groups("first-agents")

    def may(verb: str) -> bool:
        return admin.allowed(user, verb, "configmaps", groups=groups, namespace="first-agents")

    admin.wait_for(lambda: may("list"), what="the agent to be allowed to list configmaps")
    assert not may("update")


# The table of examples in docs/permissions.md: what is asked for, and the reason of what becomes of it.
TOGETHER: list[tuple[Object, str]] = [
    (agents.permission("read-tickets", "crm"), "Granted"),
    (agents.permission("delete-tickets"), "PermissionSetNotFound"),
    (agents.permission("drafts", rules=[agents.rule("update", "configmaps", "drafts", group="")]), "Granted"),
    (agents.permission("clean-up", rules=[agents.rule("delete", "configmaps", group="")]), "BeyondRoleCeiling"),
    (agents.permission("secrets", rules=[agents.rule("get", "secrets", group="")]), "BeyondRoleCeiling"),
    (agents.permission("shell", rules=[agents.rule("create", "pods/exec", group="")]), "ForbiddenRight"),
    (agents.permission("notes", "crm", rules=[agents.rule("patch", "tickets", group="crm.example")]), "Granted"),
    (agents.permission("issue-refunds"), "Granted"),
    (agents.permission("close-disputes"), "ForbiddenCombination"),
]
# The same set of the role as above, so it stands in a spec of its own.
ALONE = [(agents.permission("read-tickets", "finance"), "NamespaceNotAllowed")]


def test_the_examples_of_permissions_become_what_the_table_says(admin: Kube, desk: list[Object]) -> None:
    role, agent, ceiling = (
        next(document for block, document in MANIFESTS if block.path == PERMISSIONS and document["kind"] == kind)
        for kind in ("AgentRole", "AIAgent", "ClusterRole")
    )
    spaces: list[Object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in ("crm", "finance")
        if admin.find("v1", "namespaces", name) is None
    ]
    put(admin, desk, *spaces, ceiling, role, agent)
    name, place = agent["metadata"]["name"], agent["metadata"]["namespace"]

    for examples in (TOGETHER, ALONE):
        spec = {"permissions": [asked for asked, _ in examples]}
        admin.patch(agents.API, "aiagents", name, {"spec": spec}, namespace=place)
        expected = {asked["name"]: reason for asked, reason in examples}

        def as_expected(found: Object, expected: dict[str, str] = expected) -> bool:
            return {key: entry["reason"] for key, entry in (settled(found) or {}).items()} == expected

        admin.wait_object(agents.API, "aiagents", name, as_expected, what=f"reasons to be {expected}", namespace=place)
