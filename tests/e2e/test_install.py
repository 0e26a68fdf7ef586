"""On kind: the built image, the chart, the samples, and what the API server answers from inside the agents' pods."""

import base64
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import archivekey, layout, payload
from e2e.conftest import ARCHIVE, IMAGE, agent, condition, running_pod, wait_ready
from support import archives, chart
from support.kindcluster import on_node
from support.kube import Kube, Object, wait_for

Inside = Callable[..., tuple[int, str]]
NAMESPACE = "e2e-agents"

ROLE: Object = {
    "apiVersion": "workforce.dev/v1alpha1",
    "kind": "AgentRole",
    "metadata": {"name": "e2e-clerk"},
    "spec": {
        "description": "Reads the catalog and files notes.",
        "lifecycle": {"state": "Approved"},
        "permissionSets": [
            {
                "name": "file-notes",
                "description": "Files notes as ConfigMaps.",
                "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]}],
            }
        ],
    },
}
GRANTABLE: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "e2e-grantable", "labels": {"workforce.dev/grantable": "true"}},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]}],
}


SLEEP = "import time; time.sleep(86400)"
# Deaf to SIGTERM, so that what a suspended agent's pod may still do can be asked while it ends.
DEAF = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEP}"


def clerk(name: str, *, script: str = SLEEP, grace: int = 1, **spec: Any) -> Object:
    """An agent that may file notes, run by the operator's own image, which has a Python and nothing else to do."""
    container = {"name": "app", "image": IMAGE, "command": ["python3", "-c", script]}
    pods = {"containers": [container], "terminationGracePeriodSeconds": grace}
    return {
        "apiVersion": "workforce.dev/v1alpha1",
        "kind": "AIAgent",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "roleRef": {"name": "e2e-clerk"},
            "purpose": "Files notes for the end-to-end tests.",
            "owners": [
                {
                    "name": "product",
                    "function": "Product",
                    "responsibility": "Accountable",
                    "subject": {"kind": "User", "name": "product-owner@corp.example"},
                }
            ],
            "permissions": [{"name": "file-notes"}],
            "handbook": {"instructions": {"inline": "File notes."}},
            "workload": {"template": {"spec": pods}},
            **spec,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def ground(kube: Kube, release: None) -> None:
    """A namespace, a role, and what is grantable."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for obj in (GRANTABLE, ROLE):
        kube.apply(obj, force=True)


def maps(namespace: str = NAMESPACE) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def test_samples_become_ready(kube: Kube, samples: list[Object]) -> None:
    assert samples
    for sample in samples:
        wait_ready(kube, sample["metadata"]["namespace"], sample["metadata"]["name"])


def test_granted_works_and_the_rest_is_403_from_inside_the_pod(kube: Kube, inside: Inside) -> None:
    kube.apply(clerk("inside"))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "inside"))
    assert inside(pod, "GET", maps())[0] == 200
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "note-"}, "data": {"text": "hello"}}
    assert inside(pod, "POST", maps(), note)[0] == 201
    for method, path in (
        ("DELETE", f"{maps()}/kube-root-ca.crt"),
        ("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets"),
        ("GET", maps("kube-system")),
        ("GET", "/api/v1/nodes"),
        ("GET", f"/apis/workforce.dev/v1alpha1/namespaces/{NAMESPACE}/aiagents"),
    ):
        code, answer = inside(pod, method, path)
        assert code == 403, f"{method} {path}: {code} {answer}"
        assert "aiagent.inside" in json.loads(answer)["message"]


def test_the_pod_has_the_handbook_and_a_token_for_its_audience(
    kube: Kube, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    kube.apply(clerk("mounts", connections=[{"name": "crm", "audience": "https://crm.example"}]))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "mounts"))["metadata"]["name"]
    script = (
        "import base64, json;"
        "token = open('/var/run/workforce/connections/crm/token').read().split('.')[1];"
        "print(json.dumps([open('/etc/workforce/handbook/instructions.md').read(),"
        " json.loads(base64.urlsafe_b64decode(token + '=='))['aud']]))"
    )
    done = kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", script)
    assert json.loads(done.stdout) == ["File notes.", ["https://crm.example"]], done.stderr


def test_a_missing_secret_is_named_until_it_is_there(kube: Kube) -> None:
    kube.apply(clerk("secretive", connections=[{"name": "crm", "secretRef": {"name": "crm-key"}}]))
    found = wait_ready(kube, NAMESPACE, "secretive", status="False", reason="PodsFailing")
    assert 'secret "crm-key" not found' in condition(found, "Ready")["message"]
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "crm-key", "namespace": NAMESPACE}}
    kube.apply(secret | {"stringData": {"key": "value"}})
    wait_ready(kube, NAMESPACE, "secretive")


def test_suspend_takes_the_rights_while_the_pod_still_runs(kube: Kube, inside: Inside) -> None:
    kube.apply(clerk("paused", script=DEAF, grace=60))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "paused"))
    assert inside(pod, "GET", maps())[0] == 200
    kube.patch("workforce.dev/v1alpha1", "aiagents", "paused", {"spec": {"suspended": True}}, namespace=NAMESPACE)
    code = wait_for(
        lambda: (code := inside(pod, "GET", maps())[0]) == 403 and code, what="the suspended agent's call to be refused"
    )
    assert code == 403
    still = kube.get("v1", "pods", pod["metadata"]["name"], namespace=NAMESPACE)
    assert still["metadata"]["uid"] == pod["metadata"]["uid"], "the pod was to be still there, and refused"
    kube.delete("v1", "pods", pod["metadata"]["name"], namespace=NAMESPACE, grace_seconds=0)
    wait_ready(kube, NAMESPACE, "paused", status="False", reason="Suspended")
    kube.patch("workforce.dev/v1alpha1", "aiagents", "paused", {"spec": {"suspended": False}}, namespace=NAMESPACE)
    again = running_pod(kube, wait_ready(kube, NAMESPACE, "paused"))
    assert inside(again, "GET", maps())[0] == 200


def test_a_target_is_adopted_and_given_back(kube: Kube, inside: Inside) -> None:
    labels = {"app": "desk"}
    container = {"name": "app", "image": IMAGE, "command": ["python3", "-c", SLEEP]}
    target = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "desk", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    kube.apply(target, manager="argocd-controller")
    workload = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "desk"}}
    kube.apply(clerk("adopter", workload=workload))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "adopter"))
    assert inside(pod, "GET", maps())[0] == 200
    kube.delete("workforce.dev/v1alpha1", "aiagents", "adopter", namespace=NAMESPACE)
    kube.wait_gone("workforce.dev/v1alpha1", "aiagents", "adopter", namespace=NAMESPACE)
    left = kube.get("apps/v1", "deployments", "desk", namespace=NAMESPACE)
    assert "serviceAccountName" not in left["spec"]["template"]["spec"]
    assert "volumes" not in left["spec"]["template"]["spec"]


def test_after_deletion_the_old_token_is_refused(
    kube: Kube, inside: Inside, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    kube.apply(clerk("witness"))
    witness = running_pod(kube, wait_ready(kube, NAMESPACE, "witness"))
    kube.apply(clerk("leaver"))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "leaver"))["metadata"]["name"]
    read = "print(open('/var/run/secrets/kubernetes.io/serviceaccount/token').read())"
    token = kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", read).stdout.strip()
    assert inside(witness, "GET", maps(), token=token)[0] == 200
    kube.delete("workforce.dev/v1alpha1", "aiagents", "leaver", namespace=NAMESPACE)
    kube.wait_gone("workforce.dev/v1alpha1", "aiagents", "leaver", namespace=NAMESPACE, timeout=90)
    code = wait_for(
        lambda: (code := inside(witness, "GET", maps(), token=token)[0]) == 401 and code,
        what="the token of an account that is gone to be refused",
    )
    assert code == 401
    for kind in ("serviceaccounts", "configmaps"):
        names = [o["metadata"]["name"] for o in kube.list("v1", kind, namespace=NAMESPACE)]
        assert not [name for name in names if name.startswith("aiagent.leaver")]


def test_the_journal_is_on_the_volume_and_outlives_the_agent(kube: Kube) -> None:
    kube.apply(clerk("told"))
    wait_ready(kube, NAMESPACE, "told")

    def recorded() -> Object | None:
        found = agent(kube, NAMESPACE, "told")
        journal = found["status"].get("journal") or {}
        return found if "head" in journal and "pending" not in journal else None

    found = wait_for(recorded, what="the events of the agent to be recorded")
    folder = f"{ARCHIVE}/journal/{found['metadata']['uid']}"
    head = found["status"]["journal"]["head"]
    sums = on_node("sh", "-c", f"cd {folder} && sha256sum *.json").splitlines()
    assert len(sums) == head["sequence"]
    assert f"sha256:{sums[-1].split()[0]}" == head["digest"]
    kube.delete("workforce.dev/v1alpha1", "aiagents", "told", namespace=NAMESPACE)
    kube.wait_gone("workforce.dev/v1alpha1", "aiagents", "told", namespace=NAMESPACE, timeout=90)
    last = json.loads(on_node("sh", "-c", f"cat $(ls {folder}/*.json | tail -1)"))
    assert last["type"] == "dev.workforce.agent.Terminated"


def test_who_leaves_is_archived_with_a_certificate_that_an_auditor_verifies(kube: Kube, tmp_path: Path) -> None:
    kube.apply(clerk("leaves", script=f"print('ticket 4711 of Ada is answered', flush=True); {SLEEP}"))
    uid = wait_ready(kube, NAMESPACE, "leaves")["metadata"]["uid"]
    kube.delete("workforce.dev/v1alpha1", "aiagents", "leaves", namespace=NAMESPACE)
    kube.wait_gone("workforce.dev/v1alpha1", "aiagents", "leaves", namespace=NAMESPACE, timeout=90)
    (record,) = [
        found for found in kube.list("workforce.dev/v1alpha1", "agentarchives") if found["spec"]["agent"]["uid"] == uid
    ]
    assert condition(record, "Certified")["status"] == "True", record
    packed = on_node("sh", "-c", f"cd {ARCHIVE} && tar -c {record['spec']['path']} | base64")
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as tar:
        tar.extractall(tmp_path, filter="data")
    key = tmp_path / "workforce.pub"
    key.write_bytes(archives.public_pem(archives.ED25519))
    command = [str(Path(sys.executable).with_name("kubectl-aiagent")), "archive", "verify"]
    done = subprocess.run(
        [*command, str(tmp_path / record["spec"]["path"]), "--key", str(key)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert decrypted(kube, tmp_path / record["spec"]["path"], record["metadata"]["name"]) == [
        "ticket 4711 of Ada is answered"
    ]


def decrypted(kube: Kube, folder: Path, archive: str) -> list[str]:
    """What the one log of an archive says, without the times, with the key that the operator has made for it."""
    manifest = json.loads((folder / layout.MANIFEST).read_text())
    assert manifest["notCaptured"] == []
    (item,) = [item for item in manifest["items"] if item["path"].startswith("logs/")]
    secret = kube.get("v1", "secrets", f"{archivekey.PREFIX}{archive}", namespace=chart.NAMESPACE)
    identity = base64.b64decode(secret["data"][archivekey.FIELD]).decode()
    clear = bytearray()
    how = Encryption.model_validate(item["encrypted"])
    payload.decrypt([(folder / item["path"]).read_bytes()], clear.extend, identity, how)
    return [line.partition(" ")[2] for line in clear.decode().splitlines()]


def rights(kube: Kube) -> dict[str, str]:
    """Roles and RoleBindings of all agents, each with its version."""
    return {
        f"{kind}/{o['metadata']['namespace']}/{o['metadata']['name']}": o["metadata"]["resourceVersion"]
        for kind in ("roles", "rolebindings")
        for o in kube.list("rbac.authorization.k8s.io/v1", kind, labels="workforce.dev/agent-uid")
    }


def test_an_upgrade_changes_no_right(kube: Kube, install: Callable[..., str]) -> None:
    kube.apply(clerk("steady"))
    wait_ready(kube, NAMESPACE, "steady")
    before = rights(kube)
    assert before
    install("log.level=debug")
    wait_ready(kube, NAMESPACE, "steady")
    assert rights(kube) == before


def test_uninstall_keeps_agents_and_their_rights_and_a_new_release_takes_over(
    kube: Kube, helm: Callable[..., str], install: Callable[..., str], inside: Inside
) -> None:
    kube.apply(clerk("stayer"))
    pod = running_pod(kube, wait_ready(kube, NAMESPACE, "stayer"))
    before = rights(kube)
    helm("uninstall", chart.RELEASE, "--wait")
    assert rights(kube) == before
    assert agent(kube, NAMESPACE, "stayer")["metadata"]["name"] == "stayer"
    assert inside(pod, "GET", maps())[0] == 200
    names = {o["metadata"]["name"] for o in kube.list("admissionregistration.k8s.io/v1", "validatingadmissionpolicies")}
    assert chart.LAST_POLICY in names
    install()
    wait_ready(kube, NAMESPACE, "stayer")
    assert rights(kube) == before
