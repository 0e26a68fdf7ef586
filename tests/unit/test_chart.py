"""The chart as text: it renders, refuses wrong values with their name, and stays in step with what it is made from."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.settings import PREFIX, Settings
from support import chart
from support.chart import ChartError, Values
from support.kube import Object

TEMPLATES = chart.CHART / "templates"
CLUSTER_TESTS = Path(__file__).parents[1] / "cluster"
HOSTNAME = "kubernetes.io/hostname"


def objects(kind: str, values: Values | None = None) -> dict[str, Object]:
    """Objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in chart.render(values) if o["kind"] == kind}


def template(values: Values | None = None) -> Object:
    """The template of the operator's pods."""
    found: Object = objects("Deployment", values)["aiagent-operator"]["spec"]["template"]
    return found


def archive(*stores: Object, directory: Object | None = None, **more: Any) -> Values:
    """Values of the archive alone."""
    return {"archive": {"stores": list(stores), "directory": directory or {}, **more}}


def bucket(name: str = "vault", **fields: Any) -> Object:
    """A store that can be used."""
    return {"name": name, "url": "s3://agents/journals", "region": "eu-central-1", **fields}


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
    "archive": (archive(kind="s3"), "kind"),
    "default store": (archive(default="Vault"), "default"),
    "proof interval": (archive(proofInterval="5m"), "proofInterval"),
    "purge": (archive(purge="Soon"), "purge"),
    "verification interval": (archive(verificationInterval=0), "verificationInterval"),
    "directory": (archive(directory={"path": "/data"}), "path"),
    "size": (archive(directory={"size": "10 GB"}), "size"),
    "claim": (archive(directory={"existingClaim": "My_Claim"}), "existingClaim"),
    "one pod": (archive(directory={"accessModes": ["ReadWriteOncePod"]}), "accessModes"),
    "no access": (archive(directory={"accessModes": []}), "accessModes"),
    "store without a url": (archive({"name": "vault"}), "url"),
    "store of a strange name": (archive(bucket("the.vault")), "name"),
    "another directory": (archive(bucket(url="file:///data")), "url"),
    "password in a url": (archive(bucket(endpoint="https://ann:secret@minio")), "endpoint"),
    "folder for a Secret": (archive(bucket(credentialsDir="/secret")), "credentialsDir"),
    "file for a ConfigMap": (archive(bucket(caFile="/ca.crt")), "caFile"),
    "timeout": (archive(bucket(timeout="soon")), "timeout"),
    "lock": (archive(bucket(lockMode="Legal", retention="1h")), "lockMode"),
    "lock without an end": (archive(bucket(lockMode="Compliance")), "retention"),
    "handovers that are locked": (
        archive(bucket(handovers=True, lockMode="Compliance", retention="24h")),
        "what is locked cannot be erased",
    ),
    "peers": ({"networkPolicy": {"archive": {"peers": ["10.0.0.0/8"]}}}, "peers"),
    "port": ({"networkPolicy": {"archive": {"ports": ["https"]}}}, "ports"),
    # What a schema cannot say.
    "default that is no store": (archive(bucket(), default="vaults"), "archive.default names vaults.* local, vault"),
    "default without the directory": (archive(bucket(), directory={"enabled": False}), "archive.default names local"),
    "two of one name": (archive(bucket(), bucket()), "two stores are called vault"),
    "beside the directory": (archive(bucket("local")), "local is the name of the directory's store"),
    "no store": (archive(directory={"enabled": False}), "there is no store"),
    "no region": (archive({"name": "vault", "url": "s3://agents"}), "vault has no region"),
    "region": (archive(bucket(url="gs://agents")), "of vault mean something for s3:// only"),
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
        found = objects(kind, chart.PROTECTING)
        assert found
        for name, obj in found.items():
            assert obj["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", f"{kind} {name}"


def test_namespaces_are_protected_where_that_is_asked_for() -> None:
    name = "protected-namespaces.workforce.dev"
    more = {o["metadata"]["name"] for o in chart.render(chart.PROTECTING)} - {
        o["metadata"]["name"] for o in chart.render()
    }
    assert more == {name}
    assert not objects("ValidatingAdmissionPolicy", {"policies": {"install": False, "protectNamespaces": True}})


def test_every_policy_is_bound_and_attacked() -> None:
    policies = objects("ValidatingAdmissionPolicy", chart.PROTECTING)
    assert policies.keys() == objects("ValidatingAdmissionPolicyBinding", chart.PROTECTING).keys()
    attacks = "".join(path.read_text(encoding="utf-8") for path in CLUSTER_TESTS.glob("test_attacks_*.py"))
    for name in policies:
        assert f'refused("{name.removesuffix(".workforce.dev")}"' in attacks, f"no attack is refused by {name}"


def test_the_security_page_has_every_policy_and_every_right() -> None:
    page = (chart.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"^\| `((?:agent|author|role|order|operator|definitions|protected)[a-z-]*)` \|", page, re.MULTILINE)
    )
    assert listed == {
        name.removesuffix(".workforce.dev") for name in objects("ValidatingAdmissionPolicy", chart.PROTECTING)
    }
    rows = [row for row in page.splitlines() if row.startswith("| ")]
    for name in ("aiagent-operator", "aiagent-operator-namespaced"):
        for rule in objects("ClusterRole")[name]["rules"]:
            words = f"| {', '.join(rule['verbs'])} {', '.join(rule['resources'])}"
            assert any(row.startswith(words) for row in rows), f"docs/security.md has no row {words}"


