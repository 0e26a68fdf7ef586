"""An agent that comes after another one is hired once that one is archived, and that one's object stays until then."""

from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api import handover, runs
from aiagent_operator.core.archive import wire
from aiagent_operator.core.archive.sending import AUDIENCE
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import change, here, new_policy
from support.kube import Object, wait_for
from support.memories import MEMORY, Sender, claim
from support.operator import Installation, OperatorProcess
from support.runs import template as run_template
from support.tenancy import refused
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def successor(name: str = "triage-v2") -> dict[str, Any]:
    """For the spec of who leaves."""
    return {"retirement": {"successorRef": {"name": name}}}


def comes_after(name: str = "triage") -> dict[str, Any]:
    """For the spec of who comes."""
    return {"succession": {"predecessorRef": {"name": name}}}


def record(place: Workplace, name: str) -> Object:
    """The AgentArchive of an agent of this namespace."""
    found = [
        each
        for each in place.admin.list(agents.API, "agentarchives")
        if (each["spec"]["agent"]["namespace"], each["spec"]["agent"]["name"]) == (place.namespace, name)
    ]
    assert len(found) == 1
    return found[0]


def test_it_is_hired_once_its_predecessor_is_archived_which_goes_only_then(
    place: Workplace, archive: ArchiveFolder, operator: OperatorProcess
) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    old = place.until_ready("triage")["metadata"]["uid"]
    place.employ("triage-v2", role, permission("refund"), **comes_after())
    waiting = place.until_reason("triage-v2", "Ready", "WaitingForHandover", "has not left: order Offboard")
    new = waiting["metadata"]["uid"]
    assert place.children(new) == {}
    assert not place.can("triage-v2", "create", "refunds")

    mark = place.plane.audit_mark()
    place.dismiss("triage")
    place.until_gone("triage")
    heir = place.until_ready("triage-v2")
    place.until_can("triage-v2", "create", "refunds")
    place.until_cannot("triage", "create", "refunds")
    found = record(place, "triage")
    taken = heir["status"]["succession"]
    assert taken["predecessor"] == {"name": "triage", "uid": old}
    assert (taken["archive"], taken["digest"]) == (found["metadata"]["name"], found["spec"]["manifest"]["digest"])
    writes = place.writes(mark)
    # The first one makes it; the last one says who has taken over.
    archived = min(w.answered for w in writes if w.resource == "agentarchives")
    bound = min(w.received for w in writes if (w.resource, w.verb) == ("rolebindings", "create"))
    assert archived <= bound
    recorded = record(place, "triage")["status"]["handover"]
    assert recorded["successor"] == {"name": "triage-v2", "uid": new}
    assert taken["digest"] in recorded["message"]
    lineage = archive.verified(old)["lineage"]
    assert lineage["successor"] == {"namespace": place.namespace, "name": "triage-v2", "uid": new}
    assert found["spec"]["lineage"] == lineage

    operator.until_idle()
    told = archive.told(new)
    assert told.index("HandedOver") < told.index("Hired")
    assert archive.whole(new) == len(told)
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == [], "who has taken over costs no write"

    place.dismiss("triage-v2")
    place.until_gone("triage-v2")
    before = archive.verified(new)["lineage"]["predecessor"]
    assert before == {
        "namespace": place.namespace, "name": "triage", "uid": old, "archive": found["metadata"]["name"]
    }  # fmt: skip
    # Git applies it anew, and its predecessor has long been gone.
    place.employ("triage-v2", role, permission("refund"), **comes_after())
    assert place.until_ready("triage-v2")["status"]["succession"]["predecessor"]["uid"] == old


