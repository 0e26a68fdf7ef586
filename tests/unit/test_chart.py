"""The chart as text: it renders, refuses wrong values with their name, and stays in step with what it is made from."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.runtime.settings import PREFIX, Settings
from support import chart
from support.chart import ChartError, Values
from support.kube import Object

TEMPLATES = chart.CHART / "templates"
CLUSTER_TESTS = Path(__file__).parents[1] / "cluster"


def objects(kind: str, values: Values | None = None) -> dict[str, Object]:
    """Objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in chart.render(values) if o["kind"] == kind}


@pytest.mark.parametrize("name", chart.VARIANTS)
def test_it_renders_each_object_once(name: str) -> None:
    keys = [
        (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in chart.render(chart.VARIANTS[name])
    ]
    assert keys
    assert len(keys) == len(set(keys))


WRONG: dict[str, tuple[Values, str]] = {
    "unknown": ({"replica": 2}, "replica"),
    "unknown below": ({"image": {"name": "x"}}, "name"),
    "replicas": ({"replicas": "two"}, "replicas"),
    "digest": ({"image": {"digest": "latest"}}, "digest"),
    "account with a dot": ({"serviceAccount": {"name": "aiagent.operator"}}, "serviceAccount"),
    "namespace": ({"watchNamespaces": ["Team_A"]}, "watchNamespaces"),
    "controller with a quote": ({"policies": {"trustedControllers": ["x', 'y"]}}, "trustedControllers"),
    "log level": ({"log": {"level": "loud"}}, "level"),
    "duration": ({"leader": {"leaseDuration": "15s"}}, "leaseDuration"),
    "prometheus": ({"prometheus": {"addresses": ["ftp://prometheus"]}}, "addresses"),
    "role user": ({"rbac": {"roleUsers": [{"role": "x"}]}}, "subjects"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_by_name(what: str) -> None:
    values, named = WRONG[what]
    with pytest.raises(ChartError, match=named):
        chart.render(values)


def test_every_value_is_documented_and_known_to_the_schema() -> None:
    text = (chart.CHART / "values.yaml").read_text(encoding="utf-8")
    for key in yaml.safe_load(text):
        before = re.search(rf"^((?:#[^\n]*\n)*){key}:[^\n]*\n((?:  [^\n]*\n)*)", text, re.MULTILINE)
        assert before, key
        plain = key in {"resources", "podLabels", "podAnnotations", "nodeSelector", "tolerations", "affinity"}
        assert plain or key == "priorityClassName" or "#" in before[0], f"{key} has no comment in values.yaml"


def test_the_charts_definitions_are_those_of_the_project() -> None:
    ours = {path.name: path.read_text(encoding="utf-8") for path in chart.CRDS.glob("*.yaml")}
    packed = {path.name: path.read_text(encoding="utf-8") for path in chart.CHART_CRDS.glob("*.yaml")}
    assert packed == ours, "run `make generate`"


def test_the_plain_manifest_is_the_chart() -> None:
    assert chart.MANIFEST.read_text(encoding="utf-8") == chart.manifest(), "run `make generate`"


def test_definitions_and_policies_stay_on_uninstall() -> None:
    for kind in ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"):
        found = objects(kind)
        assert found
        for name, obj in found.items():
            assert obj["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", f"{kind} {name}"


def test_every_policy_is_bound_and_attacked() -> None:
    policies = objects("ValidatingAdmissionPolicy")
    assert policies.keys() == objects("ValidatingAdmissionPolicyBinding").keys()
    attacks = "".join(path.read_text(encoding="utf-8") for path in CLUSTER_TESTS.glob("test_attacks_*.py"))
    for name in policies:
        assert f'refused("{name.removesuffix(".workforce.dev")}"' in attacks, f"no attack is refused by {name}"


def test_the_security_page_has_every_policy_and_every_right() -> None:
    page = (chart.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `((?:agent|author|role|order|operator|definitions)[a-z-]*)` \|", page, re.MULTILINE))
    assert listed == {name.removesuffix(".workforce.dev") for name in objects("ValidatingAdmissionPolicy")}
    rows = [row for row in page.splitlines() if row.startswith("| ")]
    for name in ("aiagent-operator", "aiagent-operator-namespaced"):
        for rule in objects("ClusterRole")[name]["rules"]:
            words = f"| {', '.join(rule['verbs'])} {', '.join(rule['resources'])}"
            assert any(row.startswith(words) for row in rows), f"docs/security.md has no row {words}"


def test_every_validation_says_what_to_do_and_answers_403() -> None:
    for name, policy in objects("ValidatingAdmissionPolicy").items():
        for validation in policy["spec"]["validations"]:
            assert validation["reason"] == "Forbidden", name
            assert validation.get("message") or validation.get("messageExpression"), name


def test_every_right_of_the_operator_has_its_reason() -> None:
    lines = (TEMPLATES / "rbac" / "operator.yaml").read_text(encoding="utf-8").splitlines()
    rules = [index for index, line in enumerate(lines) if line.startswith("  - apiGroups:")]
    assert len(rules) > 10
    for index in rules:
        assert lines[index - 1].startswith("  # "), f"line {index + 1} has no reason above it: {lines[index]}"


def test_the_operator_is_known_to_the_policies_by_the_account_it_runs_as() -> None:
    values = {"serviceAccount": {"name": "hr"}}
    user = f"system:serviceaccount:{chart.NAMESPACE}:hr"
    deployment = objects("Deployment", values)["aiagent-operator"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["AIAGENT_OPERATOR_USERNAME"] == user
    policies = objects("ValidatingAdmissionPolicy", values)
    fenced = [str(policy["spec"]) for name, policy in policies.items() if name.startswith("operator-")]
    assert fenced
    assert all(f"'{user}'" in spec for spec in fenced)


def test_named_namespaces_leave_no_binding_in_the_others() -> None:
    values = chart.VARIANTS["named namespaces"]
    assert objects("ClusterRoleBinding", values).keys() == {"aiagent-operator"}
    bound = [
        (o["metadata"]["namespace"], o["roleRef"]["name"])
        for o in chart.render(values)
        if o["kind"] == "RoleBinding" and o["roleRef"]["kind"] == "ClusterRole"
    ]
    names = ("aiagent-operator-namespaced", meta.GRANTABLE_CLUSTER_ROLE)
    assert sorted(bound) == sorted((ns, name) for ns in values["watchNamespaces"] for name in names)


def test_the_operator_runs_restricted() -> None:
    pod: dict[str, Any] = objects("Deployment")["aiagent-operator"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_operator_reaches_the_prometheus_that_it_may_ask_and_no_other() -> None:
    def ports(values: Values) -> list[list[int]]:
        policy = objects("NetworkPolicy", values)["aiagent-operator"]
        return [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]

    everything = chart.VARIANTS["everything"]
    assert ports({}) == [[53, 53], [443, 6443]]
    assert ports(everything) == [[53, 53], [443, 6443], [9090, 443]]
    (rule,) = objects("NetworkPolicy", everything)["aiagent-operator"]["spec"]["egress"][2:]
    assert rule["to"] == everything["networkPolicy"]["prometheus"]["peers"]
    pod = objects("Deployment", everything)["aiagent-operator"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    assert env["AIAGENT_PROMETHEUS_ADDRESSES"].split(",") == everything["prometheus"]["addresses"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert env["AIAGENT_PROMETHEUS_CA_FILE"] == f"{mounts['prometheus-ca']}/ca.crt"
    assert env["AIAGENT_PROMETHEUS_TOKEN_FILE"] == f"{mounts['prometheus-token']}/token"
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}


def test_settings_of_the_deployment_are_settings_of_the_operator() -> None:
    container = objects("Deployment")["aiagent-operator"]["spec"]["template"]["spec"]["containers"][0]
    named = {entry["name"] for entry in container["env"]}
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}
    values = {entry["name"]: entry["value"] for entry in container["env"] if entry.get("value")}
    given = {name.removeprefix(PREFIX).lower(): value for name, value in values.items()}
    assert Settings(**given).dns_pod_selector == {"k8s-app": "kube-dns"}
