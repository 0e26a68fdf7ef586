"""What the pods of an agent have logged is in its archive, encrypted, when they are gone; or why it is not."""

import base64
import hashlib

import orjson
import pytest

from aiagent_operator.core.archive import archivekey, index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart, kubelets
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Kube, Object
from support.localcluster.components import LOG
from support.operator import Installation
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

SAID = "".join(f"{line.at} {line.text}\n" for line in LOG).encode()


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def key_of(admin: Kube, agent: AgentIdentity) -> str | None:
    """The key of its archive, as an administrator gets it."""
    secret = admin.find("v1", "secrets", archivekey.name(agent), namespace=chart.NAMESPACE)
    return base64.b64decode(secret["data"]["identity"]).decode() if secret else None


def logs(archive: ArchiveFolder, agent: AgentIdentity, admin: Kube) -> dict[str, bytes]:
    """The logs of the archive in the clear."""
    return {path: data for path, data in archive.personal(agent, admin).items() if path.startswith("logs/")}


def pods_of(place: Workplace, uid: str) -> list[Object]:
    return place.admin.list("v1", "pods", namespace=place.namespace, labels=f"workforce.dev/agent-uid={uid}")


def employed(place: Workplace, **spec: object) -> tuple[AgentIdentity, list[str]]:
    """An agent at work, and the names of its pods."""
    place.employ("triage", place.new_role(), permission("refund"), **spec)
    uid = place.until_ready("triage")["metadata"]["uid"]
    return AgentIdentity(place.namespace, "triage", uid), [pod["metadata"]["name"] for pod in pods_of(place, uid)]


def test_what_its_pods_have_logged_is_in_its_archive_and_opens_with_its_key(
    place: Workplace, archive: ArchiveFolder
) -> None:
    agent, pods = employed(place)
    assert pods
    assert key_of(place.admin, agent) is None

    place.dismiss("triage")
    place.until_gone("triage")

    manifest = archive.verified(agent.uid)
    assert manifest["notCaptured"] == []
    key = key_of(place.admin, agent)
    assert key is not None
    assert logs(archive, agent, place.admin) == {f"logs/{pod}/app.log": SAID for pod in pods}
    # Its journal tells how much was captured, by the very lines of the archive's sums.
    (told,) = (each["data"] for each in archive.records(agent.uid) if each["type"].endswith("Snapshotted"))
    items = [item for item in manifest["items"] if item["personal"]]
    paths = [item["path"] for item in items]
    sums = archive.archived(agent.uid)["sha256sums"].decode().splitlines(keepends=True)
    lines = "".join(line for line in sums if line.split()[1] in paths)
    assert told == {
        "items": len(pods) + 1,
        "bytes": sum(item["size"] for item in items),
        "digest": f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}",
        "missing": 0,
    }
    # Nothing of it is anywhere in the clear.
    everything = [path for path in archive.path.rglob("*") if path.is_file()]
    words = LOG[0].text.encode()
    assert not [path for path in everything if words in path.read_bytes()]
    secret = place.admin.get("v1", "secrets", archivekey.name(agent), namespace=chart.NAMESPACE)
    assert (secret["type"], secret["immutable"]) == (archivekey.TYPE, True)
    assert secret["metadata"]["annotations"]["workforce.dev/archive"] == index.name(agent)


def test_pods_of_an_adopted_workload_have_their_logs_read_before_it_is_given_back(
    place: Workplace, archive: ArchiveFolder
) -> None:
    place.admin.create(agents.workload(place.namespace, "desk"))
    agent, pods = employed(place, workload=agents.target("desk"))
    place.dismiss("triage")
    place.until_gone("triage")
    key = key_of(place.admin, agent)
    assert key is not None
    assert logs(archive, agent, place.admin).keys() >= {f"logs/{pod}/app.log" for pod in pods}
    assert pods


