"""Somebody edits or deletes what is the operator's: it is put right at once, and counted."""

from collections.abc import Callable
from typing import Any

import pytest

from support import agents
from support.agents import permission
from support.kube import Object
from support.operator import OperatorProcess
from support.workplace import Workplace

Edit = Callable[[Object], Any]


def _set(*path: str | int, to: Any) -> Edit:
    def edit(obj: Object) -> None:
        place: Any = obj
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return edit


KINDS = ["ServiceAccount", "NetworkPolicy", "ConfigMap", "Role", "RoleBinding", "Deployment"]
EDITS: dict[str, tuple[str, Edit]] = {
    "account": ("ServiceAccount", _set("automountServiceAccountToken", to=True)),
    "policy opened": ("NetworkPolicy", _set("spec", "egress", to=[{}])),
    "policy moved": ("NetworkPolicy", _set("spec", "podSelector", to={"matchLabels": {"app": "other"}})),
    "image": ("Deployment", _set("spec", "template", "spec", "containers", 0, "image", to="registry.example/evil:1")),
    "replicas": ("Deployment", _set("spec", "replicas", to=5)),
    "hash and image": ("Deployment", _set("spec", "template", "spec", "containers", 0, "command", to=["sh"])),
}
# What Roles and bindings of agents say is fenced by policies; what happens to their labels is not.
LABELS = ["workforce.dev/agent-uid", "workforce.dev/agent", "app.kubernetes.io/managed-by"]


def _key(place: Workplace, uid: str, kind: str) -> tuple[str, str, str]:
    return next(key for key in place.children(uid) if key[0] == kind)


def _relevant(obj: Object) -> Object:
    kept = {k: v for k, v in obj.items() if k not in ("metadata", "status")}
    return kept | {"labels": obj["metadata"].get("labels")}


@pytest.fixture
def employed(place: Workplace) -> str:
    place.employ("triage", place.new_role(), permission("read-tickets"))
    uid: str = place.until_ready("triage")["metadata"]["uid"]
    return uid


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_child_comes_back(place: Workplace, operator: OperatorProcess, employed: str, kind: str) -> None:
    key = _key(place, employed, kind)
    before = place.children(employed)[key]
    repairs = operator.metric("aiagent_repairs_total", kind=kind)

    place.admin.delete(before["apiVersion"], kind, key[2], namespace=key[1])

    def back() -> Object | None:
        found = place.children(employed).get(key)
        return found if found and found["metadata"]["uid"] != before["metadata"]["uid"] else None

    after = place.admin.wait_for(back, what=f"the {kind} to be back")
    assert after is not None
    assert _relevant(after) == _relevant(before)
    place.until_settled("triage")
    assert place.rights(employed) == {(place.namespace, "crm.example", "tickets", verb) for verb in ("get", "list")}
    assert operator.metric("aiagent_repairs_total", kind=kind) == repairs + 1


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_child_is_put_right(place: Workplace, operator: OperatorProcess, employed: str, what: str) -> None:
    kind, edit = EDITS[what]
    key = _key(place, employed, kind)
    before = place.children(employed)[key]
    repairs = operator.metric("aiagent_repairs_total", kind=kind)
    # As the controllers built into Kubernetes may, which no policy keeps from writing.
    edited = place.children(employed)[key]
    edit(edited)

    place.admin.replace(edited)

    place.admin.wait_for(
        lambda: _relevant(place.children(employed)[key]) == _relevant(before), what=f"{what} to be put right"
    )
    place.until_settled("triage")
    assert place.children(employed)[key]["metadata"]["uid"] == before["metadata"]["uid"]
    assert operator.metric("aiagent_repairs_total", kind=kind) == repairs + 1


