"""The scan of foreign objects on a real API server, with the rights that the chart gives the operator and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from aiagent_operator.api import meta
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.scan import Scanner
from aiagent_operator.runtime.settings import Settings
from support import chart
from support.kube import ApiError as RefusedError
from support.kube import Kube, Object
from support.localcluster import ControlPlane

pytestmark = pytest.mark.cluster
RBAC = "rbac.authorization.k8s.io/v1"
AGENT = AgentIdentity("crm", "triage", "11111111-0000-0000-0000-000000000001")
INTAKE = AgentIdentity("crm", "intake", "11111111-0000-0000-0000-000000000002")
ELSEWHERE = AgentIdentity("sales", "triage", "11111111-0000-0000-0000-000000000003")


def binding(namespace: str, name: str, role: str, *subjects: dict[str, str], kind: str = "ClusterRole") -> Object:
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    whole = [s if s["kind"] == "ServiceAccount" else {"apiGroup": ref["apiGroup"], **s} for s in subjects]
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    made = "RoleBinding" if namespace else "ClusterRoleBinding"
    return {"apiVersion": RBAC, "kind": made, "metadata": metadata, "roleRef": ref, "subjects": whole}


def role(namespace: str, name: str, **rule: list[str]) -> Object:
    return {
        "apiVersion": RBAC,
        "kind": "Role",
        "metadata": {"namespace": namespace, "name": name},
        "rules": [{"apiGroups": [""], **rule}],
    }


def pod(name: str, account: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "crm", "name": name, "labels": labels},
        "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "registry.example/app:1"}]},
    }


def policy(name: str, selector: dict[str, Any]) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": "crm", "name": name},
        "spec": {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]},
    }


def account(namespace: str, name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name}


def group(name: str) -> dict[str, str]:
    return {"kind": "Group", "name": name}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A cluster with breaches that are older than the policies, which would refuse them; then the chart."""
    with ControlPlane(scheduler=False, kwok=False) as plane:
        admin = plane.admin
        for name in ("crm", "sales"):
            admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name in ("aiagent.triage", "aiagent.intake"):
            admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "crm", "name": name}})
        for made in breaches():
            admin.create(made)
        chart.install(admin)
        yield plane


def breaches() -> Iterator[Object]:
    yield binding("sales", "old-breach", "view", account("crm", "aiagent.triage"))
    yield binding("", "old-user-breach", "view", user("system:serviceaccount:crm:aiagent.intake"))
    yield pod("borrower", "aiagent.triage", {"app": "borrower"})
    labels = {meta.LABEL_AGENT_UID: INTAKE.uid, meta.LABEL_AGENT: "intake", meta.LABEL_AGENT_NAMESPACE: "crm"}
    yield pod("intake-1", "aiagent.intake", labels | {"app": "intake"})


@pytest_asyncio.fixture
async def scanner(plane: ControlPlane) -> AsyncIterator[Scanner]:
    """A scanner with the operator's own token, reading in pages that are smaller than the lists."""
    async with await connect(plane.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)) as api:
        yield Scanner(api, settings(), lambda: {"crm", "sales"})


def settings(**changes: Any) -> Settings:
    return Settings(namespace=chart.NAMESPACE, page_size=10, scan_interval=1, **changes)


async def connect(kubeconfig: Path) -> Api:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    return Api(configuration)


def sources(scanner: Scanner, agent: AgentIdentity) -> set[str]:
    return {f"{exposure.way} | {exposure.source}" for exposure in scanner.facts.for_agent(agent)}


@pytest.fixture
def made(plane: ControlPlane) -> Iterator[Maker]:
    maker = Maker(plane.admin)
    yield maker
    maker.clean()


class Maker:
    """Creates objects for one test and removes them after it."""

    def __init__(self, admin: Kube) -> None:
        self.admin = admin
        self._made: list[Object] = []

    def __call__(self, *objects: Object) -> None:
        for obj in objects:
            self._made.append(self.admin.create(obj))

    def clean(self) -> None:
        made, self._made = self._made, []
        for obj in reversed(made):
            metadata = obj["metadata"]
            self.admin.delete(obj["apiVersion"], obj["kind"], metadata["name"], namespace=metadata.get("namespace"))


async def test_breaches_older_than_the_policies_and_nothing_else_in_a_fresh_cluster(scanner: Scanner) -> None:
    await scanner.first()
    assert sources(scanner, AGENT) == {
        "gives rights to its account | RoleBinding sales/old-breach to ClusterRole view",
        "runs as its account | Pod crm/borrower",
    }
    assert sources(scanner, INTAKE) == {
        "gives rights to its account | ClusterRoleBinding old-user-breach to ClusterRole view"
    }
    assert sources(scanner, ELSEWHERE) == set()


def test_the_policies_refuse_today_what_the_scan_finds_of_yesterday(made: Maker) -> None:
    for breach in breaches():
        breach["metadata"]["name"] += "-again"
        with pytest.raises(RefusedError, match="only the operator"):
            made(breach)


