"""The memory of an agent that leaves, and its decision log on a volume, are in its archive, encrypted; and nobody else
gets anything in there."""

import base64
import io
import tarfile
from pathlib import Path

import pytest

from aiagent_operator.api import capture, runs
from aiagent_operator.capture.tree import ROOT
from aiagent_operator.core.archive import archivekey, payload
from aiagent_operator.core.archive.sending import AUDIENCE
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Object
from support.memories import CLAIM, FOLDER, LOG, MEMORY, Sender, claim
from support.operator import Installation, OperatorProcess
from support.tenancy import refused, unauthorized
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


FIELDS = {"decisionLog.volume": "decisions.tar", "memory": "memory.tar"}
"""Of spec.retirement, and the items that are made of the volumes that these name."""


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "one").write_text("what people said")
    (tmp_path / "facts" / "out").symlink_to("/etc/passwd")
    return tmp_path / "facts"


def leaves(place: Workplace, name: str = "triage", retirement: Object | None = None) -> str:
    """An agent with a memory that has been told to go; its UID."""
    place.employ(name, place.new_role(), permission("refund"), retirement=retirement or MEMORY)
    uid: str = place.until_ready(name)["metadata"]["uid"]
    place.dismiss(name)
    return uid


def item(manifest: Object, path: str) -> Object | None:
    """The item at this path, in whichever attempt's folder."""
    return next((i for i in manifest["items"] if i["path"].endswith(path)), None)


def gaps(manifest: Object) -> dict[str, tuple[str, str]]:
    return {gap["path"]: (gap["reason"], gap["message"]) for gap in manifest.get("notCaptured") or ()}


def test_its_memory_is_in_its_archive_and_only_its_key_reads_it(
    place: Workplace, archive: ArchiveFolder, facts: Path
) -> None:
    claim(place.admin, place.namespace)
    uid = leaves(place)
    sender = Sender.of(place, uid)
    # Its rights are gone, and nothing writes to the volume, before anything is read.
    place.until_cannot("triage", "create", "refunds")
    kinds = {kind for kind, _, _ in place.children(uid)}
    assert not kinds & {"Role", "RoleBinding", "Deployment"}
    assert "Job" in kinds

    attacks(place, sender, facts)
    status, message = sender.run(facts)
    assert (status, message) == (0, '{"bytes": 16, "files": 1, "skipped": {"LeadsOut": 1}}')
    # A pod that is tried again after its answer was lost.
    again, why = sender.run(facts)
    assert again == 1
    assert "already" in why
    sender.end(status, message)
    place.until_gone("triage")

    manifest, files = archive.verified(uid), archive.archived(uid)
    found = item(manifest, "memory.tar.age")
    assert found is not None
    assert found["personal"] is True
    assert not gaps(manifest)
    data = files[found["path"]]
    assert b"what people said" not in data
    secret = place.admin.get(
        "v1", "secrets", archivekey.name(AgentIdentity(place.namespace, "triage", uid)), namespace=chart.NAMESPACE
    )
    key = base64.b64decode(secret["data"][archivekey.FIELD]).decode()
    plain = bytearray()
    payload.decrypt([data], plain.extend, key, payload.encryption(key))
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        file = tar.extractfile(f"{ROOT}/one")
        assert file is not None
        assert file.read() == b"what people said"
    assert place.children(uid) == {}
    # The claim is not the operator's to take.
    assert place.admin.find("v1", "persistentvolumeclaims", CLAIM, namespace=place.namespace)
    # All is over: nothing is taken any more.
    assert sender.run(facts, "x.x.x")[0] == 1


def attacks(place: Workplace, sender: Sender, facts: Path) -> None:
    """What others try while the Job is waited for."""
    admin, namespace = place.admin, place.namespace
    admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "thief", "namespace": namespace}})
    # The pod itself gets no token for the API server, not even by its kubelet.
    with unauthorized("not authorized to request tokens for this audience"):
        sender.token()
    stolen = {
        "401": admin.token(namespace, "thief"),
        "403": admin.token(namespace, "thief", audiences=[AUDIENCE]),
    }
    for code, token in stolen.items():
        status, message = sender.run(facts, token)
        assert status == 1
        assert f"({code})" in message
    # Nobody but a kubelet gets the account's token, nor is there a pod of it that is not the Job's.
    account = capture.account_name("triage")
    with refused("agent-tokens", ""):
        admin.token(namespace, account, audiences=[AUDIENCE])


