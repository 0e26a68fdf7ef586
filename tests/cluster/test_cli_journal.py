"""`kubectl aiagent journal show --follow`: a journal as it grows, by a user who may see the agent and no store."""

import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support.agents import permission
from support.kube import wait_for
from support.terminal import Answer, Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def viewer(place: Workplace) -> Path:
    user = place.name("viewer")
    place.let(user, "get", place.namespace, "workforce-agents-view")
    return place.installed.cluster.kubeconfig_for(user)


def start(place: Workplace, terminal: Terminal, viewer: Path, words: str, into: Path) -> Future[Answer]:
    """The command, as it runs, once it has begun to print."""
    command = f"kubectl aiagent journal show -f -n {place.namespace} {words} > {into}"
    answer = ThreadPoolExecutor(1).submit(terminal.run, command, viewer)
    wait_for(lambda: answer.done() or (into.exists() and into.stat().st_size), what="the command to print")
    return answer


def test_a_journal_is_followed_from_its_beginning_to_its_end(
    place: Workplace, terminal: Terminal, viewer: Path, tmp_path: Path
) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    archive = place.installed.archive
    wait_for(lambda: archive.told(uid), what="records")
    lines = tmp_path / "journal.jsonl"
    folder = archive.path / "journal" / uid
    answer = start(place, terminal, viewer, f"{folder} --agent triage -o json", lines)
    place.order("Suspend", "stop", "triage")
    place.until_reason("triage", "Ready", "Suspended")
    place.dismiss("triage")
    place.until_gone("triage")
    ended = answer.result(60)

    assert ended.code == 0, ended
    records = archive.entries(uid)
    assert lines.read_bytes() == b"".join(raw + b"\n" for _, raw in records), ended
    head = re.search(r"its journal ends with record (\d+), (sha256:\w+): AgentArchive (\S+)", ended.err)
    assert head, ended
    assert int(head[1]) == len(records)
    assert head[3].startswith(f"{place.namespace}.triage.")
    verified = terminal.run(f"kubectl aiagent journal verify {lines} --head {head[1]}@{head[2]}")
    assert verified.code == 0, verified


def test_without_a_store_it_begins_where_the_agent_is(
    place: Workplace, terminal: Terminal, viewer: Path, tmp_path: Path
) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_settled("triage")
    table = tmp_path / "table"
    answer = start(place, terminal, viewer, "--agent triage", table)
    place.order("Offboard", "leaves", "triage", offboarding={"reason": "Business", "mode": "Emergency"})
    ended = answer.result(90)

    assert ended.code == 0, ended
    records = place.installed.archive.records(uid)
    rows = [line.split()[:3] for line in table.read_text().splitlines()]
    assert rows[0] == ["SEQUENCE", "TIME", "EVENT"]
    shown = [str(record["type"]).rpartition(".")[2] for record in records[-len(rows) + 1 :]]
    assert [row[2] for row in rows[1:]] == shown
    assert "OffboardingStarted" in shown
    assert shown[-1] == "Terminated"
    assert f"{len(records) - len(shown)} records before are in archive store local, journal/{uid}/" in ended.err
    assert place.get("triage")["status"]["phase"] == "Retired"
    again = terminal.run(f"kubectl aiagent journal show -f -n {place.namespace} --agent triage", viewer)
    assert again.code == 0, again
    assert "has left" in again.err


def test_who_may_not_see_the_agent_is_told(place: Workplace, terminal: Terminal) -> None:
    place.employ("triage", place.new_role())
    stranger = place.installed.cluster.kubeconfig_for(place.name("stranger"))
    answer = terminal.run(f"kubectl aiagent journal show -f -n {place.namespace} --agent triage", stranger)
    assert answer.code == 3
    assert "workforce-agents-view" in answer.err
