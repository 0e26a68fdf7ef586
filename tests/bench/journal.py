"""How fast a journal is verified, beside only reading and hashing the same bytes; each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from aiagent_operator.core.journal.chain import verify
from aiagent_operator.core.journal.event import Event, seal
from aiagent_operator.core.journal.head import START, Head
from aiagent_operator.core.journal.keyed import Keyed
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.lines import entries
from aiagent_operator.core.objects import AgentIdentity
from bench.stats import Figure, Run
from bench.watcher import say

RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))

_AGENT = AgentIdentity("crm", "triage", "2f1c4b0e-7c1d-4b7a-9f63-0d1a2b3c4d5e")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_KEYED = Keyed(b"the key of a measure, of 32 bytes")


class Outcome(NamedTuple):
    """What one process took: seconds of the clock, and MB of memory at its peak."""

    seconds: float
    memory: float


def verified(runs: int, *, count: int = RECORDS) -> Figure:
    """Figure journal_verify_1m. Raises AssertionError where the journal is not found whole."""
    measured: list[Run] = []
    peaks: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="aiagent-journal-") as folder:
        path = Path(folder) / "journal.jsonl"
        say(f"journal_verify_1m: writing {count} records")
        head = _write(path, count)
        size = path.stat().st_size
        _measured("hash", path, head)  # the file is in the kernel's cache for both
        for number in range(runs):
            say(f"journal_verify_1m: run {number + 1} of {runs}")
            hashing, verifying = _measured("hash", path, head), _measured("verify", path, head)
            measured.append(Run(verifying.seconds, hashing.seconds))
            peaks.append((verifying.memory, hashing.memory))
    return Figure(
        "journal_verify_1m",
        "s",
        "reading the same file line by line and hashing each, in a process of its own",
        tuple(measured),
        {
            "records": count,
            "mb": round(size / 1e6, 1),
            "peak_mb of verifying": [round(peak, 1) for peak, _ in peaks],
            "peak_mb of hashing": [round(peak, 1) for _, peak in peaks],
        },
    )


def _write(path: Path, count: int) -> Head:
    """A journal as agents have it: most records are of evaluations and trainings, some of rights and of orders."""
    head = START
    rules = [{"apiGroups": ["crm.example"], "resources": ["tickets", "refunds"], "verbs": ["get", "list", "create"]}]
    by = _KEYED.person("on-call@corp.example")
    with path.open("wb") as file:
        for number in range(1, count + 1):
            when = _BEGIN + timedelta(seconds=number)
            match number % 10:
                case 0:
                    data = {"permission": "read-tickets", "namespaces": ["crm"], "rules": rules}
                    event = Event(Kind.GRANTED, f"permission/read-tickets/{number}", when, data)
                case 1:
                    event = Event(Kind.SUSPENDED, f"order/{number}", when, {"by": by, "order": _AGENT.uid})
                case _:
                    measurements = [{"metric": "accuracy", "value": "0.9131", "stable": "0.9042"}]
                    what = {"evaluation": f"accuracy-{number}", "revision": number % 97, "phase": "Successful"}
                    event = Event(Kind.EVALUATED, f"evaluation/{number}", when, {**what, "measurements": measurements})
            raw, head = seal(_AGENT, head, event)
            file.write(raw + b"\n")
    return head


def _measured(what: str, path: Path, head: Head) -> Outcome:
    command = [sys.executable, "-m", "bench.journal", what, str(path), str(head.sequence), head.digest]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Outcome(found["seconds"], found["memory"])


def _hash(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            hashlib.sha256(line).hexdigest()


def _verify(path: Path, head: Head) -> None:
    with path.open("rb") as file:
        found = verify(entries(path.name, file.readline), _AGENT.uid, told=head)
    if found.flaw or found.head != head:
        raise AssertionError(f"{found.records} of {head.sequence} records are good: {found.flaw}")


def main() -> None:
    """One measurement, in a process that does nothing else."""
    what, path, sequence, digest = sys.argv[1:]
    began = time.perf_counter()
    if what == "hash":
        _hash(Path(path))
    else:
        _verify(Path(path), Head(int(sequence), digest))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "memory": peak}))


if __name__ == "__main__":
    main()
