"""A journal as a file of JSON Lines, whatever is in the file."""

import io
from collections.abc import Iterable

import pytest

from aiagent_operator.core.journal.chain import Fault, verify
from aiagent_operator.core.journal.lines import entries
from aiagent_operator.core.journal.record import MOST_BYTES
from support.journals import AGENT, event, sealed

RECORDS = [raw for _, raw in sealed(map(event, "abc"))]


def lines(*parts: bytes) -> Iterable[tuple[str, bytes]]:
    return entries("journal.jsonl", io.BytesIO(b"".join(parts)).readline)


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["joined", "ended"])
def test_records_with_line_ends_between_them_are_a_chain(end: bytes) -> None:
    found = verify(lines(b"\n".join(RECORDS), end), AGENT.uid)
    assert (found.records, found.flaw) == (3, None)


def test_a_file_without_a_byte_has_no_record() -> None:
    assert list(lines()) == []


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((RECORDS[0], b"\n\n", RECORDS[1]), 2),
        ((RECORDS[0], b"\r\n", RECORDS[1]), 1),
        ((RECORDS[0], b"\n ", RECORDS[1]), 2),
        ((b"\xef\xbb\xbf", RECORDS[0]), 1),
        ((RECORDS[0], b"\n", RECORDS[1][:-9]), 2),
        ((RECORDS[0], RECORDS[1]), 1),
    ],
    ids=["empty line", "carriage return", "white space", "byte order mark", "cut off", "not parted"],
)
def test_what_is_no_record_is_named_by_its_line(parts: tuple[bytes, ...], line: int) -> None:
    flaw = verify(lines(*parts), AGENT.uid).flaw
    assert flaw
    assert (flaw.fault, flaw.path) == (Fault.UNREADABLE, f"journal.jsonl:{line}")


def test_a_line_without_an_end_is_never_read_whole() -> None:
    asked: list[int] = []

    def endless(most: int) -> bytes:
        asked.append(most)
        return b"x" * most

    flaw = verify(entries("journal.jsonl", endless), AGENT.uid).flaw
    assert flaw
    assert (flaw.fault, flaw.path) == (Fault.UNREADABLE, "journal.jsonl:1")
    assert len(asked) == 1
    assert asked[0] <= MOST_BYTES + 2
