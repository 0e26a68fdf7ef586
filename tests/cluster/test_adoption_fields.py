"""Adoption on a real API server, beside the ways in which owners write their workloads.

Each test plays the owner and the operator: the operator's part is what the core decides, sent as it is.
"""

import copy
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core import injection
from aiagent_operator.core.children import observe
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, ChildKind
from aiagent_operator.core.targets import adoption, contents, disputes, managed_fields, release
from support import chart
from support.cluster import Cluster, NamedCluster
from support.kube import ApiError, Kube, Object
from support.operator import Installation

pytestmark = pytest.mark.cluster

ARGO = "argocd-controller"
ACCOUNT = "aiagent.triage"
PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
Apply = Callable[[Object], Object]


class Target:
    """One workload, with the operator's hands on it."""

    def __init__(self, hands: Kube, namespace: str, kind: str, name: str = "app") -> None:
        self.hands, self.namespace, self.kind, self.name = hands, namespace, kind, name
        self.agent = AgentIdentity(namespace, "triage", str(uuid.uuid4()))
        self.pods = self.injection()

    def injection(self, *connections: str, agent: AgentIdentity | None = None) -> Injection:
        wanted = [Connection(name=name, audience=f"https://{name}.example") for name in connections]
        return injection.build(agent or self.agent, "aiagent.triage.0123456789", wanted)

    def live(self) -> Object:
        return self.hands.get("apps/v1", self.kind, self.name, namespace=self.namespace)

    def spec(self) -> Object:
        spec: Object = self.live()["spec"]["template"]["spec"]
        return spec

    def send(self, patch: adoption.Patch) -> Object:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{PLURALS[self.kind]}/{self.name}"
        params = {"fieldManager": patch.manager} | ({"force": str(patch.force).lower()} if patch.apply else {})
        answer: Object = self.hands.raw("PATCH", path, patch.body, params=params, content_type=patch.type.value)
        return answer

    def attempt(self, decide: Callable[[Object], adoption.Patch | None]) -> bool:
        """Looks, decides and sends; looks again where the workload's controller was faster. False: nothing to send."""
        while patch := decide(self.live()):
            try:
                self.send(patch)
            except ApiError as error:
                if error.status != 409 or disputes.conflict_message(error.body, patch.body):
                    raise
            else:
                return True
        return False

    def adopt(self, on_conflict: OnConflict = OnConflict.REFUSE) -> adoption.Adoption:
        """Goes on as the operator does until there is nothing to write; at most as many writes as it ever needs."""
        outcome: adoption.Adoption = adoption.Converged()

        def decide(live: Object) -> adoption.Patch | None:
            nonlocal outcome
            outcome = adoption.plan(live, self.agent, self.pods, on_conflict)
            return outcome.patch if isinstance(outcome, adoption.Apply | adoption.Disown) else None

        for _ in range(3):
            if not self.attempt(decide):
                return outcome
        assert not self.attempt(decide), "a fourth write in a row"
        return outcome

    def release(self) -> int:
        """Releases it; the number of writes."""
        writes = 0
        while self.attempt(lambda live: next(iter(release.release(live, self.agent)), None)):
            writes += 1
            assert writes < 5
        return writes

    def assert_adopted(self) -> None:
        live = self.live()
        child = observe(ChildKind(self.kind), live)
        assert child.digest == contents.desired_digest(self.agent, self.pods)
        assert (child.claimed_by, child.agent_uid) == (self.agent.uid, self.agent.uid)
        spec = live["spec"]["template"]["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == ACCOUNT
        assert {own for c in spec["containers"] for own in paths(c)} >= {m["mountPath"] for m in self.pods.mounts}

    def assert_nothing_left(self) -> None:
        # What the workload's controller says of the way here, in the status, is not the operator's.
        live = {part: value for part, value in self.live().items() if part != "status"}
        text = json.dumps(live)
        for trace in (meta.GROUP, meta.MANAGER, meta.ACCOUNT_PREFIX, meta.VOLUME_PREFIX):
            assert trace not in text, f"{trace} in {text}"


def paths(container: Object) -> list[str]:
    return [mount["mountPath"] for mount in container.get("volumeMounts", [])]


def workload(
    namespace: str, kind: str, *, containers: tuple[str, ...] = ("app",), account: str | None = None, **spec: Any
) -> Object:
    """A workload as an owner writes it. It has no replicas: what is tried here are fields, not pods."""
    labels = {"app": "app"}
    pod: Object = {"containers": [{"name": c, "image": f"registry.example/{c}:1"} for c in containers]}
    if account:
        pod["serviceAccountName"] = account
    extra: Object = {"serviceName": "app"} if kind == "StatefulSet" else {}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "app", "namespace": namespace, "labels": {"team": "theirs"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **extra, **spec},
    }


