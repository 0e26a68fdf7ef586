"""An agent that leaves is archived, read back and certified before it goes; and what happens where that is not so."""

import orjson
import pytest

from aiagent_operator.core.archive import envelope, index, layout
from aiagent_operator.core.objects import AgentIdentity
from support import agents, archives, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import here, new_policy
from support.kube import Kube, Object, wait_for
from support.operator import Installation
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def record(admin: Kube, namespace: str, name: str, uid: str) -> Object:
    """The AgentArchive of an agent that has left."""
    found = admin.get(agents.API, "agentarchives", index.name(AgentIdentity(namespace, name, uid)))
    assert found["spec"]["agent"]["uid"] == uid
    return found


def conditions(obj: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in obj["status"]["conditions"]}


def test_what_an_agent_was_and_did_outlives_it_and_its_rights_do_not(place: Workplace, archive: ArchiveFolder) -> None:
    crm = place.new_namespace("crm")
    new_policy(place, "short", here(place), archive={"retention": "24h"})
    place.employ(
        "triage",
        place.new_role(),
        permission("read-tickets", crm),
        permission("refund"),
        retirement={"retention": "8760h"},
    )
    uid = place.until_ready("triage")["metadata"]["uid"]
    stop = place.order("Suspend", "stop", "triage")["metadata"]["uid"]
    place.until_reason("triage", "Ready", "Suspended")
    go_on = place.order("Resume", "go-on", "triage", ttlSecondsAfterFinished=1)["metadata"]["uid"]
    place.until_settled("triage")
    place.admin.wait_gone(agents.API, "agentactions", "go-on", namespace=place.namespace)
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}}, permissions=[])
    place.until_settled("triage")
    owner = place.get("triage")["spec"]["owners"][0]["subject"]["name"]

    place.dismiss("triage")
    place.until_gone("triage")

    files = archive.archived(uid)
    manifest = archive.verified(uid)
    # The logs of its pods are payload, and have a test of their own.
    assert {path for path in files if not layout.is_payload(path)} == {
        # The order that Resume has ended is gone, and so is that one, after its time.
        f"actions/{stop}/stop.json", f"actions/{go_on}/go-on.json",
        "certificate.json", "journal.jsonl", "manifest.json",
        "revisions/1.json", "revisions/2.json", "rights.jsonl", "sha256sums", "spec.json",
    }  # fmt: skip
    assert "notCaptured" not in manifest or manifest["notCaptured"] == []
    assert manifest["retention"]["duration"] == "8760h"
    assert manifest["retention"]["sources"] == [f"AIAgent {place.namespace}/triage spec.retirement.retention"]
    assert files["journal.jsonl"].splitlines() == [raw for _, raw in archive.entries(uid)]
    assert orjson.loads(files["journal.jsonl"].splitlines()[-1])["type"].endswith("Terminated")
    kept = {name: orjson.loads(files[f"actions/{uid}/{name}.json"]) for uid, name in ((stop, "stop"), (go_on, "go-on"))}
    assert {name: order["spec"]["requestedBy"] for name, order in kept.items()} == {
        "stop": place.admin.whoami(), "go-on": place.admin.whoami()
    }  # fmt: skip
    assert "status" not in kept["stop"], "it was in force to its end"
    assert kept["go-on"]["status"]["phase"] == "Complete"
    # Each permission was in force twice: it was suspended in between.
    held = [orjson.loads(line) for line in files["rights.jsonl"].splitlines()]
    assert sorted(interval["permission"] for interval in held) == 2 * ["read-tickets"] + 2 * ["refund"]
    assert all(interval["until"] for interval in held)
    assert not [path for path, data in files.items() if owner.encode() in data]
    statement = orjson.loads(_payload(files))["predicate"]
    rights = {(r["right"]["namespace"], r["right"]["resource"], r["right"]["verb"]) for r in statement["rights"]}
    assert {(crm, "tickets", "get"), (crm, "tickets", "list"), (place.namespace, "refunds", "create")} == rights
    assert not any(right["answer"]["allowed"] for right in statement["rights"])
    assert ("ServiceAccount", place.namespace) in {(r["kind"], r["namespace"]) for r in statement["removed"]}

    found = record(place.admin, place.namespace, "triage", uid)
    assert found["spec"]["manifest"]["items"] == len(manifest["items"])
    assert len([item for item in manifest["items"] if not item["personal"]]) == 7
    assert found["spec"]["path"] == f"archives/{uid}/{manifest['archive']}"
    assert found["status"]["phase"] == "Certified"
    assert conditions(found) == {
        "Ready": ("True", "Certified"), "Verified": ("True", "ReadBack"), "Certified": ("True", "Certified")
    }  # fmt: skip
    assert place.children(uid) == {}


