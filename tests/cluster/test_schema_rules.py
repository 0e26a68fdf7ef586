"""One wrong manifest for each CEL rule and each constraint that people will meet, and the words they will read."""

import copy
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.schema import crd
from support import archiverecords
from support.cluster import Cluster
from support.definitions import install
from support.evaluationcases import EVALUATION_CONSTRAINTS, EVALUATION_RULES, EVALUATIONS, RECORD, RECORD_RULES
from support.kube import ApiError, Kube, Object
from support.policycases import POLICY, POLICY_RULES
from support.reviewcases import REVIEW_CONSTRAINTS, REVIEW_RULES, REVIEWED
from support.rolloutcases import OWN, ROLLOUT, ROLLOUT_CONSTRAINTS, ROLLOUT_RULES, ROUTED, WATCHED
from support.schemacases import (
    DRIFT,
    GONE,
    RETRAINING,
    RETRAINING_CONSTRAINTS,
    RETRAINING_RULES,
    Case,
    rule,
)

pytestmark = pytest.mark.cluster

USER = {"kind": "User", "name": "product-owner@corp.example"}
OWNER = {"name": "product", "function": "Product", "responsibility": "Accountable", "subject": USER}
RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
EGRESS = {"cidr": "203.0.113.0/24", "port": 443}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}
CONTAINER = {"name": "app", "image": "registry.example/triage:1"}
POD = {"containers": [{"name": "app", "image": "registry.k8s.io/pause:3.10"}]}

AGENT: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AIAgent",
    "metadata": {"name": "triage", "namespace": "default"},
    "spec": {
        "roleRef": {"name": "customer-service"},
        "purpose": "Answer first-line tickets",
        "owners": [OWNER],
        "permissions": [{"name": "own", "namespaces": ["crm"], "rules": [RULE]}],
        "connections": [{"name": "crm", "egress": EGRESS}],
        "handbook": {
            "instructions": {"inline": "Be kind."},
            "rules": [
                {"name": "refund", "action": "refund", "decide": "Autonomous", "limit": "50", "above": "Escalate"}
            ],
            "knowledgeSources": [{"name": "kb", "uri": "https://kb.example", "dataCategories": ["Public"]}],
            "prohibited": ["Give legal advice"],
        },
        "workload": {"template": {"spec": POD}, "replicas": 1},
        "retraining": {**RETRAINING, "rollout": ROLLOUT, "evaluations": EVALUATIONS},
        "supervision": REVIEWED | DRIFT,
    },
}
ROLE: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentRole",
    "metadata": {"name": "customer-service"},
    "spec": {
        "description": "Answers customers",
        "lifecycle": {"state": "Approved"},
        "namespaces": {"names": ["crm"]},
        "permissionSets": [{"name": "read", "description": "Read.", "rules": [RULE]}],
        "hiringEvaluations": EVALUATIONS,
        "forbiddenCombinations": [
            {
                "name": "pay",
                "description": "Who orders does not pay.",
                "duties": [{"name": "order", "rules": [RULE]}, {"name": "pay", "rules": [RULE]}],
            }
        ],
        "requiredOwnerFunctions": ["Product"],
    },
}
ORDER: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentAction",
    "metadata": {"name": "stop", "namespace": "default"},
    "spec": {
        "action": "Suspend",
        "agentRef": {"name": "triage"},
        "requestedBy": "on-call@corp.example",
        "reason": "It answers nonsense",
    },
}
SEVERAL: Object = copy.deepcopy(ORDER)
SEVERAL["spec"]["selector"] = {"matchLabels": {"team": "crm"}}
del SEVERAL["spec"]["agentRef"]
HOLD: Object = copy.deepcopy(ORDER)
HOLD["spec"] |= {"action": "Hold", "ground": "LegalClaims"}
LEAVING: Object = {"action": "Offboard", "offboarding": {"reason": "Business"}}
ADOPTING = {**AGENT, "spec": {**AGENT["spec"], "workload": OWN}}
HOW_ROUTED = {**ADOPTING["spec"]["retraining"], "rollout": ROUTED}
BASES = {
    "AIAgent": AGENT,
    "AIAgent/adopting": ADOPTING,
    "AIAgent/routed": {**ADOPTING, "spec": {**ADOPTING["spec"], "retraining": HOW_ROUTED}},
    "AgentRole": ROLE,
    "AgentAction": ORDER,
    "AgentAction/several": SEVERAL,
    "AgentAction/hold": HOLD,
    "AgentAction/leaving": {**ORDER, "spec": {**ORDER["spec"], **LEAVING}},
    "AgentAction/all-leaving": {**SEVERAL, "spec": {**SEVERAL["spec"], **LEAVING}},
    "AgentPolicy": POLICY,
}
RECORDS = {"AgentEvaluation": RECORD, "AgentArchive": archiverecords.record("triage")}