@pytest.fixture
def hands(installed: Installation) -> Kube:
    """The operator's account, with the chart's rights and under its policies; no operator runs beside it."""
    installed.end_shared()
    return installed.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)


@pytest.fixture(params=["Deployment", "StatefulSet"])
def target(request: pytest.FixtureRequest, hands: Kube, namespace: str) -> Target:
    return Target(hands, namespace, request.param)


@pytest.fixture
def kubectl(control_plane: Cluster) -> Apply:
    """`kubectl apply`, client-side."""
    named = isinstance(control_plane, NamedCluster)
    program = shutil.which("kubectl") if named else str(control_plane.kubectl)
    assert program, "kubectl is needed in PATH for a cluster that is named"
    return lambda obj: _kubectl_apply(Path(program), control_plane.kubeconfig, obj)


def _kubectl_apply(program: Path, kubeconfig: Path, obj: Object) -> Object:
    done = subprocess.run(
        [program, "--kubeconfig", kubeconfig, "apply", "-o", "json", "-f", "-"],
        input=json.dumps(obj),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: Object = json.loads(done.stdout)
    return answer


@pytest.fixture
def helm(admin: Kube) -> Apply:
    """Updates as Helm 3 makes them: POST, then a strategic merge patch from the last manifest to the new one."""
    last: dict[str, Object] = {}

    def apply(obj: Object) -> Object:
        namespace = obj["metadata"]["namespace"]
        collection = f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[obj['kind']]}"
        params = {"fieldManager": "helm"}
        old = last.get(namespace)
        last[namespace] = obj
        if old is None:
            created: Object = admin.raw("POST", collection, obj, params=params)
            return created
        patch = copy.deepcopy({"metadata": {"labels": obj["metadata"]["labels"]}, "spec": obj["spec"]})
        pod, old_pod = patch["spec"]["template"]["spec"], old["spec"]["template"]["spec"]
        pod |= {field: None for field in old_pod if field not in pod}
        kept = {container["name"] for container in pod["containers"]}
        gone = [container["name"] for container in old_pod["containers"] if container["name"] not in kept]
        pod["containers"] += [{"$patch": "delete", "name": name} for name in gone]
        kind = "application/strategic-merge-patch+json"
        patched: Object = admin.raw("PATCH", f"{collection}/app", patch, params=params, content_type=kind)
        return patched

    return apply


@pytest.fixture(params=["kubectl", "argo", "helm"])
def owner(request: pytest.FixtureRequest, admin: Kube) -> Apply:
    """Three ways of owners to write a workload."""
    if request.param == "argo":
        return lambda obj: admin.apply(obj, manager=ARGO, force=True)
    apply: Apply = request.getfixturevalue(request.param)
    return apply


def test_what_is_put_in_stays_when_the_owner_applies_again(target: Target, owner: Apply) -> None:
    manifest = workload(target.namespace, target.kind, containers=("app", "log"))
    owner(manifest)
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()
    generation = target.live()["metadata"]["generation"]

    owner(manifest)
    assert target.live()["metadata"]["generation"] == generation, "the owner and the operator pull at a field"
    target.assert_adopted()

    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/app:2"
    owner(manifest)
    assert target.spec()["containers"][0]["image"] == "registry.example/app:2"
    target.assert_adopted()
    assert isinstance(target.adopt(), adoption.Converged)


def test_the_owner_may_rename_add_and_remove_containers(target: Target, owner: Apply) -> None:
    pods = workload(target.namespace, target.kind, containers=("app", "log"))
    owner(pods)
    target.adopt()
    changed = workload(target.namespace, target.kind, containers=("renamed", "log", "more"))
    owner(changed)
    assert sorted(c["name"] for c in target.spec()["containers"]) == ["log", "more", "renamed"]
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()
    assert len({tuple(paths(c)) for c in target.spec()["containers"]}) == 1