def test_one_that_is_ordered_to_go_waits_for_a_successor_that_agrees_and_says_who_it_is(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.order("Offboard", "bye", "triage", offboarding={"reason": "Replaced"})
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "triage-v2 is to take over, and does not exist")
    place.until_cannot("triage", "create", "refunds")
    assert place.children(uid) == {}
    place.employ("triage-v2", role, permission("refund"), **comes_after("other"))
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "does not ask for it")
    place.change("triage-v2", **comes_after())
    place.until_ready("triage-v2")
    found = place.until("triage", lambda agent: agent["status"].get("phase") == "Retired", what="triage to be retired")
    handover = found["status"]["offboarding"]["handover"]
    heir = place.get("triage-v2")
    assert handover["successor"] == {"name": "triage-v2", "uid": heir["metadata"]["uid"]}
    assert handover["digest"] == heir["status"]["succession"]["digest"]
    steps = found["status"]["offboarding"]["steps"]
    assert steps[-1]["name"] == "Handover"
    place.until_ordered("bye", "InForce", "InForce", "triage is out")
    # Its successor leaves, and only then its author deletes it.
    place.dismiss("triage-v2")
    place.until_gone("triage-v2")
    place.dismiss("triage")
    place.until_gone("triage")


def test_nobody_claims_the_inheritance_of_a_stranger(place: Workplace, archive: ArchiveFolder) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.employ("thief", role, permission("refund"), **comes_after())
    place.until_reason("thief", "Ready", "SuccessionInvalid", "AIAgent triage does not name it")
    place.dismiss("triage")
    place.until_gone("triage")
    thief = place.until_reason("thief", "Ready", "WaitingForHandover", "which does not exist")
    assert "succession" not in thief["status"]
    assert place.children(thief["metadata"]["uid"]) == {}
    assert "successor" not in (archive.verified(uid).get("lineage") or {})
    # Another one under that name has left nothing.
    place.employ("triage", role, **successor("thief"))
    place.until_reason("thief", "Ready", "WaitingForHandover", "has not left")
    place.change("thief", succession=None)
    place.until_ready("thief")


def test_one_that_names_nobody_who_agrees_is_let_go_by_its_author(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor("bystander"))
    place.employ("bystander", role, permission("refund"))
    place.until_ready("triage")
    place.until_ready("bystander")
    place.dismiss("triage")
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "bystander is to take over, and does not ask for it")
    assert "succession" not in place.get("bystander")["status"]
    place.change("triage", retirement=None)
    place.until_gone("triage")


def test_past_its_deadline_the_policy_lets_it_go_and_its_archive_says_that_nobody_took_over(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.until_ready("triage")
    waits = {"deadline": "1s", "onDeadline": "Wait"}
    name = new_policy(place, "handover", here(place), handover=waits)
    place.dismiss("triage")
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "does not exist", "It is late since")
    change(place, name, handover={**waits, "onDeadline": "Release"})
    place.until_gone("triage")
    handover = record(place, "triage")["status"]["handover"]
    assert "successor" not in handover
    assert "triage-v2 has taken nothing over: it was late since" in handover["message"]


def judged(value: str) -> dict[str, Any]:
    """An evaluation by a Job that measures this, and asks for more than 0.8."""
    job = run_template(message=f'{{"measurements": [{{"name": "accuracy", "value": "{value}"}}]}}')
    asked = {"name": "handover", "job": job, "metrics": [{"name": "accuracy", "min": "0.8"}]}
    return {"retraining": {"evaluations": [asked]}}


def test_its_own_evaluations_come_after_the_handover_and_before_the_other_one_goes(
    place: Workplace, archive: ArchiveFolder
) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.until_ready("triage")
    new = place.employ("triage-v2", role, permission("refund"), **comes_after(), **judged("0.9"))["metadata"]["uid"]
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    place.dismiss("triage")
    place.until_gone("triage")
    place.until_settled("triage-v2")
    told = archive.told(new)
    # Being hired and the verdict are found at once, and told so.
    assert told.index("HandedOver") < min(told.index("Hired"), told.index("Evaluated"))
    assert told.index("Evaluated") < told.index("Granted")