# Of what nobody writes into a file: `kubectl aiagent lint` says of these that they are records.
ARCHIVE_RULES = [
    rule("spec.manifest", GONE, "an archive has a manifest, or it was abandoned", "spec", "AgentArchive"),
]
# Each message of x-kubernetes-validations appears here; test_every_rule_has_an_example counts them.
RULES = [
    *RETRAINING_RULES,
    *ROLLOUT_RULES,
    *EVALUATION_RULES,
    *REVIEW_RULES,
    *POLICY_RULES,
    rule(
        "spec.retirement",
        {"successorRef": {"name": "triage"}},
        "an agent does not come after itself: name another one, or leave successorRef out",
        "spec.retirement.successorRef",
    ),
    rule(
        "spec.succession",
        {"predecessorRef": {"name": "triage"}},
        "an agent does not come after itself: name another one, or leave spec.succession out",
        "spec.succession.predecessorRef",
    ),
    rule(
        "spec.succession",
        {"predecessorRef": {"name": "old"}, "store": "inheritances", "volume": {"claimName": "facts"}},
        "name either a volume or a store: what is inherited is delivered to one place",
    ),
    rule("metadata.name", "x" * 41, "must be a DNS label of at most 40 characters"),
    rule("metadata.name", "support.triage", "must be a DNS label of at most 40 characters"),
    rule("spec.owners.0.responsibility", "Responsible", "exactly one owner must be Accountable", "spec.owners"),
    rule("spec.owners.1", {**OWNER, "name": "second"}, "exactly one owner must be Accountable", "spec.owners"),
    rule("spec.agentRef", GONE, "name one agent in agentRef, or several", "spec", "AgentAction"),
    rule("spec.selector", {"matchLabels": {"a": "b"}}, "name one agent in agentRef", "spec", "AgentAction"),
    rule("spec.action", "Rollback", "name it in agentRef", "spec.agentRef", "AgentAction/several"),
    rule("spec.revision", 3, "revision goes with Rollback only", base="AgentAction"),
    rule("spec.action", "Promote", "name it in agentRef", "spec.agentRef", "AgentAction/several"),
    rule("spec.action", "Abort", "name it in agentRef", "spec.agentRef", "AgentAction/several"),
    rule("spec.archiveRef", {"name": "a"}, "name one agent in agentRef", "spec", "AgentAction/hold"),
    rule("spec.archiveRef", {"name": "a"}, "archiveRef goes with Hold, Release and Erase only", base="AgentAction"),
    rule("spec.action", "Release", "Hold and Release are about one agent", "spec.selector", "AgentAction/several"),
    rule("spec.ground", GONE, "ground goes with Hold, which needs it", base="AgentAction/hold"),
    rule("spec.ground", "LegalClaims", "ground goes with Hold, which needs it", base="AgentAction"),
    rule("spec.activeDeadlineSeconds", 60, "Hold is in force while it exists", base="AgentAction/hold"),
    rule("spec.ttlSecondsAfterFinished", 60, "Hold is in force while it exists", base="AgentAction/hold"),
    rule("spec.full", True, "full goes with Promote only", base="AgentAction"),
    rule("spec.action", "Erase", "Erase is about one archive", "spec.archiveRef", "AgentAction"),
    rule("spec.action", "Abandon", "Abandon is about one agent", "spec.agentRef", "AgentAction/several"),
    rule("spec.agentRef.namespace", "crm", "agentRef.namespace goes with Abandon only", base="AgentAction"),
    rule("spec.activeDeadlineSeconds", 60, "and has no activeDeadlineSeconds", base="AgentAction"),
    rule("spec.ttlSecondsAfterFinished", 60, "and has no ttlSecondsAfterFinished", base="AgentAction"),
    rule("spec.activeDeadlineSeconds", 60, "Offboard is in force while it exists", base="AgentAction/leaving"),
    rule("spec.ttlSecondsAfterFinished", 60, "Offboard is in force while it exists", base="AgentAction/leaving"),
    rule("spec.offboarding", {"reason": "Business"}, "offboarding goes with Offboard", base="AgentAction"),
    rule("spec.offboarding", GONE, "offboarding goes with Offboard", base="AgentAction/leaving"),
    rule(
        "spec.offboarding.dryRun",
        True,
        "a dry run is about one agent",
        "spec.agentRef",
        "AgentAction/all-leaving",
    ),
    rule("spec.offboarding.noticePeriod", "0s", "must be a duration from 1s", base="AgentAction/leaving"),
    rule(
        "spec.retirement",
        {"drainTimeout": "169h"},
        "must be a duration from 0s to 168h",
        "spec.retirement.drainTimeout",
    ),
    rule(
        "spec.retirement",
        {"decisionLog": {"store": "local", "volume": {"claimName": "facts"}}},
        "name either a store or a volume",
        "spec.retirement.decisionLog",
    ),
    rule("spec.retirement", {"decisionLog": {}}, "name either a store or a volume", "spec.retirement.decisionLog"),
    rule("spec.connections.0.egress.cidr", "203.0.113.7/24", "without host bits"),
    rule("spec.connections.0.egress.cidr", "zendesk.example", "must be an address range such as 203.0.113.0/24"),
    rule("spec.connections.0.egress.cidr", "203.0.113.7", "must be an address range such as 203.0.113.0/24"),
    rule("spec.connections.0.egress.cidr", "::ffff:10.0.0.0/104", "must be an address range such as"),
    rule(
        "spec.connections.0.egress",
        GONE,
        "needs at least one of egress, secretRef and audience",
        "spec.connections[0]",
    ),
    rule(
        "spec.permissions.0.rules.0",
        {**RULE, "verbs": ["get", "create"], "resourceNames": ["catalog"]},
        "put them in a rule of their own",
    ),
    rule(
        "spec.handbook.instructions.configMapKeyRef",
        {"name": "handbook", "key": "text"},
        "set exactly one of inline and configMapKeyRef",
        "spec.handbook.instructions",
    ),
    rule("spec.handbook.instructions", {}, "set exactly one of inline and configMapKeyRef"),
    rule("spec.handbook.rules.0.above", GONE, "give both or neither", "spec.handbook.rules[0]"),
    rule("spec.handbook.rules.0.limit", GONE, "give both or neither", "spec.handbook.rules[0]"),
    rule("spec.handbook.rules.0.decide", "Never", "only makes sense with decide: Autonomous", "spec.handbook.rules[0]"),
    rule(
        "spec.handbook.knowledgeSources.0.dataCategories",
        ["Public", "Personal"],
        "personal data needs consentRef",
        "spec.handbook.knowledgeSources[0]",
    ),
    rule(
        "spec.handbook.knowledgeSources.0.dataCategories",
        ["SpecialCategory"],
        "personal data needs consentRef",
        "spec.handbook.knowledgeSources[0]",
    ),
    rule("spec.workload.targetRef", TARGET, "set exactly one of targetRef and template", "spec.workload"),
    rule("spec.workload", {}, "set exactly one of targetRef and template"),
    rule("spec.workload", {"targetRef": TARGET, "replicas": 3}, "a target keeps its owner's replicas"),
    rule("spec.workload.container", CONTAINER, "which image of a targetRef is the agent's work"),
    rule(
        "spec.workload.template.spec.serviceAccountName",
        "admin",
        "leave serviceAccountName out",
        "spec.workload.template.spec",
    ),
    rule(
        "spec.workload.template.spec.serviceAccount",
        "admin",
        "leave serviceAccountName out",
        "spec.workload.template.spec",
    ),
    *(
        rule(f"spec.workload.template.spec.{shared}", True, "may not share the node's", "spec.workload.template.spec")
        for shared in ("hostNetwork", "hostPID", "hostIPC")
    ),
    rule(
        "spec.workload.template.spec.volumes",
        [{"name": "workforce-token", "emptyDir": {}}],
        "are reserved for handbook, token and connections",
        "spec.workload.template.spec",
    ),
    rule("spec.lifecycle.successor", "support-v2", "only a Deprecated role names a", "spec.lifecycle", "AgentRole"),
    rule(
        "spec.permissionSets.0.rules.0",
        {**RULE, "verbs": ["deletecollection"], "resourceNames": ["catalog"]},
        "put them in a rule of their own",
        base="AgentRole",
    ),
]

