"""What a job leaves: its result as JSON in the container's termination message, and the same on standard output.

The kubelet keeps 4096 bytes of a message (Kubernetes: "Determine the reason for Pod failure"), so the notes are cut to
fit, and a result is never written in part.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from triage.errors import TriageError
from triage.settings import Settings

LIMIT: Final = 4096
"""Bytes of a termination message. Results stay below it."""

BAD_INPUT: Final = 2
NOT_MET: Final = 3

Result = dict[str, Any]


def decimal(value: float) -> str:
    """A number as results carry it: text, since JSON readers differ in what they make of fractions."""
    return f"{value:.4f}"


def encoded(result: Mapping[str, Any], cut: str = "notes") -> bytes:
    """The result as JSON below LIMIT bytes; the text of one field is cut for it, nothing else."""
    content = dict(result)
    while len(text := json.dumps(content, ensure_ascii=False).encode()) >= LIMIT:
        notes = str(content.get(cut, "")).encode()
        if not notes:
            raise TriageError(
                f"the result has {len(text)} bytes, and a termination message less than {LIMIT}: measure less at once"
            )
        content[cut] = notes[: LIMIT - 1 - len(text)].decode(errors="ignore")
    return text


def readable(result: Mapping[str, Any]) -> str:
    """The result as JSON for people: a line for each entry."""
    fields = []
    for key, value in result.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, list):
            entries = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in value)
            text = f"[\n{entries}\n  ]"
        fields.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def run(job: Callable[[Settings], tuple[Result, bool]]) -> int:
    """Runs a job and leaves its result. Exit code: 0, or BAD_INPUT, or NOT_MET where a requirement is not met."""
    where = Path(Settings(os.environ).text("TRIAGE_RESULT"))
    try:
        result, met = job(Settings.of_process())
        message = encoded(result)
    except TriageError as error:
        sys.stderr.write(f"error: {error}\n")
        _leave(where, encoded({"error": str(error)}, cut="error"))
        return BAD_INPUT
    _leave(where, message)
    sys.stdout.write(readable(result))
    return 0 if met else NOT_MET


def _leave(where: Path, message: bytes) -> None:
    """Writes the message in place: the kubelet mounts the file, so it cannot be replaced. Outside pods is none."""
    if str(where.parent) == "/dev" and not where.exists():
        return
    try:
        where.write_bytes(message)
    except OSError as error:
        sys.stderr.write(f"error: {where} cannot be written ({error}): set TRIAGE_RESULT to another path\n")
        raise SystemExit(BAD_INPUT) from error
