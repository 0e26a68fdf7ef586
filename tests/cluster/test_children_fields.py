"""Children as the API server stores them: nothing it fills in may look like drift, and every edit must."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aiagent_operator.api.connections import Connection
from aiagent_operator.core import injection
from aiagent_operator.core.children import (
    deployment,
    handbook,
    network_policy,
    observe,
    role,
    role_binding,
    service_account,
)
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired
from aiagent_operator.core.rights.rules import Rule
from support import chart
from support.kube import ApiError, Kube, Object
from support.operator import GRANTABLE_GROUP, Installation

pytestmark = pytest.mark.cluster

CONNECTIONS = tuple(
    map(
        Connection.model_validate,
        (
            {"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}, "secretRef": {"name": "crm"}},
            {"name": "mail", "egress": {"cidr": "2001:db8::/32", "port": 25, "protocol": "UDP"}, "audience": "mail"},
            {"name": "both", "secretRef": {"name": "both"}, "audience": "https://both.example"},
        ),
    )
)
EDITS: dict[ChildKind, Callable[[Object], Any]] = {
    ChildKind.SERVICE_ACCOUNT: lambda obj: obj.update(automountServiceAccountToken=True),
    ChildKind.ROLE: lambda obj: obj["rules"].pop(),
    ChildKind.ROLE_BINDING: lambda obj: obj.pop("subjects"),
    ChildKind.NETWORK_POLICY: lambda obj: obj["spec"].update(ingress=[{}]),
    ChildKind.CONFIG_MAP: lambda obj: obj["metadata"]["labels"].pop("workforce.dev/agent"),
    ChildKind.DEPLOYMENT: lambda obj: obj["metadata"]["annotations"].update({"workforce.dev/spec-hash": "other"}),
}


@pytest.fixture
def hands(installed: Installation) -> Kube:
    """The operator's account, with the chart's rights and under its policies; no operator runs beside it."""
    installed.end_shared()
    return installed.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)


def children(namespace: str) -> list[Desired]:
    agent = AgentIdentity(namespace, "triage", str(uuid.uuid4()))
    book = handbook.build(agent, handbook.EffectiveHandbook("Answer", None, None, (), (), ("Promise.",)), "Be kind.")
    pods = injection.build(agent, book.key.name, CONNECTIONS)
    template = {
        "metadata": {"labels": {"app": "triage"}, "annotations": {"note": "kept"}},
        "spec": {
            "containers": [{"name": "app", "image": "registry.example/app:1", "ports": [{"containerPort": 8080}]}],
            "initContainers": [
                {
                    "name": "sidecar",
                    "image": "registry.example/sidecar:1",
                    "restartPolicy": "Always",
                    "volumeMounts": [{"name": "workforce-token", "mountPath": "/token"}],
                }
            ],
        },
    }
    dns = network_policy.DnsPeers(cidrs=("169.254.20.10/32",), ports=(53, 5353))
    rules = [
        Rule((GRANTABLE_GROUP,), ("tickets", "articles"), ("list", "get")),
        Rule((GRANTABLE_GROUP,), ("refunds",), ("get",), ("one",)),
    ]
    return [
        service_account.build(agent),
        role.build(agent, namespace, rules),
        role_binding.build(agent, namespace),
        network_policy.build(agent, CONNECTIONS, [("10.0.0.1", 6443), ("fd00::1", 443)], dns),
        book,
        deployment.build(agent, 1, template, 0, pods),
    ]


def live(hands: Kube, desired: Desired) -> Object:
    key = desired.key
    return hands.get(key.kind.api_version, key.kind.value, key.name, namespace=key.namespace)


def put(hands: Kube, desired: Desired, content: Callable[[Object], Object]) -> Object:
    """Replaces the version that is there, and looks again where the workload's controller was faster."""
    while True:
        now = live(hands, desired)
        version = {"resourceVersion": now["metadata"]["resourceVersion"]}
        wanted = content(now)
        try:
            return hands.replace(wanted | {"metadata": wanted["metadata"] | version})
        except ApiError as error:
            if error.status != 409:
                raise


def edited(obj: Object) -> Object:
    EDITS[ChildKind(obj["kind"])](obj)
    return obj


def test_what_the_api_server_fills_in_is_no_drift(hands: Kube, namespace: str) -> None:
    for desired in children(namespace):
        stored = hands.create(desired.manifest)
        for obj in (stored, live(hands, desired)):
            assert observe(desired.key.kind, obj).digest == desired.digest, desired.key


def test_the_pods_are_stored_as_they_are_built(hands: Kube, namespace: str) -> None:
    """Values that the API server would fill in are spelled out, so that an adopted target can be compared exactly."""
    desired = children(namespace)[-1]
    stored = hands.create(desired.manifest)["spec"]["template"]["spec"]
    built = desired.manifest["spec"]["template"]["spec"]
    assert stored["volumes"] == built["volumes"]
    assert stored["containers"][0]["volumeMounts"] == built["containers"][0]["volumeMounts"]
    assert stored["automountServiceAccountToken"] is False


def test_every_edit_is_seen_and_a_repair_puts_it_right(hands: Kube, admin: Kube, namespace: str) -> None:
    for desired in children(namespace):
        kind = desired.key.kind
        hands.create(desired.manifest)
        if kind is ChildKind.CONFIG_MAP:
            # Immutable, so the operator has no right to update one: a wrong one goes, and is made anew.
            assert observe(kind, put(admin, desired, edited)).digest != desired.digest, desired.key
            hands.delete("v1", "configmaps", desired.key.name, namespace=namespace)
            repaired = hands.create(desired.manifest)
        else:
            assert observe(kind, put(hands, desired, edited)).digest != desired.digest, desired.key
            repaired = put(hands, desired, lambda _, wanted=desired: wanted.manifest)
        assert observe(kind, repaired).digest == desired.digest, desired.key


def test_an_edit_of_a_deployments_spec_shows_in_its_generation(hands: Kube, namespace: str) -> None:
    desired = children(namespace)[-1]
    created = observe(ChildKind.DEPLOYMENT, hands.create(desired.manifest))
    assert created.generation == 1

    def sooner(obj: Object) -> Object:
        obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 5
        return obj

    child = observe(ChildKind.DEPLOYMENT, put(hands, desired, sooner))
    assert (child.generation, child.digest) == (2, created.digest)
