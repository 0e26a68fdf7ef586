"""The journals of agents, told by the running operator into a directory: whole, once each, and whatever fails."""

from typing import Any

import pytest

from support import agents, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import here, new_policy
from support.kube import Object
from support.operator import Installation, OperatorProcess
from support.runs import template
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def journal(agent: Object) -> dict[str, Any]:
    found: dict[str, Any] = agent["status"].get("journal") or {}
    return found


def test_a_life_is_told_from_its_beginning_to_its_end(place: Workplace, archive: ArchiveFolder) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    place.until_settled("triage")
    place.order("Suspend", "stop", "triage")
    place.until_reason("triage", "Ready", "Suspended")
    place.order("Resume", "go-on", "triage")
    place.until_settled("triage")
    place.change("triage", permissions=[])
    place.until_settled("triage")
    status = place.get("triage")["status"]
    archive.whole(uid, status)
    assert status["journal"]["store"] == "local"

    place.dismiss("triage")
    place.until_gone("triage")

    archive.whole(uid)
    told = archive.told(uid)
    assert told[0] == "Created"
    assert told.index("Granted") < told.index("RolledOut")
    # How far work is that takes over is told where a status says it: of one that is done at once, only that it serves.
    assert [kind for kind in told if kind not in ("Created", "Hired", "RolloutStarted")] == [
        "Granted", "Revised", "RolledOut", "Revised", "RolledOut", "Suspended", "Resumed", "Revoked",
        "OffboardingStarted", "Snapshotted", "Terminated",
    ]  # fmt: skip
    granted = next(record for record in archive.records(uid) if record["type"].endswith("Granted"))
    assert granted["data"]["namespaces"] == [crm]
    assert granted["data"]["rules"][0]["resources"] == ["tickets"]
    assert granted["source"].endswith(f"/namespaces/{place.namespace}/aiagents/triage")


def test_a_right_is_told_of_before_it_is_bound(place: Workplace, archive: ArchiveFolder) -> None:
    mark = place.plane.audit_mark()
    place.employ("triage", place.new_role(), permission("refund"))
    place.until_ready("triage")
    writes = [w for w in place.writes(mark) if w.code < 400]
    said = min(w.answered for w in writes if (w.resource, w.subresource) == ("aiagents", "status"))
    assert said <= min(w.received for w in writes if w.resource == "rolebindings")


def test_a_journal_that_begins_later_tells_what_holds_then(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_file=""):
        place.employ("triage", place.new_role(), permission("refund"))
        agent = place.until_ready("triage")
        assert journal(agent) == {}
    uid = agent["metadata"]["uid"]
    with installed.alone() as operator:
        place.until("triage", lambda a: journal(a).get("head"), what="its journal to begin")
        operator.until_idle()
        assert archive.permitted(uid, None) == place.rights(uid) != set()
        assert {"Created", "Hired", "Granted", "Revised", "RolledOut"} <= set(archive.told(uid))
        archive.whole(uid, place.get("triage")["status"])


def test_what_is_settled_is_told_once_and_costs_nothing(
    place: Workplace, operator: OperatorProcess, archive: ArchiveFolder
) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    operator.until_idle()
    records = archive.entries(uid)
    mark = place.plane.audit_mark()
    place.touch(place.get("triage"))
    operator.until_idle()
    operator.restart()
    operator.until_idle()
    assert archive.entries(uid) == records
    assert [write.uri for write in place.writes(mark)] == []


def test_while_the_store_is_away_agents_work_on_and_nothing_is_lost(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_proof_interval="1") as operator:
        place.employ("old", place.new_role("clerk"), permission("refund"))
        old = place.until_ready("old")["metadata"]["uid"]
        with archive.away():
            place.employ("new", place.new_role(), permission("refund"))
            agent = place.until_reason("new", "JournalBehind", "ArchiveStoreUnavailable", "status.journal.pending")
            place.until_ready("new")
            place.until_can("new", "create", "refunds")
            assert [event["kind"] for event in journal(agent)["pending"]][:1] == ["Created"]
            assert operator.metric("aiagent_archive_store_ready", store="local") == 0
            place.change("old", suspended=True)
            place.until_reason("old", "Ready", "Suspended")
            place.until_cannot("old", "create", "refunds")
        for name in ("old", "new"):
            place.until(name, lambda a: not journal(a).get("pending"), what="what waited to be told")
            assert agents.condition(place.get(name), "JournalBehind") is None
        assert operator.metric("aiagent_archive_store_ready", store="local") == 1
        assert operator.metric("aiagent_journal_agents_waiting") == 0
        for name in ("old", "new"):
            agent = place.get(name)
            archive.whole(agent["metadata"]["uid"], agent["status"])
        assert archive.told(old)[-1] == "Suspended"