def test_one_that_fails_them_is_not_hired_and_the_other_one_stays(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.until_ready("triage")
    place.employ("triage-v2", role, permission("refund"), **comes_after(), **judged("0.1"))
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    place.dismiss("triage")
    text = "triage-v2 has taken over, and is not hired yet (EvaluationFailed)"
    place.until_reason("triage", "Ready", "WaitingForSuccessor", text)
    assert not place.can("triage-v2", "create", "refunds")
    # Other work, which passes.
    place.change("triage-v2", handbook={"instructions": {"inline": "Be exact."}}, **judged("0.9"))
    place.until_gone("triage")
    place.until_ready("triage-v2")


def accepted() -> dict[str, Any]:
    """For the spec of who comes, and is hired once a person accepts that."""
    return {"succession": {**comes_after()["succession"], "acceptance": "Required"}}


def test_it_is_hired_once_its_owner_accepts_what_it_took_over(
    place: Workplace, archive: ArchiveFolder, operator: OperatorProcess
) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.until_ready("triage")
    new = place.employ("triage-v2", role, permission("refund"), **accepted(), **judged("0.9"))["metadata"]["uid"]
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    place.dismiss("triage")
    text = "kubectl aiagent promote triage-v2 -n"
    place.until_reason("triage-v2", "Ready", "WaitingForAcceptance", "took over from AIAgent triage", text)
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "waits for its owner to accept that", text)
    operator.until_idle()
    assert not {kind for kind, _, _ in place.children(new)} & {"RoleBinding", "Deployment"}
    assert not place.can("triage-v2", "create", "refunds")
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == [], "waiting for a person costs no write"

    # Who may change the agent, and give other orders, may not accept it by that: the verb is another one.
    user = "editor@corp.example"
    place.let(user, "update", place.namespace, "workforce-agents-edit")
    place.let(user, "abort", place.namespace, "workforce-agents-abort")
    promote = agents.order(place.namespace, "mine", "Promote", user, "triage-v2")
    with refused("order-verbs", "ask for the verb promote on aiagents/triage-v2"):
        place.admin.as_user(user).create(promote)

    order = place.order("Promote", "yes", "triage-v2")
    place.until_ordered("yes", "Complete", "CarriedOut", "Revision 1 is accepted", "AIAgent triage")
    heir = place.until_ready("triage-v2")
    place.until_can("triage-v2", "create", "refunds")
    place.until_gone("triage")
    acceptance = {"name": "yes", "uid": order["metadata"]["uid"], "revision": 1}
    assert heir["status"]["succession"]["acceptance"] == acceptance
    assert record(place, "triage")["status"]["handover"]["acceptance"] == acceptance
    operator.until_idle()
    told = archive.told(new)
    assert told.index("HandedOver") < told.index("Evaluated") < told.index("Accepted") < told.index("Granted")
    assert told.index("Accepted") < told.index("Hired")
    # Another revision asks for nothing any more.
    place.change("triage-v2", handbook={"instructions": {"inline": "Be exact."}})
    serves = {"stable": 2, "latest": 2}
    place.until("triage-v2", lambda agent: agent["status"]["revision"] == serves, what="revision 2 to serve")


