"""What goes into an archive of the objects of an agent: all that tells of it, and no name of a person."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiagent_operator.api.agentaction import ActionPhase, AgentActionSpec
from aiagent_operator.api.archive import GapReason
from aiagent_operator.core.archive import contents, layout, wire
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.order_facts import Order
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.archive.ordered import keep
from support.archive import directory

AGENT = AgentIdentity("crm", "triage", "5b6a0b9c-0c0e-4f5e-9a51-6d1f6a7f2f10")
PERSON = "anna@corp.example"
OWNERS = [
    {"name": "product", "responsibility": "Accountable", "subject": {"kind": "User", "name": PERSON}},
    {
        "name": "support",
        "responsibility": "Responsible",
        "subject": {"kind": "Group", "name": "support-ops"},
        "backup": {"kind": "User", "name": PERSON},
    },
]
RAW: dict[str, Any] = {
    "metadata": {
        "name": "triage",
        "namespace": "crm",
        "uid": AGENT.uid,
        "managedFields": [{}],
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PERSON, "team": "support"},
    },
    "spec": {"roleRef": {"name": "support"}, "owners": OWNERS},
    "status": {"accountable": f"User {PERSON}"},
}


def revision(number: int) -> dict[str, Any]:
    return {"metadata": {"name": f"triage-{number}"}, "spec": {"number": number}, "status": {"state": "Stable"}}


def test_the_spec_has_no_name_of_a_person() -> None:
    file = contents.spec(RAW)
    assert file.path == layout.SPEC
    assert PERSON.encode() not in file.data
    told = orjson.loads(file.data)
    assert set(told) == {"apiVersion", "kind", "metadata", "spec"}
    assert told["metadata"]["annotations"] == {"team": "support"}
    assert not {"managedFields", "resourceVersion"} & told["metadata"].keys()
    first, second = told["spec"]["owners"]
    assert first["subject"]["name"] == wire.digest(f"User {PERSON}".encode()) == second["backup"]["name"]
    assert second["subject"] == {"kind": "Group", "name": "support-ops"}
    assert RAW["spec"]["owners"][0]["subject"]["name"] == PERSON


def test_the_agent_is_named_with_the_digest_of_who_was_accountable() -> None:
    assert contents.agent(RAW, AGENT).accountable == wire.digest(f"User {PERSON}".encode())
    assert contents.agent(RAW, AGENT).role == "support"


def evaluation(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"name": "held-out"}, "status": {"phase": "Successful"}}


def test_missing_revisions_are_said() -> None:
    files, gaps = contents.revisions([revision(3), revision(5)], {}, 5, terminating=False)
    assert [file.path for file in files] == ["revisions/3.json", "revisions/5.json"]
    assert [(gap.path, gap.reason) for gap in gaps] == [("revisions", GapReason.NOT_FOUND)]
    assert "3 of 5 AgentRevisions, 1, 2, 4: " in gaps[0].message


def test_what_was_kept_stands_in_for_what_is_gone() -> None:
    kept = {"revisions/1.json": b"one", "revisions/2.json": b"two", "evaluations/other.json": b"{}"}
    files, gaps = contents.revisions([revision(2)], kept, 3, terminating=False)
    content = {file.path: file.data for file in files}
    assert content["revisions/1.json"] == b"one"
    assert orjson.loads(content["revisions/2.json"])["spec"] == {"number": 2}
    assert [gap.message.split(":")[0] for gap in gaps] == ["1 of 3 AgentRevisions, 3"]
    assert contents.evaluations([], kept, ["other"], terminating=True) == (
        [contents.File("evaluations/other.json", b"{}")],
        [],
    )


def test_evaluations_are_missing_where_a_verdict_is_told() -> None:
    files, gaps = contents.evaluations([evaluation("a")], {}, ["a", "b"], terminating=True)
    assert [file.path for file in files] == ["evaluations/a.json"]
    assert [(gap.path, gap.reason) for gap in gaps] == [("evaluations", GapReason.NAMESPACE_TERMINATING)]
    assert contents.evaluations([evaluation("c")], {}, [], terminating=False)[1] == []


def test_records_come_with_their_status() -> None:
    (file,) = contents.revisions([revision(1)], {}, 1, terminating=False)[0]
    assert orjson.loads(file.data)["status"] == {"state": "Stable"}


def test_what_a_training_has_said_is_told_by_its_digest() -> None:
    said = f"Learned from 12 tickets of {PERSON}"
    raw = {**revision(1), "status": {"state": "Stable", "log": said}}
    (file,) = contents.revisions([raw], {}, 1, terminating=False)[0]
    assert orjson.loads(file.data)["status"] == {"state": "Stable", "logDigest": wire.digest(said.encode())}
    assert PERSON.encode() not in file.data
    assert raw["status"]["log"] == said


ORDER = "3c1d2b7e-5b1f-4d0a-8a55-0a4f6c1f2e11"


def ordered(**changes: Any) -> Order:
    spec = AgentActionSpec.model_validate(
        {"action": "Resume", "agentRef": {"name": "triage"}, "requestedBy": "ops@corp.example", "reason": "it is well"}
    )
    return replace(Order("crm", "go-on", ORDER, 7, datetime(2026, 11, 22, 9, tzinfo=UTC), spec), **changes)


def test_orders_are_those_that_are_there_and_those_that_were_kept() -> None:
    raw = {"metadata": {"name": "Stop/it", "uid": "u2"}, "spec": {"action": "Suspend"}}
    kept = {f"actions/{ORDER}/go-on.json": b"kept", "actions/u2/_53top_2fit.json": b"as it was", "spec.json": b"no"}
    files, gaps = contents.actions([raw], kept, [ORDER, "u2"], terminating=False)
    content = {file.path: file.data for file in files}
    assert sorted(content) == [f"actions/{ORDER}/go-on.json", "actions/u2/_53top_2fit.json"]
    assert content[f"actions/{ORDER}/go-on.json"] == b"kept"
    assert orjson.loads(content["actions/u2/_53top_2fit.json"])["spec"] == {"action": "Suspend"}
    assert gaps == []


@pytest.mark.parametrize("terminating", [False, True])
def test_orders_that_the_journal_names_and_nobody_has_are_missing(terminating: bool) -> None:
    files, gaps = contents.actions([], {"actions/u1/a.json": b"{}"}, ["u1", "u2"], terminating=terminating)
    assert [file.path for file in files] == ["actions/u1/a.json"]
    reason = GapReason.NAMESPACE_TERMINATING if terminating else GapReason.NOT_FOUND
    assert [(gap.path, gap.reason) for gap in gaps] == [("actions", reason)]
    assert gaps[0].message.startswith("1 of 2 AgentActions that the journal names, u2: ")


def test_an_order_is_kept_with_what_became_of_it_once_that_is_known() -> None:
    status = {"phase": "Complete"}
    file = contents.order(ordered(), status)
    told = orjson.loads(file.data)
    assert file.path == f"actions/{ORDER}/go-on.json"
    assert told["metadata"]["creationTimestamp"] == "2026-11-22T09:00:00Z"
    assert told["spec"]["requestedBy"] == "ops@corp.example"
    assert "status" not in told
    over = contents.order(ordered(phase=ActionPhase.COMPLETE), status)
    assert (over.path, orjson.loads(over.data)["status"]) == (file.path, status)


async def test_an_order_that_is_read_in_part_is_not_kept_as_something_that_it_is_not(tmp_path: Path) -> None:
    store, name = directory(tmp_path), layout.Kept(AGENT.uid).key(f"actions/{ORDER}/go-on.json")
    await keep(store, AGENT.uid, replace(ordered(), partial=True), {})
    with pytest.raises(StoreError, match="there is none"):
        await store.read(name, 10_000)
    await keep(store, AGENT.uid, ordered(), {})
    assert await store.read(name, 10_000)


def test_the_journal_is_one_record_a_line() -> None:
    assert contents.journal([b"{1}", b"{2}"]).data == b"{1}\n{2}\n"


def test_the_spec_has_of_its_instructions_no_more_than_what_tells_them_apart() -> None:
    told = f"Ask {PERSON} first."
    book = {"instructions": {"inline": told}, "prohibited": ["Never lie."]}
    file = contents.spec({**RAW, "spec": {**RAW["spec"], "handbook": book}})
    assert PERSON.encode() not in file.data
    assert orjson.loads(file.data)["spec"]["handbook"] == {
        "instructions": {"inlineDigest": wire.digest(told.encode())},
        "prohibited": ["Never lie."],
    }
    named = {"instructions": {"configMapKeyRef": {"name": "told", "key": "text"}}}
    assert orjson.loads(contents.spec({**RAW, "spec": {"handbook": named}}).data)["spec"]["handbook"] == named
