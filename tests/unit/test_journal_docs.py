"""The tables of docs/journal.md are what the code does, and its commands are run: each row and each block is a test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aiagent_operator.core.journal import asking, chain, data, kinds, pending
from aiagent_operator.core.journal.asking import Outcome
from aiagent_operator.core.journal.chain import Fault, verify
from aiagent_operator.core.journal.head import WIDTH
from aiagent_operator.core.journal.record import MOST_BYTES, read
from support.documents import ROOT, Block, blocks, table
from support.journals import AGENT, EXAMPLE, Store, entries, event, named, sealed, settle, shown, tail, written

PAGE = ROOT / "docs" / "journal.md"
CHAIN = sealed(EXAMPLE)


def cells(heading: str) -> list[list[str]]:
    """The rows of a table, without the ticks of code."""
    return [[cell.strip("`") for cell in row] for row in table(PAGE, heading)]


SETTLING = cells("status tells")
VERIFYING = cells("records")


@pytest.mark.parametrize("row", SETTLING, ids=" | ".join)
def test_each_row_is_how_a_writer_settles(row: list[str]) -> None:
    told, holds, wanted, requests, then, outcome = row
    store = Store(written(holds, tail(told)))
    found = settle(store, tail(told), [event(letter) for letter in wanted.split() if letter != "-"])
    assert ", ".join(map(named, found.requests)) == requests
    assert shown(store.records) == re.sub(r"\(\w\)", "(_)", then)
    assert (found.done.outcome, found.done.left) == (outcome, ())
    assert (found.done.head.sequence, bool(found.done.message)) == (
        len(then.replace("-", "").split()),
        outcome in {Outcome.RECOVERED, Outcome.FORKED},
    )
    again = settle(Store(store.records), found.done.head, []).done
    assert (again.outcome, again.head) == (Outcome.UNCHANGED, found.done.head), "it is settled"


def test_the_rows_have_every_outcome() -> None:
    assert {row[-1] for row in SETTLING} == set(Outcome) - {Outcome.STUCK}
    assert len(SETTLING) >= 27


@pytest.mark.parametrize("row", VERIFYING, ids=" | ".join)
def test_each_row_is_what_verifying_finds(row: list[str]) -> None:
    records, told, good, fault, number = row
    found = verify(entries(written(records)), AGENT.uid, told=None if told == "-" else tail(told))
    assert str(found.records) == good
    if found.flaw is None:
        assert (fault, number) == ("-", "-")
    else:
        assert (found.flaw.fault, str(Store.sequence(found.flaw.path))) == (fault, number)


def test_the_rows_have_every_fault_that_names_can_have() -> None:
    assert {row[3] for row in VERIFYING} - {"-"} == set(Fault) - {Fault.DOUBLED}


@pytest.mark.parametrize(
    ("heading", "meaning"), [("kind", kinds.MEANING), ("fault", chain.MEANING), ("outcome", asking.MEANING)]
)
def test_every_word_is_explained_as_the_code_explains_it(heading: str, meaning: dict[str, str]) -> None:
    assert cells(heading) == [[str(word), text] for word, text in meaning.items()]


def test_the_record_that_is_shown_is_the_one_that_is_sealed() -> None:
    (block,) = blocks(PAGE, "json")
    where, raw = CHAIN[-1]
    assert block.text == f"{raw.decode()}\n"
    assert f"`{where}`" in PAGE.read_text()
    assert {row[0] for row in cells("attribute")} == set(json.loads(block.text))
    assert read(raw, where).sequence == 3


def test_numbers_of_the_text_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())
    for said in (
        f"in {WIDTH} digits",
        f"at most {data.MOST_BYTES} bytes",
        f"not longer than {MOST_BYTES} bytes",
        f"at most {data.LONGEST} characters",
        f"At most {pending.MOST} wait, of {pending.MOST_BYTES} bytes together",
        f"{pending.RESERVE} events and {pending.RESERVE_BYTES} bytes are a reserve",
        f"({', '.join(f'`{name}`' for name in sorted(data.KEYED))})",
        f"takes something away: {', '.join(f'`{kind}`' for kind in kinds.Kind if kind in kinds.RESERVED)}.",
    ):
        assert said in text


def _asked(block: Block) -> tuple[str, str]:
    """The commands of a block, and what they print."""
    lines = block.text.splitlines(keepends=True)
    script = "".join(line[2:] for line in lines if line.startswith(("$ ", "> ")))
    return script, "".join(line for line in lines if not line.startswith(("$ ", "> ")))


def _run(block: Block, folder: Path) -> tuple[str, str]:
    """What the commands print, and what they should."""
    script, wanted = _asked(block)
    # The command of this project is beside the Python that runs the tests.
    env = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(
        ["bash", "-uc", script], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr, wanted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a journal, and beside its records the same as JSON Lines."""
    for where, raw in CHAIN:
        (tmp_path / Path(where).name).write_bytes(raw)
    (tmp_path / "journal.jsonl").write_bytes(b"".join(raw + b"\n" for _, raw in CHAIN))
    return tmp_path


COMMANDS = blocks(PAGE, "console")
with_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "jq", "sha256sum", "openssl"))), reason="needs bash, jq, sha256sum and openssl"
)


@with_tools
@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_each_command_prints_what_is_shown(block: Block, folder: Path) -> None:
    printed, wanted = _run(block, folder)
    assert printed == wanted


@with_tools
def test_the_commands_find_what_was_altered(folder: Path) -> None:
    (block,) = [block for block in COMMANDS if "does not follow" in block.text]
    second = folder / "000000000002.json"
    raw = second.read_bytes()
    for altered, said in (
        (raw.replace(b"read-tickets", b"edit-tickets"), "000000000003.json does not follow"),
        (raw.replace(b'"data":', b'"data": '), "000000000003.json does not follow"),
        (raw.replace(b"000000000002", b"000000000007"), "000000000002.json is not record 2"),
    ):
        assert altered != raw
        second.write_bytes(altered)
        printed, _ = _run(block, folder)
        assert said in printed
    second.unlink()
    printed, _ = _run(block, folder)
    assert "000000000003.json is not record 2" in printed
