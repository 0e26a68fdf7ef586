"""AgentArchives in a real API server: made by the operator, bounded, never changed, shown, and deleted in one way."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import archivepage, archiverecords
from support.archiverecords import PLURAL
from support.cluster import Cluster
from support.kube import ApiError, Object, wait_for
from support.schemacases import GONE
from support.tenancy import Office
from support.terminal import Terminal, sessions, timeless

pytestmark = pytest.mark.cluster

STATUS: Object = {
    "observedGeneration": 1,
    "phase": "Certified",
    "verification": {"lastTime": "2026-11-22T10:01:00Z", "files": 9, "size": 5120},
    "certificate": {
        "digest": f"sha256:{'0' * 64}",
        "keyIds": ["a" * 64],
        "completionTime": "2026-11-22T10:05:00Z",
    },
}
VERIFIED: Object = {
    "type": "Verified",
    "status": "True",
    "reason": "ReadBack",
    "message": "All files were read back, and their digests agree",
    "lastTransitionTime": "2026-11-22T10:01:00Z",
    "observedGeneration": 1,
}
LARGEST = 2**63 - 1
DIGEST = f"sha256:{'0' * 64}"


def put(path: str, value: Any) -> Object:
    """A record with one field put, replaced or left out."""
    whole = archiverecords.record("tried")
    *way, last = path.split(".")
    node = whole
    for part in way:
        node = node[part]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return whole


@pytest.fixture
def record(office: Office) -> Iterator[Object]:
    """A record that the operator has made."""
    yield office.operator.create(archiverecords.record(f"triage-{office.namespace}"))
    archiverecords.clear(office.admin, f"triage-{office.namespace}")


def test_the_operator_makes_one_and_says_what_is_known_of_it(office: Office, record: Object) -> None:
    assert record["spec"] == archiverecords.record("any")["spec"]
    (ready,) = record["status"]["conditions"]
    assert (ready["type"], ready["status"]) == ("Ready", "Unknown")
    where = (meta.API_VERSION, PLURAL, record["metadata"]["name"])
    said = office.operator.patch(*where, {"status": STATUS}, subresource="status")
    assert said["status"] == STATUS | {"conditions": [ready]}
    assert office.operator.get(*where)["spec"] == record["spec"]


def test_the_largest_that_there_can_be_is_kept_as_it_is(office: Office) -> None:
    whole = archiverecords.record("largest")
    gap = {"reason": "Unreachable", "message": "é" * 1024}
    whole["spec"] |= {
        "notCaptured": [gap | {"path": f"{n:0512}"} for n in range(64)],
        "notCapturedMore": 50_000,
        "journal": {"sequence": LARGEST, "digest": DIGEST},
        "manifest": {"digest": DIGEST, "items": 50_000, "size": LARGEST},
    }
    whole["spec"]["retention"]["sources"] = [f"{n:01024}" for n in range(64)]
    assert office.operator.create(whole, dry_run=True)["spec"] == whole["spec"]


GAP = {"path": "decisions", "reason": "NotFound", "message": "gone"}
WRONG = [
    *((f"spec.{field}", GONE, "Required value") for field in ("agent", "store", "path", "retention")),
    *((f"spec.{field}", GONE, "Required value") for field in ("created", "reason", "mode")),
    ("spec.path", "archives/../../etc", "should match"),
    ("spec.path", "/archives/u/a", "should match"),
    ("spec.store", "The Vault", "should match"),
    ("spec.agent.uid", "u" * 129, "may not be more than 128"),
    ("spec.agent.role", "Support", "should match"),
    ("spec.manifest.digest", "sha256:0", "should match"),
    ("spec.manifest.items", 50_001, "less than or equal to 50000"),
    ("spec.manifest.size", -1, "greater than or equal to 0"),
    ("spec.created", "2026-11-22T11:00:00+01:00", "may not be more than 20"),
    ("spec.created", "2026-11-22T10:00:00.5Z", "may not be more than 20"),
    ("spec.created", "2026-11-22t10:00:00z", "should match"),
    ("spec.created", "2026-22-11T10:00:00Z", "must be of type date-time"),
    ("spec.retention.until", "2032-11-20", "should match"),
    ("spec.retention.duration", "6y", "should match"),
    ("spec.retention.sources", [], "should have at least 1 items"),
    ("spec.retention.sources", ["AgentPolicy eu"] * 2, "Duplicate value"),
    ("spec.reason", "Fun", 'supported values: "Replaced"'),
    ("spec.mode", "Sudden", 'supported values: "Planned", "Emergency"'),
    ("spec.journal.sequence", 0, "greater than or equal to 1"),
    ("spec.notCaptured", [GAP, GAP | {"message": "twice"}], "Duplicate value"),
    ("spec.notCaptured", [GAP | {"path": f"{n}"} for n in range(65)], "must have at most 64 items"),
    ("spec.notCapturedMore", 0, "greater than or equal to 1"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG)
def test_what_no_record_may_say_is_refused_by_name(office: Office, path: str, value: Any, words: str) -> None:
    with pytest.raises(ApiError) as caught:
        office.operator.create(put(path, value), dry_run=True)
    assert caught.value.status == 422
    causes = [(cause["field"], cause["message"]) for cause in caught.value.body["details"]["causes"]]
    assert any(path in field and words in message for field, message in causes), causes


CHANGES = [
    {"reason": "Incident"},
    {"mode": "Emergency"},
    {"store": "vault"},
    {"created": "2026-11-22T10:00:01Z"},
    {"agent": {"role": "finance"}},
    {"manifest": {"digest": DIGEST}},
    {"manifest": {"size": 1}},
    {"retention": {"until": "2026-11-22T10:00:00Z"}},
    {"retention": {"sources": ["nobody"]}},
    {"journal": None},
    {"journal": {"sequence": 1}},
    {"lineage": None},
    {"notCaptured": None},
    {"notCaptured": [GAP]},
    {"notCapturedMore": 7},
]


@pytest.mark.parametrize("change", CHANGES, ids=".".join)
def test_nothing_that_it_says_changes(office: Office, record: Object, change: Object) -> None:
    where = (meta.API_VERSION, PLURAL, record["metadata"]["name"])
    with pytest.raises(ApiError, match="an archive is a record and never changes"):
        office.admin.patch(*where, {"spec": change})
    bare = copy.deepcopy(record)
    del bare["spec"]
    with pytest.raises(ApiError, match=r"spec: Required value"):
        office.admin.replace(bare)


def test_metadata_may_change(office: Office, record: Object) -> None:
    where = (meta.API_VERSION, PLURAL, record["metadata"]["name"])
    live = office.admin.patch(*where, {"metadata": {"labels": {"audit": "2026"}}})
    assert live["metadata"]["labels"] == {"audit": "2026"}
    assert live["metadata"]["generation"] == record["metadata"]["generation"]


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
def test_a_person_who_names_it_in_an_annotation_deletes_it(office: Office, record: Object, propagation: str) -> None:
    name = record["metadata"]["name"]
    archiverecords.mark(office.admin, name, name)
    office.admin.delete(meta.API_VERSION, PLURAL, name, propagation=propagation)
    office.admin.wait_gone(meta.API_VERSION, PLURAL, name)


@pytest.mark.parametrize("cluster_role", ["view", "workforce-archives-view"])
def test_who_may_view_in_the_whole_cluster_reads_them(office: Office, record: Object, cluster_role: str) -> None:
    user = f"auditor-{cluster_role}-{office.namespace}"
    group = "rbac.authorization.k8s.io"
    ref = {"apiGroup": group, "kind": "ClusterRole", "name": cluster_role}
    subject = {"kind": "User", "name": user, "apiGroup": group}
    head = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user}}
    office.bind(user, ref)
    wait_for(
        lambda: (
            cluster_role != "view"
            or office.admin.allowed(user, "get", "aiagents", group=meta.GROUP, namespace=office.namespace)
        ),
        what=f"{user} to hold {cluster_role} in the namespace",
    )
    assert not office.admin.allowed(user, "get", PLURAL, group=meta.GROUP)
    office.admin.create({**head, "roleRef": ref, "subjects": [subject]})
    office.bound.append(("ClusterRoleBinding", user))
    wait_for(lambda: office.admin.allowed(user, "list", PLURAL, group=meta.GROUP), what=f"{user} to read them")
    assert office.admin.as_user(user).get(meta.API_VERSION, PLURAL, record["metadata"]["name"])["spec"]


def test_the_command_lists_those_of_a_namespace_or_of_an_agent(
    office: Office, terminal: Terminal, control_plane: Cluster
) -> None:
    names = {}
    for namespace, agent, created in (
        (office.namespace, "late", "2026-11-22T10:00:00Z"),
        (office.namespace, "early", "2026-03-01T10:00:00Z"),
        (f"{office.namespace}-other", "late", "2026-02-01T10:00:00Z"),
    ):
        made = archiverecords.record(f"{namespace}.{agent}")
        made["spec"]["agent"] |= {"namespace": namespace, "name": agent}
        made["spec"] |= {"created": created, "notCapturedMore": 3}
        names[namespace, agent] = office.operator.create(made)["metadata"]["name"]
        office.operator.patch(
            meta.API_VERSION, PLURAL, names[namespace, agent], {"status": STATUS}, subresource="status"
        )
    early, late, other = (
        names[office.namespace, "early"],
        names[office.namespace, "late"],
        names[f"{office.namespace}-other", "late"],
    )

    def said(line: str, code: int = 0, user: str = "") -> str:
        kubeconfig = control_plane.kubeconfig_for(user) if user else control_plane.kubeconfig
        answer = terminal.run(f"kubectl aiagent archive list {line}", kubeconfig)
        assert answer.code == code, answer.screen
        return answer.screen

    of_one = said(f"-n {office.namespace} -o name").split()
    assert of_one == [f"agentarchive.workforce.dev/{name}" for name in (early, late)]
    all_late = said("late -A -o json")
    found = [item["metadata"]["name"] for item in json.loads(all_late)["items"]]
    assert [name for name in found if office.namespace in name] == [other, late]
    assert "managedFields" not in all_late
    head, row = said(f"early -n {office.namespace} -o wide").splitlines()
    cells = dict(zip(head.split(), row.split(), strict=True))
    assert (cells["NAME"], cells["AGENT"], cells["VERIFIED"]) == (early, "early", "Unknown")
    assert (cells["STORE"], cells["MISSING"]) == ("local", "4")
    assert cells["PATH"].startswith("archives/")
    assert "No archives of agents of namespace default." in said("-n default")
    assert f"no archive of an agent gone that was in namespace {office.namespace}" in said(
        f"early gone -n {office.namespace}", 3
    )
    assert "ask an administrator for ClusterRole workforce-archives-view" in said("-A", 3, "nobody")
    for name in names.values():
        archiverecords.clear(office.admin, name)


def test_commands_of_the_page_print_what_it_shows(office: Office, terminal: Terminal, control_plane: Cluster) -> None:
    name = "triage-20261122t100000z"
    office.operator.create(archiverecords.record(name))
    status = STATUS | {"conditions": [VERIFIED]}
    office.operator.patch(meta.API_VERSION, PLURAL, name, {"status": status}, subresource="status")
    lines = {line for block in archivepage.KUBECTL for line in block.text.splitlines()}
    shown = [(at, each, text) for at, each, text in sessions(archivepage.PAGE) if f"$ {each}" in lines]
    assert len(shown) >= 6
    for line, command, expected in shown:
        found = terminal.run(f"{{ {command}; }} 2>&1", control_plane.kubeconfig).out
        assert timeless(found) == timeless(expected), f"docs/archives.md:{line}: {command}"
    assert office.admin.find(meta.API_VERSION, PLURAL, name) is None