async def test_the_built_in_edit_exposes_and_the_charts_own_does_not(scanner: Scanner, made: Maker) -> None:
    made(binding("crm", "safe", "workforce-edit", group("devs")), binding("crm", "safer", "workforce-admin", user("a")))
    await scanner.first()
    before = sources(scanner, AGENT)
    made(binding("crm", "risky", "edit", group("devs")))
    await scanner.scan()
    assert sources(scanner, AGENT) - before == {
        "may impersonate | RoleBinding crm/risky to ClusterRole edit",
        "may run commands in its pods | RoleBinding crm/risky to ClusterRole edit",
        "may attach to its pods | RoleBinding crm/risky to ClusterRole edit",
    }
    assert sources(scanner, ELSEWHERE) == set()


async def test_what_is_reported_is_what_the_api_server_allows(scanner: Scanner, made: Maker) -> None:
    """Each exposure, asked of the API server itself, for holders of roles of every kind."""
    made(
        role("crm", "shell", resources=["pods/exec"], verbs=["create"]),
        role("crm", "reader", resources=["pods", "pods/log"], verbs=["get", "list"]),
        role("crm", "mask", resources=["serviceaccounts"], verbs=["impersonate"], resourceNames=["aiagent.intake"]),
        role("crm", "star", resources=["*/ephemeralcontainers"], verbs=["*"]),
    )
    own = ("shell", "reader", "mask", "star")
    built_in = ("view", "edit", "admin", "cluster-admin", "workforce-edit", "workforce-admin")
    for name in own:
        made(binding("crm", name, name, user(name), kind="Role"))
    for name in built_in:
        made(binding("crm", name, name, user(name)))
    await scanner.first()
    ways = {
        "may impersonate": ("impersonate", "", "serviceaccounts", ""),
        "may run commands in its pods": ("create", "", "pods", "exec"),
        "may attach to its pods": ("create", "", "pods", "attach"),
        "may add containers to its pods": ("patch", "", "pods", "ephemeralcontainers"),
    }
    for agent in (AGENT, INTAKE):
        found = {(exposure.subject, str(exposure.way)) for exposure in scanner.facts.for_agent(agent)}
        for name in (*own, *built_in):
            for way, right in ways.items():
                allowed = may(made.admin, name, *right, meta.account_name(agent.name))
                assert ((f'User "{name}"', way) in found) is allowed, (agent.name, name, way)


def may(admin: Kube, who: str, verb: str, api_group: str, resource: str, subresource: str, name: str) -> bool:
    attributes = {"namespace": "crm", "verb": verb, "group": api_group, "resource": resource, "name": name}
    spec = {
        "user": who,
        "groups": ["system:authenticated"],
        "resourceAttributes": attributes | {"subresource": subresource},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = admin.raw("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


async def test_rights_through_groups_are_found_with_their_binding(scanner: Scanner, made: Maker) -> None:
    await scanner.first()
    before = sources(scanner, AGENT)
    made(binding("sales", "everybody", "view", group("system:authenticated")))
    made(binding("sales", "crm-only", "view", group("system:serviceaccounts:crm")))
    await scanner.scan()
    assert sources(scanner, AGENT) - before == {
        "gives rights to its group | RoleBinding sales/everybody to ClusterRole view",
        "gives rights to its group | RoleBinding sales/crm-only to ClusterRole view",
    }
    assert sources(scanner, ELSEWHERE) == {
        "gives rights to its group | RoleBinding sales/everybody to ClusterRole view"
    }


async def test_network_policies_that_select_an_agents_pods_are_found(scanner: Scanner, made: Maker) -> None:
    await scanner.first()
    before = {agent: sources(scanner, agent) for agent in (AGENT, INTAKE)}
    made(policy("everything", {}), policy("by-label", {"matchLabels": {"app": "intake"}}))
    made(policy("others", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["borrower"]}]}))
    await scanner.scan()
    widens = "widens what its pods may reach or who reaches them | NetworkPolicy crm/"
    assert sources(scanner, AGENT) - before[AGENT] == {f"{widens}everything"}
    assert sources(scanner, INTAKE) - before[INTAKE] == {f"{widens}everything", f"{widens}by-label"}


async def test_changes_name_their_namespaces(scanner: Scanner, made: Maker) -> None:
    await scanner.first()
    assert await scanner.scan() == set()
    made(binding("crm", "risky", "edit", group("devs")))
    assert await scanner.scan() == {"crm"}
    made(binding("", "sre", "edit", group("sre")))
    assert await scanner.scan() == {"crm", "sales"}
    made.clean()
    assert await scanner.scan() == {"crm", "sales"}


async def test_with_named_namespaces_only_these_are_read(plane: ControlPlane, made: Maker) -> None:
    made(binding("crm", "risky", "edit", group("devs")), binding("sales", "risky", "edit", group("devs")))
    async with await connect(plane.kubeconfig) as api:
        scanner = Scanner(api, settings(watch_namespaces=("sales",)), lambda: {"sales"})
        await scanner.first()
        assert "may impersonate | RoleBinding sales/risky to ClusterRole edit" in sources(scanner, ELSEWHERE)
        assert sources(scanner, AGENT) <= {
            "gives rights to its account | RoleBinding sales/old-breach to ClusterRole view"
        }


async def test_a_failed_scan_changes_nothing_and_says_so(plane: ControlPlane, made: Maker) -> None:
    made(binding("crm", "risky", "edit", group("devs")))
    async with await connect(plane.kubeconfig_for("nobody@corp.example")) as api:
        scanner = Scanner(api, settings(), lambda: {"crm"})
        with pytest.raises(ApiError, match="clusterroles"):
            await scanner.scan()
        assert sources(scanner, AGENT) == set()
