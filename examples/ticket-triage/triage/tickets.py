"""Reading tickets. What is not as it should be stops the job and is named by file and line; no row is skipped."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from triage.errors import TriageError
from triage.features import LONGEST

FEWEST: Final = 10
"""Tickets that each queue needs at least."""

CONTRADICTIONS: Final = 0.02
"""Share of tickets that may have another ticket's text and another queue: people do disagree, but not more often."""

_QUEUE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LINE: Final = '{"text": "...", "queue": "..."}'


@dataclass(frozen=True, slots=True)
class Ticket:
    """One labelled ticket; `attributes` are the customer's, for the audit."""

    text: str
    queue: str
    attributes: dict[str, str] = field(default_factory=dict)


def read(folders: Sequence[Path]) -> list[Ticket]:
    """All tickets of all *.jsonl files below the folders, in the order of folders and file names.

    Raises TriageError on anything that is no ticket, and on a set that nothing sensible can be learned from.
    """
    found = [ticket for folder in folders for path in _files(folder) for ticket in _parsed(path)]
    _check(found, ", ".join(map(str, folders)))
    return found


def _files(folder: Path) -> list[Path]:
    files = [folder] if folder.is_file() else sorted(folder.glob("**/*.jsonl"))
    if not files:
        raise TriageError(f"{folder} has no tickets: name a folder with *.jsonl files, one ticket a line, {_LINE}")
    return files


def _parsed(path: Path) -> Iterator[Ticket]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        text = f"{path} cannot be read as UTF-8 text ({error}): write it anew, one ticket a line, {_LINE}"
        raise TriageError(text) from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _ticket(line, f"{path}:{number}")


def _ticket(line: str, where: str) -> Ticket:
    try:
        row: Any = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()  # half a character (a lone surrogate) cannot be written again
    except (ValueError, RecursionError) as error:
        raise TriageError(f"{where} is not JSON ({error}): write one ticket a line, {_LINE}") from error
    if not isinstance(row, dict):
        raise TriageError(f"{where} is no JSON object: write one ticket a line, {_LINE}")
    for key in ("text", "queue"):
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            raise TriageError(f"{where}: {key!r} is {value!r}, and must be a text that is not empty")
    if len(row["text"]) > LONGEST:
        length = len(row["text"])
        raise TriageError(f"{where}: the text has {length} characters, at most {LONGEST} are read: shorten it")
    if not _QUEUE.fullmatch(row["queue"]):
        raise TriageError(f"{where}: 'queue' is {row['queue']!r}: use small letters, digits and dashes, at most 63")
    attributes = {key: value for key, value in row.items() if key not in {"text", "queue"} and isinstance(value, str)}
    return Ticket(row["text"], row["queue"], attributes)


def _check(tickets: Sequence[Ticket], origin: str) -> None:
    counts = Counter(ticket.queue for ticket in tickets)
    if len(counts) < 2:
        raise TriageError(f"{origin}: tickets of {len(counts)} queue(s); at least two are needed to tell them apart")
    few = {queue: count for queue, count in sorted(counts.items()) if count < FEWEST}
    if few:
        listed = ", ".join(f"{queue!r} has {count}" for queue, count in list(few.items())[:5])
        raise TriageError(f"{origin}: too few tickets: {listed}. Each queue needs {FEWEST}: add some, or correct names")
    queues = defaultdict[str, set[str]](set)
    for ticket in tickets:
        queues[ticket.text].add(ticket.queue)
    against = [ticket for ticket in tickets if len(queues[ticket.text]) > 1]
    if len(against) > CONTRADICTIONS * len(tickets):
        example = against[0].text[:80]
        raise TriageError(
            f"{origin}: {len(against)} of {len(tickets)} tickets have the same text in different queues, such as "
            f"{example!r} in {', '.join(sorted(queues[against[0].text]))}: correct the labels first"
        )