def test_an_agent_stays_until_its_end_is_told_and_its_rights_do_not(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(archive_proof_interval="1") as operator:
        place.employ("triage", place.new_role(), permission("refund"))
        uid = place.until_ready("triage")["metadata"]["uid"]
        with archive.away():
            place.dismiss("triage")
            place.until("triage", lambda a: agents.condition(a, "JournalBehind"), what="the wait for the store")
            # What it was is archived, so it stays until then, and its handbook too.
            left = {"AgentRevision", "ConfigMap"}
            place.admin.wait_for(
                lambda: {kind for kind, _, _ in place.children(uid)} == left,
                what="all that it could act with to be gone",
            )
            place.until_cannot("triage", "create", "refunds")
            place.until_reason("triage", "Ready", "Offboarding", "It waits: archive store local", "mount a volume")
            operator.until_idle()
            assert place.find("triage") is not None
        place.until_gone("triage")
        archive.whole(uid)
        told = archive.told(uid)
        assert told[-1] == "Terminated"
        assert {"OffboardingStarted", "Revoked"} <= set(told)


def test_a_restored_status_is_found_and_said(
    place: Workplace, operator: OperatorProcess, archive: ArchiveFolder
) -> None:
    """As where etcd is restored to an earlier time: the store knows more than the cluster does."""
    place.employ("triage", place.new_role(), permission("refund"))
    agent = place.until_ready("triage")
    uid = agent["metadata"]["uid"]
    operator.until_idle()
    old = place.get("triage")["status"]["journal"]
    place.change("triage", permissions=[])
    place.until_settled("triage")
    before = archive.whole(uid)
    assert before > old["head"]["sequence"]
    operator.terminate()
    place.installed.end_shared()
    _restore(place, "triage", {"journal": old})

    place.installed.operator()
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    place.until_settled("triage")

    agent = place.get("triage")
    archive.whole(uid, agent["status"])
    assert "Recovered" in archive.told(uid)[before:]
    assert [e for e in place.events("triage") if e["reason"] == "JournalRecovered"]


def test_a_restored_status_is_found_though_nothing_happens(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    """At the start, and while the operator works: not only with the next event, which may be months away."""
    place = vacant
    names = ("first", "second", "settled")
    old, uids = {}, {}
    with installed.alone(journal_look_interval="2") as operator:
        for name in names:
            place.employ(name, place.new_role(name), permission("refund"))
            uids[name] = place.until_ready(name)["metadata"]["uid"]
        operator.until_idle()
        for name in names:
            old[name] = place.get(name)["status"]["journal"]
            place.change(name, permissions=[])
            place.until(name, lambda a: a["status"]["granted"] == "0/0", what="it to hold nothing")
        operator.until_idle()
        before = {name: archive.whole(uids[name], place.get(name)["status"]) for name in names}
        _restore(place, "first", {"journal": old["first"]})
        _until_recovered(place, archive, "first", uids["first"], before["first"])
    _restore(place, "second", {"journal": old["second"]})
    mark = place.plane.audit_mark()
    with installed.alone() as operator:
        _until_recovered(place, archive, "second", uids["second"], before["second"])
        operator.until_idle()
    assert archive.whole(uids["settled"], place.get("settled")["status"]) == before["settled"]
    wrote = [write for write in place.writes(mark) if write.resource == "aiagents"]
    assert {(write.name, write.subresource) for write in wrote} == {("second", "status")}
    assert len(wrote) == 1


def _until_recovered(place: Workplace, archive: ArchiveFolder, name: str, uid: str, before: int) -> None:
    place.until(name, lambda a: journal(a)["head"]["sequence"] == before + 1, what="its journal to be found ahead")
    archive.whole(uid, place.get(name)["status"])
    assert archive.told(uid)[before:] == ["Recovered"]
    place.admin.wait_for(
        lambda: [e for e in place.events(name) if e["reason"] == "JournalRecovered"], what="a word of it for people"
    )


def test_records_that_somebody_removed_are_a_fork(
    place: Workplace, operator: OperatorProcess, archive: ArchiveFolder
) -> None:
    place.employ("triage", place.new_role())
    uid = place.until_ready("triage")["metadata"]["uid"]
    operator.until_idle()
    last = archive.entries(uid)[-1][0]
    (archive.path / last).unlink()
    operator.restart()
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    place.until_settled("triage")
    agent = place.get("triage")
    archive.whole(uid, agent["status"])
    assert "Forked" in archive.told(uid)
    assert [e for e in place.events("triage") if e["reason"] == "JournalForked" and last in e["message"]]


def test_policies_say_in_which_store_and_a_dispute_waits(vacant: Workplace, installed: Installation) -> None:
    place, eu = vacant, ArchiveFolder(installed.archive.path.parent / vacant.name("archive"), "eu")
    stores = installed.archive.described(eu.store)
    with installed.alone(archive_file=str(stores)) as operator:
        first = new_policy(place, "eu", here(place), archive={"store": "eu"})
        other = new_policy(place, "asia", here(place), archive={"store": "asia"})
        place.employ("triage", place.new_role())
        place.until_reason("triage", "JournalBehind", "ArchiveStoreDisputed", first, other, "name one")
        uid = place.until_ready("triage")["metadata"]["uid"]
        place.admin.delete(agents.API, "agentpolicies", other)
        agent = place.until("triage", lambda a: journal(a).get("store") == "eu", what="its journal to be in eu")
        assert eu.whole(uid) >= journal(agent)["head"]["sequence"]
        assert installed.archive.entries(uid) == []

        place.admin.delete(agents.API, "agentpolicies", first)
        place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
        place.until_ready("triage")
        operator.until_idle()
        agent = place.get("triage")
        eu.whole(uid, agent["status"])
        assert journal(agent)["store"] == "eu", "a journal stays where it began"

        # No other operator here knows this store, so its end would wait for ever.
        place.dismiss("triage")
        place.until_gone("triage")
        assert eu.told(uid)[-1] == "Terminated"


def test_what_no_operator_has_written_stops_what_gives_and_heals(place: Workplace, operator: OperatorProcess) -> None:
    place.employ("triage", place.new_role())
    place.until_ready("triage")
    operator.until_idle()
    good = place.get("triage")["status"]["journal"]
    place.installed.end_shared()
    bad = {"kind": "Invented", "cause": "x", "time": "2026-01-01T00:00:00.000Z", "data": "{}"}
    _restore(place, "triage", {"journal": {**good, "pending": [bad]}})
    place.installed.operator()
    place.change("triage", permissions=[permission("refund")])
    place.until_reason("triage", "JournalBehind", "JournalUnreadable", "Invented")
    place.until_reason("triage", "PermissionsGranted", "ArchiveStoreUnavailable", "JournalBehind")
    assert not place.can("triage", "create", "refunds")

    place.installed.end_shared()
    _restore(place, "triage", {"journal": {"pending": None}})
    place.installed.operator()
    place.until_settled("triage")
    place.until_can("triage", "create", "refunds")


def test_verdicts_and_orders_are_told_with_what_they_did(place: Workplace, archive: ArchiveFolder) -> None:
    good = {"name": "held-out", "metrics": [{"name": "accuracy", "min": "0.8"}]}
    good |= {"job": template(message='{"measurements": [{"name": "accuracy", "value": "0.9"}]}')}
    place.employ("triage", place.new_role(), retraining={"evaluations": [good]})
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    place.until_settled("triage")
    order = place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut")
    place.until_settled("triage")

    agent = place.get("triage")
    archive.whole(uid, agent["status"])
    records = archive.records(uid)
    verdicts = [r["data"] for r in records if r["type"].endswith(".Evaluated")]
    assert [(v["name"], v["revision"], v["phase"]) for v in verdicts] == [
        ("held-out", 1, "Successful"),
        ("held-out", 2, "Successful"),
    ]
    kinds = archive.told(uid)
    assert kinds.index("Evaluated") < kinds.index("RolledOut")
    (back,) = [r["data"] for r in records if r["type"].endswith(".RolledBack")]
    assert back == {"revision": 1, "before": 2, "order": order["metadata"]["uid"]}
    assert len(agent["status"]["journal"]["evaluated"]) == 2


def _restore(place: Workplace, name: str, status: Object) -> None:
    """Write a status as a backup brings it back, while no operator runs: nobody but its account may."""
    operator = place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    operator.patch(agents.API, "aiagents", name, {"status": status}, namespace=place.namespace, subresource="status")
