"""Children: what is built, and which edits of the live object count as drift."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.agentrole import AgentRoleSpec
from aiagent_operator.api.aiagent import AIAgentSpec
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
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest
from aiagent_operator.core.rights.rules import Rule

AGENT = AgentIdentity("support", "triage", "0b7e7f3a-8a1c-4f43-9d50-4f57f5a0e0d1")
CONNECTIONS = tuple(
    map(
        Connection.model_validate,
        (
            {
                "name": "zendesk",
                "egress": {"cidr": "203.0.113.0/24", "port": 443},
                "secretRef": {"name": "zendesk"},
                "audience": "https://zendesk.example",
            },
            {"name": "metrics", "egress": {"cidr": "2001:db8::/32", "port": 4317, "protocol": "UDP"}},
        ),
    )
)
READ_PODS = Rule(("",), ("pods",), ("get", "list"))
SIDECAR_MOUNT = {"name": "workforce-token", "mountPath": "/token"}
TEMPLATE: Manifest = {
    "metadata": {"labels": {"app": "triage", meta.LABEL_AGENT: "somebody-else"}, "annotations": {"note": "kept"}},
    "spec": {
        "containers": [{"name": "app", "image": "app", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}],
        "initContainers": [
            {"name": "sidecar", "image": "sidecar", "restartPolicy": "Always", "volumeMounts": [SIDECAR_MOUNT]},
            {"name": "migrate", "image": "migrate"},
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    },
}


def book(**spec: Any) -> Desired:
    return handbook.build(AGENT, handbook.resolve(agent_spec(**spec), ROLE), "Be kind.")


def agent_spec(**extra: Any) -> AIAgentSpec:
    return AIAgentSpec.model_validate(
        {
            "roleRef": {"name": "support"},
            "purpose": "Answer tickets",
            "owners": [
                {
                    "name": "product",
                    "function": "Product",
                    "responsibility": "Accountable",
                    "subject": {"kind": "User", "name": "somebody@corp.example"},
                }
            ],
            "workload": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}},
        }
        | extra
    )


ROLE = AgentRoleSpec.model_validate(
    {
        "description": "Support",
        "lifecycle": {"state": "Approved"},
        "defaults": {
            "model": {"provider": "corp", "name": "small"},
            "handbook": {
                "instructions": {"inline": "Default instructions."},
                "rules": [
                    {"name": "refunds", "action": "refund", "decide": "Never"},
                    {"name": "contracts", "action": "sign", "decide": "Escalate"},
                ],
                "knowledgeSources": [{"name": "kb", "uri": "https://kb.example"}],
                "prohibited": ["Give legal advice."],
            },
        },
    }
)


def everything() -> list[Desired]:
    text = book()
    pods = injection.build(AGENT, text.key.name, CONNECTIONS)
    dns = network_policy.DnsPeers(cidrs=("169.254.20.10/32",))
    return [
        service_account.build(AGENT),
        role.build(AGENT, "crm", [READ_PODS]),
        role_binding.build(AGENT, "crm"),
        network_policy.build(AGENT, CONNECTIONS, [("10.0.0.1", 6443), ("fd00::1", 6443)], dns),
        text,
        deployment.build(AGENT, 3, TEMPLATE, 2, pods),
    ]


def live(desired: Desired) -> Manifest:
    manifest = copy.deepcopy(desired.manifest)
    manifest["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    return manifest


@pytest.mark.parametrize("desired", everything(), ids=lambda desired: desired.key.kind.value)
def test_what_is_observed_of_a_desired_child_is_the_desired_digest(desired: Desired) -> None:
    child = observe(desired.key.kind, live(desired))
    assert (child.key, child.digest, child.agent_uid, child.uid, child.resource_version) == (
        desired.key,
        desired.digest,
        AGENT.uid,
        "u",
        "7",
    )
    assert not child.deleting
    assert not child.claimed_by


@pytest.mark.parametrize("desired", everything(), ids=lambda desired: desired.key.kind.value)
def test_labels_and_annotations_of_others_are_no_drift_but_ours_are(desired: Desired) -> None:
    manifest = live(desired)
    manifest["metadata"]["labels"]["team"] = "theirs"
    manifest["metadata"].setdefault("annotations", {})["note"] = "theirs"
    assert observe(desired.key.kind, manifest).digest == desired.digest
    for label in (meta.LABEL_AGENT, meta.LABEL_AGENT_NAMESPACE, meta.LABEL_AGENT_UID, meta.LABEL_MANAGED_BY):
        edited = live(desired)
        edited["metadata"]["labels"][label] = "edited"
        assert observe(desired.key.kind, edited).digest != desired.digest
        del edited["metadata"]["labels"][label]
        assert observe(desired.key.kind, edited).digest != desired.digest


def _leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, (*path, key))
    else:
        yield path


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


@pytest.mark.parametrize(
    "desired",
    [d for d in everything() if d.key.kind is not ChildKind.DEPLOYMENT],
    ids=lambda desired: desired.key.kind.value,
)
def test_every_edit_of_a_value_is_drift(desired: Desired) -> None:
    """Of a Deployment, whose defaults are the API server's, edits show in the generation instead."""
    skipped = ("metadata", "apiVersion", "kind")
    for path in _leaves(desired.manifest):
        if path[0] in skipped:
            continue
        for change in ("edited", None):
            manifest = live(desired)
            _at(manifest, path[:-1])[path[-1]] = change
            if manifest.get("rules") and change is None:
                continue  # the API server refuses null within a list of strings
            assert observe(desired.key.kind, manifest).digest != desired.digest, (path, change)


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        (ChildKind.ROLE, lambda m: m["rules"].append({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]})),
        (ChildKind.ROLE, lambda m: m.pop("rules")),
        (ChildKind.ROLE_BINDING, lambda m: m["subjects"].append({"kind": "Group", "name": "everybody"})),
        (ChildKind.ROLE_BINDING, lambda m: m.pop("subjects")),
        (ChildKind.NETWORK_POLICY, lambda m: m["spec"]["egress"].append({})),
        (ChildKind.NETWORK_POLICY, lambda m: m["spec"].update(ingress=[{}])),
        (ChildKind.NETWORK_POLICY, lambda m: m["spec"]["policyTypes"].remove("Egress")),
        (ChildKind.CONFIG_MAP, lambda m: m["data"].update(more="text")),
        (ChildKind.CONFIG_MAP, lambda m: m.update(binaryData={"more": "aGk="})),
        (ChildKind.CONFIG_MAP, lambda m: m.pop("immutable")),
        (ChildKind.DEPLOYMENT, lambda m: m["metadata"]["annotations"].update({meta.ANNOTATION_SPEC_HASH: "other"})),
    ],
)
def test_additions_and_removals_are_drift(kind: ChildKind, edit: Callable[[Manifest], Any]) -> None:
    desired = next(d for d in everything() if d.key.kind is kind)
    manifest = live(desired)
    edit(manifest)
    assert observe(kind, manifest).digest != desired.digest


