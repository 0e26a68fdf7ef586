"""`kubectl aiagent journal`: a journal as files, without a cluster."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiagent_operator.cli.app import app
from aiagent_operator.core.journal.head import digest
from support.journals import AGENT, event, sealed

RECORDS = sealed(map(event, "abc"))
HEAD = f"3@{digest(RECORDS[-1][1])}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for where, raw in RECORDS:
        (tmp_path / Path(where).name).write_bytes(raw)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["journal", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_a_whole_journal(folder: Path) -> None:
    code, said = run("verify", folder)
    assert code == 0
    assert f"whole: 3 records of agent {AGENT.uid}" in said
    assert "a head alone can say: give --agent or --head" in said
    assert run("verify", folder, "--head", HEAD) == (0, said.partition(" Whether")[0])
    lines = folder / "journal.jsonl"
    lines.write_bytes(b"".join(raw + b"\n" for _, raw in RECORDS))
    assert run("verify", lines, "--head", HEAD)[0] == 0


def test_what_was_done_to_it_is_named(folder: Path) -> None:
    second = folder / "000000000002.json"
    raw = second.read_bytes()
    second.write_bytes(raw.replace(b'"evaluation":"b"', b'"evaluation":"x"'))
    code, said = run("verify", folder)
    assert code == 1
    assert "not whole: " in said
    assert "00000000000" in said
    second.unlink()
    assert "not whole: Gap" in run("verify", folder)[1]
    second.write_bytes(raw)
    (folder / "000000000003.json").unlink()
    assert run("verify", folder)[0] == 0
    code, said = run("verify", folder, "--head", HEAD)
    assert (code, said.partition(":")[0]) == (1, "not whole")
    assert "Truncated" in said
    second.write_bytes(b"x" * 100_000)
    assert "not whole: Unreadable" in run("verify", folder)[1]


def test_what_happened_is_listed(folder: Path) -> None:
    code, said = run("show", folder)
    assert code == 0
    assert said.startswith("SEQUENCE TIME EVENT DATA 1 2026-07-06T02:00:00.000Z Evaluated evaluation=a 2 ")
    result = CliRunner().invoke(app, ["journal", "show", str(folder), "-o", "json"])
    assert [record["data"] for record in json.loads(result.output)] == [{"evaluation": letter} for letter in "abc"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("verify", "nowhere"), 2, "nowhere cannot be read"),
        (("verify", "{empty}"), 2, "has no records"),
        (("verify", "{folder}", "--head", "3"), 2, "--head 3: write sequence, @ and digest"),
        (("verify", "{folder}", "--head", HEAD, "--agent", "triage"), 2, "give one of them"),
        (("show", "{folder}/wrong.jsonl"), 1, "wrong.jsonl:1"),
    ],
)
def test_what_cannot_be_asked(folder: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (folder / "empty").mkdir()
    (folder / "wrong.jsonl").write_bytes(b"{}\n")
    found = run(*(part.format(folder=folder, empty=folder / "empty") for part in arguments))
    assert found[0] == code
    assert said in found[1]