def test_a_promote_from_before_the_evaluations_passed_accepts_nothing(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.until_ready("triage")
    place.employ("triage-v2", role, permission("refund"), **accepted(), **judged("0.9"))
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    place.order("Promote", "early", "triage-v2")
    place.dismiss("triage")
    place.until_reason("triage-v2", "Ready", "WaitingForAcceptance")
    place.until_ordered("early", "Failed", "NoRollout", "accepts the handover once its evaluations are passed")
    assert not place.can("triage-v2", "create", "refunds")
    assert "acceptance" not in place.get("triage-v2")["status"]["succession"]
    place.order("Promote", "yes", "triage-v2")
    place.until_ready("triage-v2")
    place.until_gone("triage")


def test_a_circle_is_said_and_nobody_in_it_gets_anything(place: Workplace) -> None:
    role = place.new_role()
    for one, other in (("a", "b"), ("b", "a")):
        place.employ(one, role, permission("refund"), **comes_after(other), **successor(other))
    for one, other in (("a", "b"), ("b", "a")):
        agent = place.until_reason(one, "Ready", "SuccessionInvalid", f"{one} comes after {other} comes after {one}")
        assert place.children(agent["metadata"]["uid"]) == {}
    place.change("a", succession=None)
    place.until_ready("a")
    place.until_reason("b", "Ready", "WaitingForHandover", "a, which has not left")


def test_who_works_already_keeps_what_it_has_and_takes_over_beside_its_work(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.employ("triage-v2", role, permission("refund"))
    place.until_ready("triage")
    place.until_ready("triage-v2")
    place.change("triage-v2", **comes_after())
    place.until_ready("triage-v2")
    assert place.can("triage-v2", "create", "refunds")
    place.dismiss("triage")
    place.until_gone("triage")
    assert place.until_ready("triage-v2")["status"]["succession"]["predecessor"]["name"] == "triage"


def test_in_a_namespace_that_is_being_deleted_nobody_waits_for_anybody(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.employ("triage-v2", role, permission("refund"), **comes_after())
    place.until_ready("triage")
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    place.admin.delete("v1", "namespaces", place.namespace)
    place.until_gone("triage")
    place.until_gone("triage-v2")


def test_a_dry_run_names_who_counts_on_the_agent(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"), **successor())
    place.employ("triage-v2", role, permission("refund"), **comes_after())
    place.until_ready("triage")
    place.until_reason("triage-v2", "Ready", "WaitingForHandover")
    for name, names_it in (("triage", "Predecessor"), ("triage-v2", "Successor")):
        other = {"triage": "triage-v2", "triage-v2": "triage"}[name]
        place.order("Offboard", f"what-if-{name}", name, offboarding={"reason": "Business", "dryRun": True})
        order = place.until_ordered(f"what-if-{name}", "Complete", "Previewed")
        assert order["status"]["preview"]["dependents"] == [{"name": other, "namesIt": names_it}]


INTO = "inheritance"


def with_volume() -> dict[str, Any]:
    """For the spec of who comes, and gets what the other one has left."""
    return {"succession": {"predecessorRef": {"name": "triage"}, "volume": {"claimName": INTO}}}


def handing_over(place: Workplace, role: str) -> tuple[str, str]:
    """Two agents, of which the first has left with its memory archived; their UIDs."""
    claim(place.admin, place.namespace)
    claim(place.admin, place.namespace, INTO)
    place.employ("triage", role, permission("refund"), retirement={**MEMORY, **successor()["retirement"]})
    old = place.until_ready("triage")["metadata"]["uid"]
    new = place.employ("triage-v2", role, permission("refund"), **with_volume())["metadata"]["uid"]
    place.until_reason("triage-v2", "Ready", "WaitingForHandover", "has not left")
    return old, new


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "one").write_text("what people said")
    return tmp_path / "facts"


def pods(place: Workplace, uid: str) -> list[str]:
    labels = f"{runs.LABEL_RUN}={handover.RUN},{runs.LABEL_RUN_OF}={uid}"
    found = place.admin.list("v1", "pods", namespace=place.namespace, labels=labels)
    return [pod["metadata"]["name"] for pod in found]


def captured(place: Workplace, uid: str, facts: Path) -> None:
    sender = Sender.of(place, uid)
    status, message = sender.run(facts)
    assert status == 0, message
    sender.end(status, message)


def test_it_is_hired_once_its_volume_has_what_the_other_one_knew(
    place: Workplace, archive: ArchiveFolder, facts: Path, tmp_path: Path
) -> None:
    old, new = handing_over(place, place.new_role())
    place.dismiss("triage")
    captured(place, old, facts)
    fetcher = Sender.of(place, new, handover.RUN, INTO)
    place.until_reason("triage", "Ready", "WaitingForSuccessor", "waiting for AIAgent triage-v2 to take over")
    assert not {kind for kind, _, _ in place.children(new)} & {"Role", "RoleBinding", "Deployment"}

    volume = tmp_path / "volume"
    volume.mkdir()
    thieves(place, fetcher, volume)
    status, message = fetcher.run(volume)
    assert status == 0, message
    there = volume / handover.FOLDER
    assert (there / "memory" / "one").read_text() == "what people said"
    manifest = (there / "bundle" / "manifest.json").read_bytes()
    assert manifest == archive.archived(old)["manifest.json"]
    assert (there / "bundle" / "journal.jsonl").read_bytes() == archive.archived(old)["journal.jsonl"]
    # A pod that is tried again after its end was not heard.
    assert fetcher.run(volume)[0] == 0
    fetcher.end(status, message)

    heir = place.until_ready("triage-v2")
    taken = heir["status"]["succession"]
    assert (taken["digest"], taken["claimName"]) == (wire.digest(manifest), INTO)
    place.until_gone("triage")
    place.until_cannot("triage", "create", "refunds")
    place.until_settled("triage-v2")
    assert not [name for _, _, name in place.children(new) if "handover" in name]
    assert fetcher.run(tmp_path, "x.x.x")[0] == 1


def thieves(place: Workplace, fetcher: Sender, folder: Path) -> None:
    """What others try while the Job is waited for."""
    admin, namespace = place.admin, place.namespace
    admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "thief", "namespace": namespace}})
    stolen = {
        "401": admin.token(namespace, "thief"),
        "403": admin.token(namespace, "thief", audiences=[AUDIENCE]),
    }
    for code, token in stolen.items():
        status, message = fetcher.run(folder, token)
        assert status == 1
        assert f"({code})" in message
    with refused("agent-tokens", ""):
        admin.token(namespace, handover.account_name("triage-v2"), audiences=[AUDIENCE])