def test_release_gives_back_exactly_what_was_there(target: Target, owner: Apply) -> None:
    manifest = workload(target.namespace, target.kind, containers=("app", "log"))
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "data", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    owner(manifest)
    before = target.live()
    target.adopt()
    assert target.release() > 0
    after = target.live()
    target.assert_nothing_left()
    assert after["spec"] == before["spec"]
    for live in (before, after):
        for volatile in ("resourceVersion", "generation", "managedFields"):
            live["metadata"].pop(volatile)
        annotations = live["metadata"].pop("annotations", {})
        annotations.pop("deployment.kubernetes.io/revision", None)
        live["metadata"]["annotations"] = annotations
    assert after["metadata"] == before["metadata"]
    assert not target.release()


def test_an_account_that_the_owner_sets_is_a_conflict_and_nothing_is_written(target: Target, owner: Apply) -> None:
    owner(workload(target.namespace, target.kind, account="theirs"))
    before = target.live()
    outcome = target.adopt()
    assert isinstance(outcome, adoption.Conflict)
    assert outcome.field == ".spec.template.spec.serviceAccountName"
    assert outcome.manager in (ARGO, "helm", "kubectl-client-side-apply")
    for part in (f"{target.kind} {target.namespace}/app", "theirs", outcome.manager, "onConflict: TakeOver", ACCOUNT):
        assert part in outcome.message
    assert target.live()["spec"] == before["spec"]
    assert not adoption.claim(target.live())


def test_the_remedy_that_a_conflict_names_works(target: Target, owner: Apply, admin: Kube) -> None:
    owner(workload(target.namespace, target.kind, account="theirs"))
    outcome = target.adopt()
    assert isinstance(outcome, adoption.Conflict)
    patch = json.loads(outcome.message.split("-p '")[1].split("'")[0])
    owner(workload(target.namespace, target.kind))
    admin.patch("apps/v1", target.kind, "app", patch, namespace=target.namespace)
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()
    assert meta.ANNOTATION_PRIOR_ACCOUNT not in target.live()["metadata"]["annotations"]


def test_take_over_happens_once_and_is_never_repeated(target: Target, owner: Apply) -> None:
    manifest = workload(target.namespace, target.kind, account="theirs")
    owner(manifest)
    assert isinstance(target.adopt(OnConflict.TAKE_OVER), adoption.Converged)
    target.assert_adopted()
    annotations = target.live()["metadata"]["annotations"]
    assert annotations[meta.ANNOTATION_PRIOR_ACCOUNT] == "theirs"

    owner(manifest)
    assert target.spec()["serviceAccountName"] == "theirs"
    version = target.live()["metadata"]["generation"]
    outcome = target.adopt(OnConflict.TAKE_OVER)
    assert isinstance(outcome, adoption.Conflict)
    assert outcome.manager == annotations[meta.ANNOTATION_PRIOR_MANAGER]
    assert "not taken a second time" in outcome.message
    assert target.live()["metadata"]["generation"] == version
    target.release()
    target.assert_nothing_left()
    assert target.spec()["serviceAccountName"] == "theirs"


def test_release_restores_the_account_and_its_manager(target: Target, owner: Apply) -> None:
    owner(workload(target.namespace, target.kind, account="theirs"))
    target.adopt(OnConflict.TAKE_OVER)
    manager = target.live()["metadata"]["annotations"][meta.ANNOTATION_PRIOR_MANAGER]
    target.release()
    target.assert_nothing_left()
    live = target.live()
    spec = live["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "theirs"
    owners = managed_fields.owners(live, "spec", "template", "spec", "serviceAccountName")
    assert [entry.manager for entry in owners] == [manager]
    owner(workload(target.namespace, target.kind, account="another"))
    assert target.spec()["serviceAccountName"] == "another"


def test_release_goes_on_after_a_crash_between_any_two_writes(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind, account="theirs", replicas=2), manager=ARGO)
    target.adopt(OnConflict.TAKE_OVER)
    target.attempt(lambda live: release.scale(live, True))
    seen = []
    while target.attempt(lambda live: next(iter(release.release(live, target.agent)), None)):
        live = target.live()
        spec = live["spec"]["template"]["spec"]
        has_volumes = any(map(adoption.is_ours, spec.get("volumes", [])))
        assert has_volumes == (spec["serviceAccountName"] == ACCOUNT), "account and volumes go in one write"
        seen.append(observe(ChildKind(target.kind), live).claimed_by)
    assert seen[:-1] == [target.agent.uid] * (len(seen) - 1), "found as the agent's until the last write"
    assert seen[-1] == ""
    assert target.live()["spec"]["replicas"] == 2
    target.assert_nothing_left()