def test_every_validation_says_what_to_do_and_answers_403() -> None:
    for name, policy in objects("ValidatingAdmissionPolicy", chart.PROTECTING).items():
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
    container = template(values)["spec"]["containers"][0]
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
    pod = template()["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def egress(values: Values) -> list[tuple[list[int], Any]]:
    """Ports and peers of each way out that the operator has."""
    policy = objects("NetworkPolicy", values)["aiagent-operator"]
    return [([port["port"] for port in rule["ports"]], rule.get("to")) for rule in policy["spec"]["egress"]]


def test_the_operator_reaches_the_prometheus_that_it_may_ask_and_no_other() -> None:
    everything = chart.VARIANTS["everything"]
    assert [ports for ports, _ in egress({})] == [[53, 53], [443, 6443]]
    assert ([9090, 443], everything["networkPolicy"]["prometheus"]["peers"]) in egress(everything)
    pod = template(everything)["spec"]
    (container,) = pod["containers"]
    env = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    assert env["AIAGENT_PROMETHEUS_ADDRESSES"].split(",") == everything["prometheus"]["addresses"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert env["AIAGENT_PROMETHEUS_CA_FILE"] == f"{mounts['prometheus-ca']}/ca.crt"
    assert env["AIAGENT_PROMETHEUS_TOKEN_FILE"] == f"{mounts['prometheus-token']}/token"
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}


def test_settings_of_the_deployment_are_settings_of_the_operator() -> None:
    container = template()["spec"]["containers"][0]
    named = {entry["name"] for entry in container["env"]}
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}
    # Files are in the pod alone.
    values = {e["name"]: e["value"] for e in container["env"] if e.get("value") and not e["name"].endswith("_FILE")}
    given = {name.removeprefix(PREFIX).lower(): value for name, value in values.items()}
    assert Settings(**given).dns_pod_selector == {"k8s-app": "kube-dns"}