CONSTRAINTS = [
    *RETRAINING_CONSTRAINTS,
    *ROLLOUT_CONSTRAINTS,
    *EVALUATION_CONSTRAINTS,
    *REVIEW_CONSTRAINTS,
    Case("spec.roleRef", GONE, "Required value"),
    Case("spec.purpose", GONE, "Required value"),
    Case("spec.purpose", "", "at least 1 chars"),
    Case("spec.purpose", "é" * 1025, "may not be more than 1024"),
    Case("spec.owners", GONE, "Required value"),
    Case("spec.owners", [], "should have at least 1 items"),
    Case("spec.owners.1", {**OWNER, "responsibility": "Informed"}, "Duplicate value"),
    Case("spec.owners.0.function", "Marketing", 'supported values: "Product"'),
    Case("spec.owners.0.subject.kind", "ServiceAccount", 'supported values: "User", "Group"'),
    Case("spec.owners.0.subject.name", "two words", "should match"),
    Case(
        "spec.succession",
        {"predecessorRef": {"name": "old"}, "acceptance": "Later"},
        'supported values: "None", "Required"',
        "spec.succession.acceptance",
    ),
    Case("spec.workload", GONE, "Required value"),
    *(
        Case(
            "spec.retirement",
            {"decisionLog": {"volume": {"claimName": "facts", "path": path}}},
            "should match",
            "spec.retirement.decisionLog.volume.path",
        )
        for path in ("../secret", "logs/../..", "/etc", "logs/", "./logs", "a\n", "$(HOME)")
    ),
    Case("spec.workload.replicas", 1001, "should be less than or equal to 1000"),
    Case("spec.workload.replicas", -1, "should be greater than or equal to 0"),
    Case("spec.workload.template.spec.containers", [], "should have at least 1 items"),
    Case("spec.workload.template.metadata", {"labels": {"app": "a b"}}, "should match", "metadata.labels.app"),
    Case("spec.workload", {"targetRef": {**TARGET, "apiVersion": "apps/v2"}}, 'supported values: "apps/v1"'),
    Case("spec.workload", {"targetRef": {**TARGET, "kind": "DaemonSet"}}, '"Deployment", "StatefulSet"'),
    Case("spec.workload", {"targetRef": TARGET, "container": {**CONTAINER, "image": "a b"}}, "should match"),
    Case("spec.permissions.0.rules.0.verbs", ["*"], "should match"),
    Case("spec.permissions.0.rules.0.apiGroups", ["*"], "should match"),
    Case("spec.permissions.0.rules.0.resources", ["*"], "should match"),
    Case("spec.permissions.0.rules.0.resources", ["pods/*"], "should match"),
    Case("spec.permissions.0.rules.0.verbs", ["get\n"], "should match"),
    Case("spec.permissions.0.rules.0.verbs", [], "should have at least 1 items"),
    Case("spec.permissions.0.grant", "Sometimes", 'supported values: "Always"'),
    Case("spec.permissions.0.namespaces", ["crm", "crm"], "Duplicate value"),
    Case("spec.permissions.0.namespaces", ["CRM"], "should match"),
    Case("spec.permissions.1", {"name": "own"}, "Duplicate value"),
    Case("spec.connections.0.egress.port", 0, "should be greater than or equal to 1"),
    Case("spec.connections.0.egress.port", 65536, "should be less than or equal to 65535"),
    Case("spec.connections.0.egress.port", "443", "must be of type integer"),
    Case("spec.connections.0.egress.protocol", "SCTP", 'supported values: "TCP", "UDP"'),
    Case("spec.connections.0.name", "x" * 41, "may not be more than 40"),
    Case("spec.handbook.rules.0.limit", "50.", "should match"),
    Case("spec.handbook.rules.0.limit", "5e1", "should match"),
    Case("spec.handbook.prohibited", ["Lie", "Lie"], "Duplicate value"),
    Case("spec.handbook.instructions.inline", "x" * 65537, "may not be more than 65536"),
    Case("spec.suspended", "yes", "must be of type boolean"),
    Case("spec.lifecycle", GONE, "Required value", base="AgentRole"),
    Case("spec.lifecycle.state", "Retired", 'supported values: "Draft", "Approved", "Deprecated"', base="AgentRole"),
    Case("spec.permissionSets.1", {"name": "read", "description": "x", "rules": [RULE]}, "Duplicate", base="AgentRole"),
    Case("spec.permissionSets.0.rules", [], "should have at least 1 items", base="AgentRole"),
    Case("spec.hiringEvaluations.1.name", "held-out", "Duplicate value", "spec.hiringEvaluations.1", base="AgentRole"),
    rule(
        "spec.hiringEvaluations.1.metrics.0.interval",
        "1m",
        "set count where interval is set",
        "spec.hiringEvaluations",
        base="AgentRole",
    ),
    Case("spec.ceiling", [{**RULE, "resources": ["*"]}], "should match", base="AgentRole"),
    Case("spec.forbiddenCombinations.0.duties.1", GONE, "at least 2 items", "duties", base="AgentRole"),
    Case("spec.requiredOwnerFunctions", ["Legal", "Legal"], "Duplicate value", base="AgentRole"),
    Case("spec.namespaces.matchLabels", {"team": "x" * 64}, "may not be more than 63", base="AgentRole"),
]