def test_its_role_may_have_it_kept_for_longest(place: Workplace, archive: ArchiveFolder) -> None:
    role = place.new_role(archive={"retention": "17520h"})
    new_policy(place, "short", here(place), archive={"retention": "24h"})
    place.employ("triage", role, permission("refund"), retirement={"retention": "8760h"})
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.dismiss("triage")
    place.until_gone("triage")
    retention = archive.verified(uid)["retention"]
    assert (retention["duration"], retention["sources"]) == ("17520h", [f'AgentRole "{role}"'])


def _payload(files: dict[str, bytes]) -> bytes:
    return envelope.verified(files[layout.CERTIFICATE], archives.KEYS, layout.CERTIFICATE).payload


def test_without_a_key_there_is_no_certificate_and_it_is_said(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_file=str(archive.described(signed=False))):
        place.employ("triage", place.new_role(), permission("refund"))
        uid = place.until_ready("triage")["metadata"]["uid"]
        place.dismiss("triage")
        place.until_gone("triage")
    files = archive.archived(uid)
    archive.verified(uid, certified=False)
    assert layout.CERTIFICATE not in files
    found = record(place.admin, place.namespace, "triage", uid)
    assert found["status"]["phase"] == "Sealed"
    assert conditions(found)["Certified"] == ("False", "NoSigningKey")


