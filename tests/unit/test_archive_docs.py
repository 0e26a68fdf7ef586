"""The examples of docs/archives.md are what the code makes, and its commands do what they show."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from aiagent_operator.api import durations
from aiagent_operator.api.archive import GapReason, LeaveReason
from aiagent_operator.core.archive import envelope, layout, payload, retention
from aiagent_operator.core.archive.disposal import CITATIONS
from aiagent_operator.core.archive.findings import Fault
from aiagent_operator.core.archive.names import LONGEST_PART, part
from aiagent_operator.core.archive.steps import STEPS
from aiagent_operator.core.archive.verify import verify
from support import archivepage, archives, released
from support.archivepage import CONSOLE, PAGE
from support.documents import Block, blocks, table

EXAMPLE = archives.example()


def test_the_example_is_a_whole_archive() -> None:
    report = verify(EXAMPLE.manifest, ((path, [data]) for path, data in EXAMPLE.files.items()), keys=archives.KEYS)
    assert report.is_whole


def test_what_age_itself_has_encrypted_is_read() -> None:
    for path in EXAMPLE.files:
        if path.endswith(layout.ENCRYPTED):
            found = bytearray()
            how = payload.encryption(archives.IDENTITY)
            payload.decrypt([EXAMPLE.files[path]], found.extend, archives.IDENTITY, how)
            assert b"CH write dates" in found or b"refund refused" in found


def test_the_tree_has_the_files_of_the_example() -> None:
    (tree,) = blocks(PAGE, "text")
    assert tree.text.splitlines() == sorted(EXAMPLE.files)


def test_manifest_statement_and_record_are_those_of_the_examples() -> None:
    shown, statement, released_as = blocks(PAGE, "json")
    assert released_as.text.encode() == released.data()
    assert shown.text.encode() == EXAMPLE.manifest
    opened = envelope.verified(EXAMPLE.files[layout.CERTIFICATE], archives.KEYS, layout.CERTIFICATE)
    assert statement.text.encode() == opened.payload


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archivepage.unpacked(tmp_path_factory.mktemp("archive"))


@pytest.mark.parametrize("block", [block for block in CONSOLE if "age" not in archivepage.tools(block)], ids=str)
def test_commands_give_what_is_shown(block: Block, folder: Path) -> None:
    for tool in archivepage.tools(block):
        if shutil.which(tool, path=archivepage.PATH) is None:
            pytest.skip(f"{tool} is not installed")
    archivepage.run(block, folder)


def test_names_become_the_parts_that_are_shown() -> None:
    rows = table(PAGE, "name")
    assert rows
    assert [[name, part(name)] for name, _ in rows] == rows
    assert f"longer than {LONGEST_PART} characters" in PAGE.read_text().replace("\n", " ")


def test_every_reason_and_ground_is_explained() -> None:
    assert {row[0] for row in table(PAGE, "reason")} == {reason.value for reason in GapReason}
    assert {row[0]: row[1] for row in table(PAGE, "ground")} == {key.value: text for key, text in CITATIONS.items()}
    for reason in LeaveReason:
        assert f"`{reason}`" in PAGE.read_text()


def test_every_fault_is_explained() -> None:
    assert {row[0] for row in table(PAGE, "fault")} == {fault.value for fault in Fault}


def test_steps_are_those_of_each_mode() -> None:
    assert {row[0]: row[1].split(", ") for row in table(PAGE, "mode")} == {
        mode.value: [step.value for step in steps] for mode, steps in STEPS.items()
    }


def test_numbers_of_the_page() -> None:
    text = re.sub(r"\s+", " ", PAGE.read_text())
    assert f"it is {retention.DEFAULT.days} days" in text
    assert f"is `{durations.format_duration(durations.LONGEST)}`" in text
    assert f"DSSEv1 {len(envelope.PAYLOAD_TYPE)} {envelope.PAYLOAD_TYPE} " in text


def test_paths_of_the_page_are_those_of_the_layout() -> None:
    cells = " ".join(row[0] for row in table(PAGE, "path"))
    single = (layout.SPEC, layout.RIGHTS, layout.JOURNAL, layout.KPIS, layout.MEMORY, layout.ESCALATIONS)
    for path in (*single, *layout.RESERVED):
        assert path in cells
    for made in (
        layout.revision(7),
        layout.evaluation("x"),
        layout.action("u", "x"),
        layout.log("p", "c"),
        layout.decision("d"),
    ):
        assert f"{made.split('/')[0]}/<" in cells