@pytest.fixture(scope="module")
def kube(control_plane: Cluster) -> Kube:
    install(control_plane.admin)
    return control_plane.admin


def changed(case: Case) -> Object:
    """The right manifest with one field put, replaced or left out."""
    manifest = copy.deepcopy({**BASES, **RECORDS}[case.base])
    *parents, last = [int(part) if part.isdigit() else part for part in case.path.split(".")]
    spot: Any = manifest
    for part in parents:
        spot = spot[part] if isinstance(part, int) else spot.setdefault(part, {})
    if case.value is GONE:
        del spot[last]
    elif isinstance(last, int) and last == len(spot):
        spot.append(case.value)
    else:
        spot[last] = case.value
    return manifest


def refusal(kube: Kube, manifest: Object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        kube.create(manifest, dry_run=True)
    assert caught.value.status == 422, caught.value
    return caught.value


@pytest.mark.parametrize("manifest", BASES.values(), ids=lambda m: m["kind"])
def test_the_manifest_that_the_cases_change_is_right(kube: Kube, manifest: Object) -> None:
    if "requestedBy" in manifest["spec"]:  # with the chart, orders are given in one's own name
        manifest = {**manifest, "spec": manifest["spec"] | {"requestedBy": kube.whoami()}}
    assert kube.create(manifest, dry_run=True)["metadata"]["uid"]


def test_what_watches_a_canary_needs_no_end(kube: Kube) -> None:
    assert kube.create(changed(Case("spec.retraining", WATCHED, "")), dry_run=True)["metadata"]["uid"]


@pytest.mark.parametrize("case", [*RULES, *RECORD_RULES, *ARCHIVE_RULES, *CONSTRAINTS], ids=str)
def test_wrong_field_is_refused_and_named_with_words_that_help(kube: Kube, case: Case) -> None:
    error = refusal(kube, changed(case))
    field = ".".join(f"[{part}]" if part.isdigit() else part for part in case.named.split(".")).replace(".[", "[")
    causes = [(cause["field"], cause["message"]) for cause in error.body["details"]["causes"]]
    assert any(field in named and case.words in message for named, message in causes), causes


def test_unknown_field_is_refused_by_name_as_kubectl_asks(kube: Kube) -> None:
    manifest = changed(Case("spec.purpos", "typo", ""))
    path = f"/apis/{meta.API_VERSION}/namespaces/default/aiagents"
    with pytest.raises(ApiError, match=r'unknown field "spec\.purpos"'):
        kube.raw("POST", path, manifest, params={"dryRun": "All", "fieldValidation": "Strict"})


def test_every_rule_has_an_example() -> None:
    def messages(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(messages, node)) if node else set()
        if not isinstance(node, dict):
            return set()
        # What compares with the old object has a test where objects are changed.
        rules = [entry for entry in node.get("x-kubernetes-validations", ()) if isinstance(entry, dict)]
        own = {entry["message"] for entry in rules if "oldSelf" not in entry["rule"]}
        return own.union(*map(messages, node.values()))

    known = messages([crd(kind) for kind in KINDS])
    assert known
    assert [
        message
        for message in sorted(known)
        if not any(case.words in message for case in [*RULES, *RECORD_RULES, *ARCHIVE_RULES])
    ] == []