def test_a_manifest_of_somebody_elses_is_not_taken_for_its_own(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    name = index.name(AgentIdentity(place.namespace, "triage", uid))
    planted = archive.path / "archives" / uid / name / layout.MANIFEST
    planted.parent.mkdir(parents=True)
    planted.write_text("{}\n")
    try:
        place.dismiss("triage")
        place.until(
            "triage",
            lambda agent: "its archive waits" in agents.condition(agent, "Ready")["message"],
            what="its archive to wait",
        )
        place.until_reason("triage", "Ready", "Offboarding", "somebody else has written it")
        place.until_cannot("triage", "create", "refunds")
        assert [kind for kind, _, _ in place.children(uid)] == ["AgentRevision"]
    finally:
        # Else it would wait for ever, and tests after this one for it.
        planted.unlink()
    # It is tried again by itself; this is sooner.
    place.touch(place.get("triage"))
    place.until_gone("triage")
    archive.verified(uid)


def test_one_that_came_back_with_a_backup_ends_with_the_archive_that_it_had(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    """As where etcd is restored to before its end: the status knows nothing of an archive that is there."""
    place = vacant
    with installed.alone() as operator:
        place.employ("triage", place.new_role(), permission("refund"))
        uid = place.until_ready("triage")["metadata"]["uid"]
        operator.until_idle()
        before = place.get("triage")["status"]
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Expired", "mode": "Emergency"})
        place.until("triage", _retired, what="triage to be retired")
    sealed = archive.verified(uid)
    account = place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    back = [{"op": "replace", "path": "/status", "value": before}]
    account.patch(agents.API, "aiagents", "triage", back, namespace=place.namespace, subresource="status", kind="json")
    with installed.alone():
        place.until("triage", _retired, what="triage to be retired again")
        place.dismiss("triage")
        place.until_gone("triage")
    assert archive.verified(uid) == sealed
    assert archive.told(uid)[-1] == "Terminated"
    assert "Recovered" in archive.told(uid)


def _retired(agent: Object) -> bool:
    return bool(agent["status"].get("phase") == "Retired")


def test_an_order_that_is_over_waits_for_the_store_before_it_is_removed(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_proof_interval="1") as operator:
        place.employ("triage", place.new_role(), permission("refund"))
        uid = place.until_ready("triage")["metadata"]["uid"]
        operator.until_idle()
        with archive.away():
            order = place.order("Resume", "go-on", "triage", ttlSecondsAfterFinished=1)["metadata"]["uid"]
            place.until_ordered("go-on", "Complete", "CarriedOut")
            said = f"AgentAction {place.namespace}/go-on is not kept for the archive"
            # Once when it was over, and once when it would have been removed for its age.
            wait_for(lambda: operator.log.read_text().count(said) > 1, what="the order to be tried to be kept")
            assert place.is_ordered("go-on", "Complete"), "it is not kept yet"
        place.admin.wait_gone(agents.API, "agentactions", "go-on", namespace=place.namespace)
        kept = orjson.loads((archive.path / "records" / uid / "actions" / order / "go-on.json").read_bytes())
        assert kept["status"]["phase"] == "Complete"


def test_while_the_store_is_away_its_records_stay_and_its_rights_do_not(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_proof_interval="1") as operator:
        place.employ("triage", place.new_role(), permission("refund"))
        uid = place.until_ready("triage")["metadata"]["uid"]
        operator.until_idle()
        with archive.away():
            place.dismiss("triage")
            place.until("triage", lambda a: agents.condition(a, "JournalBehind"), what="the wait for the store")
            place.until_cannot("triage", "create", "refunds")
        place.until_gone("triage")
    archive.verified(uid)


def test_agents_of_a_deleted_namespace_are_sealed_with_what_was_kept_of_them(
    place: Workplace, archive: ArchiveFolder
) -> None:
    home, crm = place.new_namespace("doomed"), place.new_namespace("crm")
    role = place.new_role()
    names = [f"triage-{number}" for number in range(3)]
    for name in names:
        place.admin.create(agents.agent(home, name, role, permission("read-tickets", crm), permission("refund")))
    uids = {}
    for name in names:
        agent = place.admin.wait_object(
            agents.API,
            "aiagents",
            name,
            lambda a: (agents.condition(a, "Ready") or {}).get("status") == "True",
            what="the agent to be onboarded",
            namespace=home,
        )
        uids[name] = agent["metadata"]["uid"]

    place.admin.delete("v1", "namespaces", home)

    place.admin.wait_gone("v1", "namespaces", home, timeout=120)
    for name, uid in uids.items():
        manifest = archive.verified(uid)
        # It was kept while it was there.
        assert "revisions/1.json" in archive.archived(uid)
        # Its pods may have been gone before it could be asked what they had logged.
        missing = {(gap["path"].split("/")[0], gap["reason"]) for gap in manifest["notCaptured"]}
        assert missing <= {("logs", "NamespaceTerminating")}
        assert missing or any(item["path"].startswith("logs/") for item in manifest["items"])
        assert archive.told(uid)[-1] == "Terminated"
        assert place.children(uid) == {}
        assert record(place.admin, home, name, uid)["status"]["phase"] == "Certified"


def test_the_longest_retention_that_anybody_asks_for_holds(place: Workplace, archive: ArchiveFolder) -> None:
    long = new_policy(place, "long", here(place), archive={"retention": "17520h"})
    place.employ("triage", place.new_role(), retirement={"retention": "8760h"})
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.dismiss("triage")
    place.until_gone("triage")
    manifest = archive.verified(uid)
    assert manifest["retention"]["duration"] == "17520h"
    assert manifest["retention"]["sources"] == [f'AgentPolicy "{long}"']


def test_records_that_have_left_the_cluster_before_the_agent_are_in_its_archive(
    place: Workplace, archive: ArchiveFolder
) -> None:
    """Revisions beyond the history."""
    place.employ("triage", place.new_role(), revisionHistoryLimit=0)
    uid = place.until_ready("triage")["metadata"]["uid"]
    for text in ("Be brief.", "Be kind."):
        place.change("triage", handbook={"instructions": {"inline": text}})
        place.until_settled("triage")
    left = [("AgentRevision", place.namespace, "triage-3")]
    place.admin.wait_for(
        lambda: [key for key in place.children(uid) if key[0] == "AgentRevision"] == left,
        what="its history to be short",
    )
    place.dismiss("triage")
    place.until_gone("triage")
    manifest = archive.verified(uid)
    assert manifest["notCaptured"] == []
    files = archive.archived(uid)
    revisions = {path: orjson.loads(files[path]) for path in files if path.startswith("revisions/")}
    assert {path: each["spec"]["number"] for path, each in revisions.items()} == {
        "revisions/1.json": 1, "revisions/2.json": 2, "revisions/3.json": 3,
    }  # fmt: skip