def test_a_role_with_the_same_rights_in_another_order_is_no_drift() -> None:
    desired = role.build(AGENT, "support", [READ_PODS, Rule(("",), ("services",), ("get", "list"))])
    manifest = live(desired)
    manifest["rules"] = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"]},
    ]
    assert observe(ChildKind.ROLE, manifest).digest == desired.digest


def test_roles_with_equal_rules_share_them_in_memory() -> None:
    first, second = (
        observe(ChildKind.ROLE, orjson.loads(orjson.dumps(live(role.build(AGENT, "crm", [READ_PODS])))))
        for _ in range(2)
    )
    assert first.rules == (READ_PODS,)
    assert first.rules is second.rules


def test_names_tell_the_agent_and_do_not_collide_across_namespaces() -> None:
    twin = AgentIdentity("sales", "triage", "00000000-0000-0000-0000-000000000002")
    assert role.build(AGENT, "support", []).key.name == "aiagent.triage"
    here, there = (role.build(agent, "crm", []).key.name for agent in (AGENT, twin))
    assert here != there
    binding = role_binding.build(AGENT, "crm").manifest
    assert binding["roleRef"]["name"] == here == binding["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "aiagent.triage", "namespace": "support"}]


class TestNetworkPolicy:
    def test_api_endpoints_come_in_any_order(self) -> None:
        ends = [("10.0.0.2", 6443), ("10.0.0.1", 6443), ("fd00::1", 443)]
        dns = network_policy.DnsPeers()
        one = network_policy.build(AGENT, (), ends, dns)
        assert one == network_policy.build(AGENT, (), [*reversed(ends), ends[0]], dns)
        assert [rule["to"] for rule in one.manifest["spec"]["egress"][1:]] == [
            [{"ipBlock": {"cidr": "fd00::1/128"}}],
            [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "10.0.0.2/32"}}],
        ]

    def test_nothing_comes_in_and_only_what_is_declared_goes_out(self) -> None:
        spec = network_policy.build(AGENT, CONNECTIONS, [], network_policy.DnsPeers()).manifest["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in spec
        assert all(rule["ports"] and rule["to"] for rule in spec["egress"])
        assert spec["egress"][1:] == [
            {"ports": [{"port": 4317, "protocol": "UDP"}], "to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]},
            {"ports": [{"port": 443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]},
        ]


class TestHandbook:
    def test_the_agent_wins_and_lists_are_added(self) -> None:
        own = {
            "rules": [
                {"name": "refunds", "action": "refund", "decide": "Autonomous", "limit": "50", "above": "Escalate"}
            ],
            "prohibited": ["Promise dates.", "Give legal advice."],
        }
        effective = handbook.resolve(agent_spec(handbook=own), ROLE)
        assert {rule.name: rule.decide.value for rule in effective.rules} == {
            "refunds": "Autonomous",
            "contracts": "Escalate",
        }
        assert effective.prohibited == ("Give legal advice.", "Promise dates.")
        assert [source.name for source in effective.knowledge_sources] == ["kb"]
        assert effective.instructions is not None
        assert effective.instructions.inline == "Default instructions."
        assert effective.model is not None
        assert effective.model.name == "small"

    def test_instructions_and_model_of_the_agent_replace_those_of_the_role(self) -> None:
        spec = agent_spec(
            handbook={"instructions": {"inline": "Mine."}}, model={"provider": "corp", "name": "large", "version": "2"}
        )
        effective = handbook.resolve(spec, ROLE)
        assert effective.instructions is not None
        assert effective.instructions.inline == "Mine."
        assert effective.model == spec.model

    def test_the_name_tells_the_content_and_owners_are_not_in_it(self) -> None:
        desired = book()
        assert desired.key.name.rsplit(".", 1)[-1] == handbook.content_digest(desired).removeprefix("sha256:")[:10]
        assert "corp.example" not in orjson.dumps(desired.manifest).decode()
        assert book(purpose="Something else").key.name != desired.key.name
        assert book().key.name == desired.key.name

    def test_the_document_holds_what_programs_read(self) -> None:
        document = orjson.loads(book().manifest["data"]["handbook.json"])
        assert document == {
            "purpose": "Answer tickets",
            "model": {"provider": "corp", "name": "small"},
            "rules": [
                {"name": "refunds", "action": "refund", "decide": "Never"},
                {"name": "contracts", "action": "sign", "decide": "Escalate"},
            ],
            "knowledgeSources": [{"name": "kb", "uri": "https://kb.example", "dataCategories": []}],
            "prohibited": ["Give legal advice."],
        }

    def test_without_instructions_there_is_no_such_file(self) -> None:
        desired = handbook.build(AGENT, handbook.resolve(agent_spec(), ROLE), None)
        assert set(desired.manifest["data"]) == {"handbook.json"}


class TestDeployment:
    @pytest.fixture
    def pods(self) -> injection.Injection:
        return injection.build(AGENT, "aiagent.triage.0123456789", CONNECTIONS)

    def test_pods_run_as_the_agent_whatever_the_author_writes(self, pods: injection.Injection) -> None:
        before = copy.deepcopy(TEMPLATE)
        template = deployment.build(AGENT, 3, TEMPLATE, 2, pods).manifest["spec"]["template"]
        assert before == TEMPLATE
        assert template["metadata"]["labels"] == {
            "app": "triage",
            meta.LABEL_AGENT: "triage",
            meta.LABEL_AGENT_NAMESPACE: "support",
            meta.LABEL_AGENT_UID: AGENT.uid,
            meta.LABEL_REVISION: "3",
        }
        assert template["metadata"]["annotations"] == {"note": "kept"}
        spec = template["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "aiagent.triage"
        assert spec["automountServiceAccountToken"] is False

    def test_containers_get_the_mounts_and_init_containers_what_their_author_gave_them(
        self, pods: injection.Injection
    ) -> None:
        spec = deployment.build(AGENT, 3, TEMPLATE, 2, pods).manifest["spec"]["template"]["spec"]
        mounts = {c["name"]: c.get("volumeMounts", []) for c in (*spec["containers"], *spec["initContainers"])}
        assert mounts["app"] == [{"name": "scratch", "mountPath": "/scratch"}, *pods.mounts]
        assert mounts["sidecar"] == [SIDECAR_MOUNT]
        assert mounts["migrate"] == []
        assert {mount["name"] for mount in mounts["app"]} == {volume["name"] for volume in spec["volumes"]}

    def test_the_number_of_pods_is_part_of_the_digest(self, pods: injection.Injection) -> None:
        active, down = (deployment.build(AGENT, 3, TEMPLATE, number, pods) for number in (2, 0))
        assert (active.manifest["spec"]["replicas"], down.manifest["spec"]["replicas"]) == (2, 0)
        assert active.digest != down.digest

    @pytest.mark.parametrize(
        ("conditions", "failure"),
        [
            ([], ""),
            ([{"type": "Progressing", "status": "True", "reason": "R", "message": "m"}], ""),
            ([{"type": "Progressing", "status": "Unknown", "reason": "DeploymentPaused", "message": "m"}], ""),
            (
                [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}],
                "ProgressDeadlineExceeded: m",
            ),
            (
                [
                    {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"},
                    {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"},
                ],
                "FailedCreate: quota",
            ),
        ],
    )
    def test_the_rollout_is_read_with_the_controllers_own_words(
        self, pods: injection.Injection, conditions: list[Manifest], failure: str
    ) -> None:
        manifest = live(deployment.build(AGENT, 3, TEMPLATE, 2, pods))
        manifest["metadata"]["generation"] = 3
        manifest["status"] = {
            "observedGeneration": 3,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 1,
            "conditions": conditions,
        }
        child = observe(ChildKind.DEPLOYMENT, manifest)
        assert child.rollout is not None
        assert child.rollout.failure == failure
        assert not child.rollout.complete(child.generation)
        manifest["status"]["readyReplicas"] = 2
        done = observe(ChildKind.DEPLOYMENT, manifest).rollout
        assert done is not None
        assert done.complete(3)

    def test_nobody_can_pass_it_off_as_adopted(self, pods: injection.Injection) -> None:
        desired = deployment.build(AGENT, 3, TEMPLATE, 2, pods)
        manifest = live(desired)
        manifest["metadata"]["annotations"][meta.ANNOTATION_CLAIMED_BY] = AGENT.uid
        del manifest["metadata"]["labels"][meta.LABEL_MANAGED_BY]
        assert not observe(ChildKind.DEPLOYMENT, manifest).claimed_by


class TestInjection:
    def test_a_connection_without_secret_and_audience_needs_no_files(self) -> None:
        pods = injection.build(AGENT, None, CONNECTIONS[1:])
        assert [volume["name"] for volume in pods.volumes] == ["workforce-token"]

    def test_the_order_of_connections_is_no_difference(self) -> None:
        other = Connection.model_validate({"name": "abacus", "audience": "https://abacus.example"})
        assert injection.build(AGENT, "h", (other, *CONNECTIONS)) == injection.build(AGENT, "h", (*CONNECTIONS, other))

    def test_all_names_carry_the_reserved_prefix_and_all_mounts_are_read_only(self) -> None:
        pods = injection.build(AGENT, "h", CONNECTIONS)
        assert all(volume["name"].startswith(meta.VOLUME_PREFIX) for volume in pods.volumes)
        assert all(mount["readOnly"] for mount in pods.mounts)