def test_a_volume_that_cannot_be_had_is_named_and_holds_nobody_up(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    """No claim of that name, and a short deadline, which each of two volumes has."""
    place = vacant
    with installed.alone(memory_deadline="15"):
        uid = leaves(place, retirement={**LOG, **MEMORY})
        place.until(
            "triage", lambda a: "not found" in agents.condition(a, "Ready")["message"], what="what it waits for"
        )
        place.until_cannot("triage", "create", "refunds")
        place.until_gone("triage")
    manifest = archive.verified(uid)
    for field, path in FIELDS.items():
        assert item(manifest, f"{path}.age") is None
        reason, message = gaps(manifest)[path]
        assert reason == "NotFound"
        assert message.startswith(f"spec.retirement.{field}: not done within 15 s: ")
        assert f'persistentvolumeclaim "{CLAIM}" not found' in message


def test_in_a_namespace_that_is_being_deleted_it_is_named(place: Workplace, archive: ArchiveFolder) -> None:
    claim(place.admin, place.namespace)
    place.employ("triage", place.new_role(), permission("refund"), retirement={**LOG, **MEMORY})
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.admin.delete("v1", "namespaces", place.namespace)
    place.until_gone("triage")
    found = gaps(archive.verified(uid))
    assert [found[path][0] for path in FIELDS.values()] == ["NamespaceTerminating"] * 2


def test_one_that_no_operator_has_seen_goes_with_its_namespace(
    place: Workplace, archive: ArchiveFolder, operator: OperatorProcess
) -> None:
    role = place.new_role()
    operator.kill9()
    uid = place.employ("triage", role, permission("refund"), retirement=MEMORY)["metadata"]["uid"]
    place.admin.delete("v1", "namespaces", place.namespace)
    place.until("triage", lambda agent: "deletionTimestamp" in agent["metadata"], what="the agent to be deleted")
    operator.restart()
    place.admin.wait_gone("v1", "namespaces", place.namespace)
    assert gaps(archive.verified(uid))["memory.tar"][0] == "NamespaceTerminating"


def test_a_new_leader_makes_the_job_anew_and_the_old_one_s_pod_sends_nothing(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder, facts: Path
) -> None:
    place = vacant
    claim(place.admin, place.namespace)
    with installed.alone() as operator:
        uid = leaves(place)
        before = Sender.of(place, uid)
        operator.restart()
        old = before.pod["metadata"]["name"]
        place.admin.wait_gone("v1", "pods", old, namespace=place.namespace)
        after = Sender.of(place, uid)
        assert after.environment[capture.ENV_CERTIFICATE] != before.environment[capture.ENV_CERTIFICATE]
        status, message = after.run(facts)
        assert status == 0, message
        after.end(status, message)
        place.until_gone("triage")
    assert item(archive.verified(uid), "memory.tar.age")


def packing(place: Workplace, uid: str) -> set[str]:
    """What the Jobs that pack its volumes are for."""
    jobs = place.admin.list("batch/v1", "jobs", namespace=place.namespace, labels=f"{runs.LABEL_RUN_OF}={uid}")
    return {job["metadata"]["labels"][runs.LABEL_RUN] for job in jobs}


def test_its_decision_log_is_in_its_archive_before_its_memory_and_nothing_beside_it(
    place: Workplace, archive: ArchiveFolder, facts: Path
) -> None:
    """Both are on one volume, which a single pod at a time may mount."""
    log = facts / FOLDER
    log.mkdir(parents=True)
    (log / "22.jsonl").write_text("refunded 4711\n")
    (log / "up").symlink_to("../../one")
    claim(place.admin, place.namespace, mode="ReadWriteOncePod")
    uid = leaves(place, retirement={**LOG, **MEMORY})
    sender = Sender.of(place, uid, capture.DECISIONS)
    assert packing(place, uid) == {capture.DECISIONS}
    assert sender.pod["spec"]["serviceAccountName"] == capture.account_name("triage")
    status, message = sender.run(facts)
    assert (status, message) == (0, '{"bytes": 14, "files": 1, "skipped": {"LeadsOut": 1}}')
    sender.end(status, message)
    after = Sender.of(place, uid)
    assert packing(place, uid) == {capture.RUN}
    status, message = after.run(facts)
    assert status == 0, message
    after.end(status, message)
    place.until_gone("triage")
    assert not gaps(archive.verified(uid))
    found = archive.personal(AgentIdentity(place.namespace, "triage", uid), place.admin)
    with tarfile.open(fileobj=io.BytesIO(found["decisions.tar"])) as tar:
        assert tar.getnames() == ["decisions", "decisions/22.jsonl", "skipped.jsonl"]
    with tarfile.open(fileobj=io.BytesIO(found["memory.tar"])) as tar:
        assert f"{ROOT}/{FOLDER}/22.jsonl" in tar.getnames()
    assert place.children(uid) == {}


@pytest.mark.parametrize("why", ["it is not there", "a symbolic link"])
def test_a_folder_that_the_volume_does_not_have_is_named_at_once(
    place: Workplace, archive: ArchiveFolder, facts: Path, why: str
) -> None:
    if why == "a symbolic link":
        (facts.parent / "elsewhere" / "decisions").mkdir(parents=True)
        (facts / "logs").symlink_to(facts.parent / "elsewhere")
    claim(place.admin, place.namespace)
    uid = leaves(place, retirement=LOG)
    sender = Sender.of(place, uid, capture.DECISIONS)
    status, message = sender.run(facts)
    assert status == capture.NO_FOLDER
    sender.end(status, message)
    place.until_gone("triage")
    manifest = archive.verified(uid)
    assert item(manifest, "decisions.tar.age") is None
    reason, text = gaps(manifest)["decisions.tar"]
    assert reason == "NotFound"
    assert text == f'spec.retirement.decisionLog.volume: in the volume of claim "{CLAIM}" {message}'
    assert message.startswith("logs is ")