def stores(values: Values | None = None) -> Object:
    """What the operator reads of its stores, from the file that its environment names."""
    container = template(values)["spec"]["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env["AIAGENT_ARCHIVE_FILE"] == "/etc/aiagent-operator/archive/stores.yaml"
    found: Object = yaml.safe_load(objects("ConfigMap", values)["aiagent-operator-archive"]["data"]["stores.yaml"])
    return found


def mounted(values: Values | None = None) -> dict[str, Object]:
    """Volumes of the operator's pods by where they are, with the archive's only."""
    pod = template(values)["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = pod["containers"][0]["volumeMounts"]
    for mount in mounts:
        writes = mount["name"] in ("tmp", "archive")
        assert mount.get("readOnly", False) is not writes, mount["mountPath"]
    return {mount["mountPath"]: volumes[mount["name"]] for mount in mounts if "archive" in mount["name"]}


def test_journals_are_on_a_volume_by_default() -> None:
    assert stores() == {
        "default": "local",
        "stores": [{"name": "local", "url": "file:///var/lib/aiagent-operator/archive"}],
    }
    volumes = mounted()
    assert volumes.keys() == {"/etc/aiagent-operator/archive", "/var/lib/aiagent-operator/archive"}
    assert volumes["/etc/aiagent-operator/archive"]["configMap"] == {"name": "aiagent-operator-archive"}
    claimed = volumes["/var/lib/aiagent-operator/archive"]["persistentVolumeClaim"]
    assert claimed == {"claimName": "aiagent-operator-archive"}
    claim = objects("PersistentVolumeClaim")["aiagent-operator-archive"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    assert template()["spec"]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    env = {entry["name"]: entry.get("value") for entry in template()["spec"]["containers"][0]["env"]}
    assert env["AIAGENT_ARCHIVE_PROOF_INTERVAL"] == "300"


@pytest.mark.parametrize(
    ("archive", "logs", "secrets"),
    [({}, True, True), ({"logs": False}, False, True), ({"enabled": False}, False, False)],
)
@pytest.mark.parametrize("trainings", [True, False])
def test_logs_and_keys_are_read_only_where_they_are_kept(
    archive: dict[str, bool], *, logs: bool, secrets: bool, trainings: bool
) -> None:
    values = {"archive": archive, "training": {"logs": trainings}}
    env = {entry["name"]: entry.get("value") for entry in template(values)["spec"]["containers"][0]["env"]}
    assert env.get("AIAGENT_ARCHIVE_LOGS") == (None if archive.get("enabled") is False else str(logs).lower())
    read = [rule["resources"] for rule in objects("ClusterRole", values)["aiagent-operator-namespaced"]["rules"]]
    assert (["pods/log"] in read) is (logs or trainings)
    assert env["AIAGENT_TRAINING_LOGS"] == str(trainings).lower()
    kept = [rule["resources"] for rule in objects("Role", values)["aiagent-operator"]["rules"]]
    assert (["secrets"] in kept) is secrets


def test_the_claim_is_as_the_values_say() -> None:
    claim = objects("PersistentVolumeClaim", chart.VARIANTS["a volume for all nodes"])["aiagent-operator-archive"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "nfs",
        "resources": {"requests": {"storage": "1Ti"}},
    }


def test_a_claim_that_is_there_is_used_and_none_is_made() -> None:
    values = archive(directory={"existingClaim": "journals"})
    assert not objects("PersistentVolumeClaim", values)
    volume = mounted(values)["/var/lib/aiagent-operator/archive"]
    assert volume["persistentVolumeClaim"] == {"claimName": "journals"}


def test_stores_have_their_credentials_and_certificates_mounted_where_the_operator_looks() -> None:
    everything = chart.VARIANTS["everything"]
    given = everything["archive"]["stores"][0]
    found = stores(everything)
    assert found["default"] == "vault"
    assert [store["name"] for store in found["stores"]] == ["local", "vault", "copy"]
    _, vault, copy = found["stores"]
    assert vault == {key: given[key] for key in given if key not in ("credentialsSecret", "caConfigMap")} | {
        "credentialsDir": "/etc/aiagent-operator/archive-credentials/vault",
        "caFile": "/etc/aiagent-operator/archive-ca/vault/ca.crt",
    }
    assert copy == {"name": "copy", "url": "az://account/container", "readOnly": True}
    volumes = mounted(everything)
    assert volumes[vault["credentialsDir"]]["secret"] == {"secretName": "vault-credentials"}
    assert volumes[vault["caFile"].removesuffix("/ca.crt")]["configMap"] == {"name": "vault-ca"}
    assert volumes[found["signingKeyFile"].removesuffix("/signing.key")]["secret"] == {"secretName": "signing"}
    assert len(volumes) == 5


@pytest.mark.parametrize("name", [name for name in chart.VARIANTS if name != "one replica, nothing optional"])
def test_the_operator_can_read_the_stores(name: str) -> None:
    allowed = (
        "file:///var/lib/aiagent-operator/archive",
        "https://minio.example:9000",
        "https://account.blob.core.windows.net",
        "https://storage.googleapis.com",
    )
    found = stores(chart.VARIANTS[name])
    assert found["default"] in [config.read(store, allowed).name for store in found["stores"]]


def test_a_store_may_have_the_longest_name() -> None:
    name = 63 * "a"
    values = archive(bucket(name, credentialsSecret="s", caConfigMap="c"))
    assert all(len(volume["name"]) <= 63 for volume in template(values)["spec"]["volumes"])
    assert f"/etc/aiagent-operator/archive-ca/{name}" in mounted(values)


def test_other_stores_mean_other_pods() -> None:
    def checksum(values: Values | None = None) -> str:
        return str(template(values)["metadata"]["annotations"]["checksum/archive"])

    assert checksum() == checksum({"log": {"level": "debug"}})
    assert len({checksum(), checksum(archive(bucket())), checksum(archive(bucket(readOnly=True)))}) == 3


@pytest.mark.parametrize("name", ["one replica, nothing optional", "a bucket alone"])
def test_without_a_directory_nothing_is_left_of_it(name: str) -> None:
    values = chart.VARIANTS[name]
    assert not objects("PersistentVolumeClaim", values)
    assert "/var/lib/aiagent-operator/archive" not in mounted(values)
    assert "affinity" not in template(values)["spec"]
    assert "fsGroupChangePolicy" not in template(values)["spec"]["securityContext"]


@pytest.mark.parametrize(("archive", "taken"), [({}, True), ({"memory": False}, False), ({"enabled": False}, False)])
def test_the_operator_listens_for_volumes_only_where_they_are_archived(
    archive: dict[str, bool], *, taken: bool
) -> None:
    container = objects("Deployment", {"archive": archive})["aiagent-operator"]["spec"]["template"]["spec"][
        "containers"
    ][0]
    env = {each["name"]: each for each in container["env"]}
    assert ("AIAGENT_POD_IP" in env) is taken
    assert ("uploads" in {port["name"] for port in container["ports"]}) is taken
    if taken:
        # The policy names the same image, or it would refuse the operator's Jobs.
        policies = objects("ValidatingAdmissionPolicy", {"archive": archive})
        for name in ("operator-memories", "operator-handovers"):
            expression = policies[f"{name}.workforce.dev"]["spec"]["validations"][0]["expression"]
            assert f"== '{env['AIAGENT_IMAGE']['value']}'" in expression
        assert env["AIAGENT_IMAGE"]["value"] == container["image"]
    rules = objects("ClusterRole", {"archive": archive})["aiagent-operator"]["rules"]
    assert (["tokenreviews"] in [rule["resources"] for rule in rules]) is taken
    senders = [
        rule["from"][0]["podSelector"]["matchExpressions"]
        for rule in objects("NetworkPolicy", {"archive": archive})["aiagent-operator"]["spec"]["ingress"]
        if "from" in rule
    ]
    runs = {"key": "workforce.dev/run", "operator": "In", "values": ["memory", "decisions", "handover"]}
    assert senders == ([[runs]] if taken else [])


def test_without_an_archive_nothing_is_left_of_it() -> None:
    values = archive(bucket(), enabled=False)
    assert not objects("ConfigMap", values)
    assert "archive" not in str(objects("Deployment", values))
    assert len(egress(values)) == 2


def test_the_operator_reaches_its_buckets_and_a_directory_opens_no_way() -> None:
    everything = chart.VARIANTS["everything"]
    assert egress(everything)[-1] == ([9000], everything["networkPolicy"]["archive"]["peers"])
    assert egress(chart.VARIANTS["a bucket alone"])[2:] == [([443], None)]
    assert len(egress(chart.VARIANTS["a volume for all nodes"])) == 2


def required(values: Values | None = None) -> list[Object]:
    """Required terms of the pods' affinity to other pods."""
    affinity = template(values)["spec"].get("affinity", {})
    found: list[Object] = affinity.get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    return found


def spread(values: Values | None = None) -> list[str]:
    """Over what the pods are spread."""
    return [each["topologyKey"] for each in template(values)["spec"]["topologySpreadConstraints"]]


def test_a_volume_for_one_node_keeps_the_pods_on_one() -> None:
    (term,) = required()
    labels = template()["metadata"]["labels"]
    assert term["topologyKey"] == HOSTNAME
    wanted = term["labelSelector"]["matchLabels"]
    assert wanted.items() <= labels.items(), "else the first pod could not be scheduled"
    assert objects("Deployment")["aiagent-operator"]["spec"]["selector"]["matchLabels"].items() < wanted.items()
    assert HOSTNAME not in spread()
    assert not objects("PodDisruptionBudget"), "a drain would wait for ever"


def test_pods_are_held_fast_by_those_with_the_same_volume_only() -> None:
    def label(values: Values | None = None) -> Any:
        return template(values)["metadata"]["labels"].get("workforce.dev/archive-volume")

    assert label() == label({"log": {"level": "debug"}})
    assert label() != label(archive(directory={"existingClaim": "journals"}))
    assert len(label(archive(directory={"existingClaim": 200 * "a"}))) <= 63
    assert label(chart.VARIANTS["a volume for all nodes"]) is None


@pytest.mark.parametrize("name", ["a volume for all nodes", "a bucket alone"])
def test_what_all_nodes_reach_leaves_the_pods_on_different_ones(name: str) -> None:
    values = chart.VARIANTS[name]
    assert required(values) == []
    assert HOSTNAME in spread(values)
    assert objects("PodDisruptionBudget", values)


def term(**labels: str) -> Object:
    """A term of somebody's own."""
    return {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": labels}}


def test_an_affinity_of_ones_own_stays() -> None:
    own = term(**{"app.kubernetes.io/name": "aiagent-operator"})
    preferred = [{"weight": 1, "podAffinityTerm": term(app="cache")}]
    affinity = {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []},
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [own],
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        },
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred},
    }
    made = template({"affinity": affinity})["spec"]["affinity"]
    (ours,) = required()
    assert made["podAffinity"].pop("requiredDuringSchedulingIgnoredDuringExecution") == [own, ours]
    affinity["podAffinity"].pop("requiredDuringSchedulingIgnoredDuringExecution")
    assert made == affinity


@pytest.mark.parametrize(
    ("kind", "labels", "said"),
    [
        ("podAntiAffinity", {"app.kubernetes.io/name": "aiagent-operator"}, "affinity.podAntiAffinity keeps .* apart"),
        ("podAffinity", {"app": "cache"}, "affinity.podAffinity requires other pods"),
    ],
)
def test_an_affinity_with_which_pods_would_wait_for_ever_is_refused(
    kind: str, labels: dict[str, str], said: str
) -> None:
    values = {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term(**labels)]}}}
    with pytest.raises(ChartError, match=said):
        chart.render(values)
    assert chart.render({**values, **chart.VARIANTS["a volume for all nodes"]})


def test_the_pods_may_keep_away_from_others() -> None:
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(app="cache")]}}
    assert template({"affinity": affinity})["spec"]["affinity"]["podAntiAffinity"] == affinity["podAntiAffinity"]


def notes(values: Values) -> str:
    """What Helm says after an installation."""
    arguments = ("install", chart.RELEASE, str(chart.CHART), "--namespace", chart.NAMESPACE, "--dry-run=client")
    return chart.run_helm(*arguments, "--values", "-", stdin=json.dumps(values)).rpartition("\nNOTES:\n")[2]


def test_the_notes_say_where_journals_stay() -> None:
    assert "The PersistentVolumeClaim aiagent-operator-archive stays too" in notes({})
    assert "The PersistentVolumeClaim journals stays too" in notes(chart.VARIANTS["everything"])
    assert "PersistentVolumeClaim" not in notes(chart.VARIANTS["a bucket alone"])
    assert "No journal is kept" in notes(archive(enabled=False))