def test_an_agent_that_never_had_a_pod_has_no_key(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.name("missing"))
    uid = place.until_reason("triage", "Ready", "RoleNotFound")["metadata"]["uid"]
    agent = AgentIdentity(place.namespace, "triage", uid)
    place.dismiss("triage")
    place.until_gone("triage")
    assert archive.verified(uid)["notCaptured"] == []
    assert key_of(place.admin, agent) is None


def test_a_kubelet_that_does_not_answer_is_waited_for_a_while(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(capture_deadline="3"):
        agent, pods = employed(place)
        nodes = {pod["spec"]["nodeName"] for pod in pods_of(place, agent.uid)}
        with kubelets.away(place.admin, nodes):
            place.dismiss("triage")
            place.until_reason("triage", "Ready", "Offboarding", "reading what its pods have logged")
            # Its rights have ended, and its pods are still there.
            place.until_cannot("triage", "create", "refunds")
            assert [pod["metadata"]["name"] for pod in pods_of(place, agent.uid)] == pods
            place.until_gone("triage")
    gaps = archive.verified(agent.uid)["notCaptured"]
    assert {(gap["path"], gap["reason"]) for gap in gaps} == {(f"logs/{pod}/app.log", "Unreachable") for pod in pods}
    assert "connection refused" in gaps[0]["message"]


def test_a_kubelet_that_comes_back_in_time_costs_nothing(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(capture_deadline="60") as operator:
        agent, pods = employed(place)
        nodes = {pod["spec"]["nodeName"] for pod in pods_of(place, agent.uid)}
        with kubelets.away(place.admin, nodes):
            place.dismiss("triage")
            place.until_reason("triage", "Ready", "Offboarding", "reading what its pods have logged")
            # Who comes after a crash begins with what is noted, and finds the same key.
            operator.kill9()
            operator.forget_lease()
            operator.start()
            place.admin.wait_for(lambda: key_of(place.admin, agent), what="the key of the archive")
        place.until_gone("triage")
    manifest, key = archive.verified(agent.uid), key_of(place.admin, agent)
    assert key is not None
    assert manifest["notCaptured"] == []
    assert logs(archive, agent, place.admin).keys() == {f"logs/{pod}/app.log" for pod in pods}


def test_a_store_that_is_away_keeps_pods_for_a_while_only(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(capture_deadline="3", archive_proof_interval="1") as operator:
        agent, pods = employed(place)
        operator.until_idle()
        with archive.away():
            place.dismiss("triage")
            place.until_cannot("triage", "create", "refunds")
            place.admin.wait_for(lambda: not pods_of(place, agent.uid), what="its pods to be gone")
            status = place.get("triage")["status"]["archive"]
            assert status["captured"] == ["Logs"]
            assert [(gap["path"], gap["reason"]) for gap in status["notCaptured"]] == [("logs", "Unreachable")]
        place.until_gone("triage")
    assert archive.verified(agent.uid)["notCaptured"] == status["notCaptured"]
    assert pods


def test_without_the_setting_no_log_is_read(vacant: Workplace, installed: Installation, archive: ArchiveFolder) -> None:
    place = vacant
    with installed.alone(archive_logs="false"):
        agent, _ = employed(place)
        place.dismiss("triage")
        place.until_gone("triage")
    gaps = archive.verified(agent.uid)["notCaptured"]
    assert [(gap["path"], gap["reason"]) for gap in gaps] == [("logs", "ExcludedByPolicy")]


def test_of_one_that_leaves_by_plan_they_are_read_before_its_pods_are_told_to_end(
    place: Workplace, archive: ArchiveFolder
) -> None:
    agent, pods = employed(place, retirement={"drainTimeout": "5m"})
    place.dismiss("triage")
    place.until_gone("triage")
    manifest, key = archive.verified(agent.uid), key_of(place.admin, agent)
    assert key is not None
    assert manifest["mode"] == "Planned"
    assert manifest["notCaptured"] == []
    assert logs(archive, agent, place.admin).keys() == {f"logs/{pod}/app.log" for pod in pods}


TOLD = "Answer Ada Lovelace, who owns account 4711, first."


def handbooks(archive: ArchiveFolder, agent: AgentIdentity, admin: Kube) -> dict[str, list[str]]:
    """What its handbooks say, in the clear, by the names of their files."""
    found: dict[str, list[str]] = {}
    for path, data in archive.personal(agent, admin).items():
        if path.startswith("handbook/"):
            for name, text in orjson.loads(data).items():
                found.setdefault(name, []).append(text)
    return found


def test_what_it_was_told_to_do_is_in_its_archive_and_nowhere_in_the_clear(
    place: Workplace, archive: ArchiveFolder
) -> None:
    data = {"text": f"{TOLD} Twice."}
    place.admin.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "told", "namespace": place.namespace},
            "data": data,
        }
    )
    agent, _ = employed(place, handbook={"instructions": {"inline": TOLD}})
    reference = {"inline": None, "configMapKeyRef": {"name": "told", "key": "text"}}
    place.change("triage", handbook={"instructions": reference})
    place.until_settled("triage")
    # A ConfigMap with its label is no handbook of its.
    labels = {"workforce.dev/agent-uid": agent.uid}
    place.admin.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "planted", "namespace": place.namespace, "labels": labels},
            "data": {"instructions.md": "planted"},
        }
    )
    place.dismiss("triage")
    place.until_gone("triage")

    manifest, key = archive.verified(agent.uid), key_of(place.admin, agent)
    assert key is not None
    assert manifest["notCaptured"] == []
    found = handbooks(archive, agent, place.admin)
    assert sorted(found["instructions.md"]) == [TOLD, f"{TOLD} Twice."]
    assert all('"purpose"' in text for text in found["handbook.json"])
    everything = [path for path in (archive.path / "archives" / agent.uid).rglob("*") if path.is_file()]
    assert not [path for path in everything if TOLD.encode() in path.read_bytes()]