def test_a_409_of_the_api_server_names_field_manager_and_remedy(target: Target, admin: Kube) -> None:
    """The core sees a conflict coming; the answer is read for one that came in between."""
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    planned = adoption.plan(target.live(), target.agent, target.pods, OnConflict.REFUSE)
    assert isinstance(planned, adoption.Apply)
    admin.apply(workload(target.namespace, target.kind, account="theirs"), manager=ARGO)
    with pytest.raises(ApiError) as refused:
        target.send(planned.patch)
    assert refused.value.status == 409
    conflict = disputes.conflict_message(refused.value.body, planned.body)
    assert conflict is not None
    assert conflict.manager == ARGO
    assert ".spec.template.spec.serviceAccountName" in conflict.field
    assert "TakeOver" in conflict.message
    assert f"{target.kind} {target.namespace}/app" in conflict.message


def test_a_409_because_the_target_has_changed_is_no_dispute(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    planned = adoption.plan(target.live(), target.agent, target.pods, OnConflict.REFUSE)
    assert isinstance(planned, adoption.Apply)
    admin.apply(workload(target.namespace, target.kind, containers=("other",)), manager=ARGO)
    with pytest.raises(ApiError) as stale:
        target.send(planned.patch)
    assert stale.value.status == 409
    assert disputes.conflict_message(stale.value.body, planned.body) is None
    assert [container["name"] for container in target.spec()["containers"]] == ["other"]


def test_a_target_that_was_made_anew_in_between_is_not_half_created(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    planned = adoption.plan(target.live(), target.agent, target.pods, OnConflict.REFUSE)
    assert isinstance(planned, adoption.Apply)
    admin.delete("apps/v1", target.kind, "app", namespace=target.namespace)
    admin.wait_gone("apps/v1", target.kind, "app", namespace=target.namespace)
    with pytest.raises(ApiError) as error:
        target.send(planned.patch)
    assert error.value.status == 409
    assert admin.find("apps/v1", target.kind, "app", namespace=target.namespace) is None


def test_a_second_agent_does_not_get_the_target(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    target.adopt()
    second = AgentIdentity(target.namespace, "second", str(uuid.uuid4()))
    for choice in OnConflict:
        outcome = adoption.plan(target.live(), second, target.injection(agent=second), choice)
        assert isinstance(outcome, adoption.Claimed)
        assert (outcome.uid, outcome.by) == (target.agent.uid, f"{target.namespace}/triage")
    assert not release.release(target.live(), second), "nor can it give away what it does not have"


def test_of_two_agents_that_adopt_at_once_only_one_succeeds(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    second = AgentIdentity(target.namespace, "second", str(uuid.uuid4()))
    seen: list[Object] = []

    def first(live: Object) -> adoption.Patch | None:
        seen.append(live)
        outcome = adoption.plan(live, target.agent, target.pods, OnConflict.REFUSE)
        return outcome.patch if isinstance(outcome, adoption.Apply) else None

    assert target.attempt(first)
    late = adoption.plan(seen[-1], second, target.injection(agent=second), OnConflict.REFUSE)
    assert isinstance(late, adoption.Apply)
    with pytest.raises(ApiError) as error:
        target.send(late.patch)
    assert error.value.status == 409
    assert adoption.claim(target.live()) == target.agent.uid


def test_a_label_put_on_by_a_stranger_gives_the_target_to_nobody_else(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    target.adopt()
    second = AgentIdentity(target.namespace, "second", str(uuid.uuid4()))
    labels = {"metadata": {"labels": {meta.LABEL_AGENT_UID: second.uid}}}
    admin.patch("apps/v1", target.kind, "app", labels, namespace=target.namespace)
    while target.attempt(lambda live: next(iter(release.release(live, second)), None)):
        assert observe(ChildKind(target.kind), target.live()).agent_uid != second.uid
    assert target.spec()["serviceAccountName"] == ACCOUNT
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()


def test_files_come_and_go_with_the_spec(target: Target, admin: Kube) -> None:
    admin.apply(workload(target.namespace, target.kind, containers=("app", "log")), manager=ARGO)
    target.adopt()
    generation = target.live()["metadata"]["generation"]
    target.pods = target.injection("crm", "mail")
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()
    assert target.live()["metadata"]["generation"] == generation + 1, "one rollout"
    target.pods = target.injection("crm")
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()
    assert target.live()["metadata"]["generation"] == generation + 2, "one rollout"
    assert not any("mail" in path for c in target.spec()["containers"] for path in paths(c))
    assert not any("mail" in volume["name"] for volume in target.spec()["volumes"])


@pytest.mark.parametrize(
    "edit",
    [
        {"spec": {"template": {"spec": {"serviceAccountName": None, "serviceAccount": None}}}},
        {"spec": {"template": {"metadata": {"labels": {meta.LABEL_AGENT_UID: None}}}}},
        {"metadata": {"labels": {meta.LABEL_AGENT: None}}},
        {"metadata": {"annotations": {meta.ANNOTATION_CLAIMED_BY: None}}},
    ],
    ids=["account", "pod-label", "label", "claim"],
)
def test_what_is_taken_out_by_hand_is_put_back(target: Target, admin: Kube, edit: Object) -> None:
    admin.apply(workload(target.namespace, target.kind), manager=ARGO)
    target.adopt()
    pods = edit.get("spec", {}).get("template", {})
    if "metadata" in pods:  # the labels of pods go only together with the account
        edit["spec"]["template"]["spec"] = {"serviceAccountName": None, "serviceAccount": None}
    admin.patch("apps/v1", target.kind, "app", edit, namespace=target.namespace)
    child = observe(ChildKind(target.kind), target.live())
    assert child.digest != contents.desired_digest(target.agent, target.pods)
    assert child.claimed_by == target.agent.uid, "still the owner's workload, which is released and never deleted"
    assert isinstance(target.adopt(), adoption.Converged)
    target.assert_adopted()


def test_a_mount_of_the_owners_in_our_place_is_never_taken(target: Target, admin: Kube) -> None:
    manifest = workload(target.namespace, target.kind)
    pod = manifest["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "token", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "token", "mountPath": meta.TOKEN_MOUNT}]
    admin.apply(manifest, manager=ARGO)
    outcome = target.adopt(OnConflict.TAKE_OVER)
    assert isinstance(outcome, adoption.Conflict)
    assert meta.TOKEN_MOUNT in outcome.message
    assert "container app" in outcome.message
    assert not adoption.claim(target.live())


def test_suspension_takes_the_replicas_once_and_gives_them_back(target: Target, owner: Apply, admin: Kube) -> None:
    owner(workload(target.namespace, target.kind, replicas=2))
    target.adopt()
    before = managed_fields.owners(target.live(), "spec", "replicas")
    assert target.attempt(lambda live: release.scale(live, True))
    assert target.live()["spec"]["replicas"] == 0
    assert not target.attempt(lambda live: release.scale(live, True))
    assert release.scale_conflict(target.live()) is None
    assert isinstance(target.adopt(), adoption.Converged), "its replicas are no part of what is put in"
    assert target.attempt(lambda live: release.scale(live, False))
    live = target.live()
    assert live["spec"]["replicas"] == 2
    assert meta.ANNOTATION_PRIOR_REPLICAS not in live["metadata"].get("annotations", {})
    assert {entry.manager for entry in managed_fields.owners(live, "spec", "replicas")} == {e.manager for e in before}
    assert not target.attempt(lambda live: release.scale(live, False))


def test_replicas_that_another_manager_sets_again_are_reported_and_not_fought(target: Target, owner: Apply) -> None:
    manifest = workload(target.namespace, target.kind, replicas=2)
    owner(manifest)
    target.adopt()
    target.attempt(lambda live: release.scale(live, True))
    manifest["spec"]["replicas"] = 3
    owner(manifest)
    assert not target.attempt(lambda live: release.scale(live, True))
    conflict = release.scale_conflict(target.live())
    assert conflict is not None
    assert conflict.manager in (ARGO, "helm", "kubectl-client-side-apply")
    assert "3 replicas" in conflict.message
    target.attempt(lambda live: release.scale(live, False))
    assert target.live()["spec"]["replicas"] == 3