# A workload's managed-by says which policy fences it, so that nobody else may change it.
@pytest.mark.parametrize(
    ("kind", "label"),
    [(kind, label) for kind in KINDS for label in LABELS if (kind, label) != ("Deployment", LABELS[-1])],
)
def test_a_label_that_is_taken_off_comes_back(place: Workplace, employed: str, kind: str, label: str) -> None:
    key = _key(place, employed, kind)
    before = place.children(employed)[key]
    patch = {"metadata": {"labels": {label: None}}}

    place.admin.patch(before["apiVersion"], kind, key[2], patch, namespace=key[1])

    def right() -> bool:
        found = place.children(employed).get(key)
        return found is not None and found["metadata"]["labels"] == before["metadata"]["labels"]

    place.admin.wait_for(right, what=f"{label} to be back on the {kind}")
    place.until_settled("triage")
    place.until_can("triage", "get", "tickets")


def test_labels_and_annotations_of_others_stay(place: Workplace, operator: OperatorProcess, employed: str) -> None:
    operator.until_idle()
    mark = place.plane.audit_mark()
    theirs = {key: obj for key, obj in place.children(employed).items() if key[0] != "AgentRevision"}
    for (kind, namespace, name), obj in theirs.items():
        patch = {"metadata": {"labels": {"team": "crm"}, "annotations": {"team.example/note": "x"}}}
        place.admin.patch(obj["apiVersion"], kind, name, patch, namespace=namespace)

    place.until_settled("triage")

    # An annotation on a Deployment counts as a new generation, as an edit of its spec does, and is looked into.
    assert {w.resource for w in place.writes(mark)} <= {"deployments", "aiagents"}
    assert len(place.writes(mark)) <= 3, "one that changes nothing, and the status while its controller follows"
    now = place.children(employed)
    for obj in (now[key] for key in theirs):
        assert obj["metadata"]["labels"]["team"] == "crm"
        assert obj["metadata"]["annotations"]["team.example/note"] == "x"


def test_a_repair_leaves_what_others_have_put_on_the_object(place: Workplace, employed: str) -> None:
    account = place.admin.get("v1", "serviceaccounts", "aiagent.triage", namespace=place.namespace)
    account["metadata"]["annotations"] = {"cloud.example/identity": "triage"}
    account["imagePullSecrets"] = [{"name": "registry"}]
    account["automountServiceAccountToken"] = True

    place.admin.replace(account)

    repaired = place.admin.wait_object(
        "v1",
        "serviceaccounts",
        "aiagent.triage",
        lambda a: a["automountServiceAccountToken"] is False,
        what="the account to be put right",
        namespace=place.namespace,
    )
    assert repaired["metadata"]["annotations"] == {"cloud.example/identity": "triage"}
    assert repaired["imagePullSecrets"] == [{"name": "registry"}]


def test_everything_at_once(place: Workplace, employed: str) -> None:
    children = place.children(employed)
    before = {key: obj for key, obj in children.items() if key[0] != "AgentRevision"}
    for (kind, namespace, name), obj in before.items():
        place.admin.delete(obj["apiVersion"], kind, name, namespace=namespace)

    def back() -> bool:
        now = place.children(employed)
        return set(now) == set(children) and all(
            now[key]["metadata"]["uid"] != before[key]["metadata"]["uid"] for key in before
        )

    place.admin.wait_for(back, what="everything to be back")
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets")


def test_edits_made_while_no_operator_runs_are_put_right_at_its_start(place: Workplace, employed: str) -> None:
    before = place.children(employed)
    place.installed.end_shared()
    place.admin.delete("networking.k8s.io/v1", "networkpolicies", "aiagent.triage", namespace=place.namespace)
    deployment = before["Deployment", place.namespace, "triage-1"]
    edited = place.admin.get("apps/v1", "deployments", "triage-1", namespace=place.namespace)
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/evil:1"
    place.admin.replace(edited)
    stripped = {"metadata": {"labels": {"workforce.dev/agent-uid": None}}}
    place.admin.patch(agents.RBAC, "roles", "aiagent.triage", stripped, namespace=place.namespace)

    place.installed.operator()

    def right() -> bool:
        now = place.children(employed)
        return set(now) == set(before) and _relevant(now["Deployment", place.namespace, "triage-1"]) == _relevant(
            deployment
        )

    place.admin.wait_for(right, what="everything to be as it was")