def test_a_handbook_waits_for_the_store(vacant: Workplace, installed: Installation, archive: ArchiveFolder) -> None:
    place = vacant
    with installed.alone(capture_deadline="1", archive_proof_interval="1") as operator:
        agent, _ = employed(place, handbook={"instructions": {"inline": TOLD}})
        operator.until_idle()
        with archive.away():
            place.dismiss("triage")
            place.until_reason("triage", "Ready", "Offboarding", "putting its handbook")
        place.until_gone("triage")
    key = key_of(place.admin, agent)
    assert key is not None
    assert handbooks(archive, agent, place.admin)["instructions.md"] == [TOLD]


def test_what_it_has_decided_is_in_its_archive_and_nothing_of_others(place: Workplace, archive: ArchiveFolder) -> None:
    written = archive.path / "decisions" / place.namespace
    for name in ("triage", "triage-2"):
        (written / name).mkdir(parents=True)
        (written / name / "22.jsonl").write_text(f"{name} has refunded 4711\n")
    agent, _ = employed(place, retirement={"decisionLog": {"store": archive.name}})
    place.dismiss("triage")
    place.until_gone("triage")
    assert archive.verified(agent.uid)["notCaptured"] == []
    found = archive.personal(agent, place.admin)
    assert {path: data for path, data in found.items() if path.startswith("decisions/")} == {
        "decisions/22.jsonl": b"triage has refunded 4711\n"
    }


def test_a_decision_log_in_a_store_that_nobody_has_described_is_missing(
    place: Workplace, archive: ArchiveFolder
) -> None:
    agent, _ = employed(place, retirement={"decisionLog": {"store": "elsewhere"}})
    place.dismiss("triage")
    place.until_gone("triage")
    (gap,) = archive.verified(agent.uid)["notCaptured"]
    assert (gap["path"], gap["reason"]) == ("decisions", "NotFound")