def test_a_volume_that_is_full_of_something_else_is_said_and_nobody_is_hired(
    place: Workplace, facts: Path, tmp_path: Path
) -> None:
    old, new = handing_over(place, place.new_role())
    place.dismiss("triage")
    captured(place, old, facts)
    fetcher = Sender.of(place, new, handover.RUN, INTO)
    (tmp_path / handover.FOLDER).mkdir()
    status, message = fetcher.run(tmp_path)
    assert (status, "name an empty claim" in message) == (1, True)
    # The author of the predecessor takes it back: nothing is given any more.
    place.change("triage", retirement={"successorRef": {"name": "other"}})
    place.until_reason("triage-v2", "Ready", "SuccessionInvalid", "does not name it")
    (tmp_path / handover.FOLDER).rmdir()
    assert fetcher.run(tmp_path, "x.x.x")[0] == 1
    place.change("triage", retirement={"successorRef": None})
    place.until_gone("triage")
    place.change("triage-v2", succession=None)
    place.until_ready("triage-v2")


def test_who_works_already_says_that_its_volume_could_not_be_filled_and_works_on(
    place: Workplace, facts: Path, tmp_path: Path
) -> None:
    old, new = handing_over(place, place.new_role())
    place.change("triage-v2", succession=None)
    place.until_ready("triage-v2")
    place.change("triage-v2", **with_volume())
    place.dismiss("triage")
    captured(place, old, facts)
    fetcher = Sender.of(place, new, handover.RUN, INTO)
    (tmp_path / handover.FOLDER).mkdir()
    status, message = fetcher.run(tmp_path)
    assert (status, "name an empty claim" in message) == (1, True)
    # It would be tried for some minutes.
    job = fetcher.pod["metadata"]["ownerReferences"][0]["name"]
    place.admin.patch("batch/v1", "jobs", job, {"spec": {"backoffLimit": 0}}, namespace=place.namespace)
    fetcher.end(status, message)
    words = (job, "name an empty claim", "once that Job is deleted")
    found = place.until_reason("triage-v2", "HandoverFailed", "SuccessionInvalid", *words)
    assert agents.condition(found, "Ready")["status"] == "True"
    assert place.can("triage-v2", "create", "refunds")
    place.until_reason("triage", "Ready", "WaitingForSuccessor")
    place.change("triage-v2", succession={"volume": None})
    place.until_gone("triage")
    gone = "HandoverFailed to be gone"
    place.until("triage-v2", lambda agent: not agents.condition(agent, "HandoverFailed"), what=gone)


def test_a_new_leader_delivers_anew(vacant: Workplace, installed: Installation, facts: Path, tmp_path: Path) -> None:
    place = vacant
    with installed.alone() as operator:
        old, new = handing_over(place, place.new_role())
        place.dismiss("triage")
        captured(place, old, facts)
        # It has no volume yet, or the node would run it at once.
        before = wait_for(lambda: pods(place, new), what="a pod that delivers")
        operator.restart()
        for pod in before:
            place.admin.wait_gone("v1", "pods", pod, namespace=place.namespace)
        after = Sender.of(place, new, handover.RUN, INTO)
        status, message = after.run(tmp_path)
        assert status == 0, message
        after.end(status, message)
        place.until_ready("triage-v2")
        place.until_gone("triage")
    assert (tmp_path / handover.FOLDER / "memory" / "one").read_text() == "what people said"
