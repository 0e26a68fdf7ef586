"""`python -m triage.train`: learns from the tickets in TRIAGE_DATA and puts the model into TRIAGE_STORE."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from triage import artifacts, learn, measure, result, tickets
from triage.errors import TriageError
from triage.result import Result, decimal
from triage.settings import Settings
from triage.tickets import Ticket

KINDS: Final = ("Accuracy", "Capability", "Security", "Behaviour")
PROVIDER: Final = "in-house"
NAME: Final = "ticket-triage"


def job(settings: Settings) -> tuple[Result, bool]:
    """Trains, validates, stores. The validation tells how well the labels were learned, not whether they are right."""
    folders = settings.folders("TRIAGE_DATA", "folders with *.jsonl files of tickets, `:` between them")
    store = Path(settings.needed("TRIAGE_STORE", "the directory that keeps models, such as a mounted volume"))
    seed = settings.integer("TRIAGE_SEED", 0, 2**32 - 1)
    found = tickets.read(folders)
    fitting, validation = learn.split(found, seed)
    training = {"tickets": str(len(fitting)), "seed": str(seed), "data": f"sha256:{_digest(found)}"}
    artifact = artifacts.save(learn.export(learn.fit(fitting, seed), training), store)
    seen = measure.outcome(artifact.model, validation)
    kind, change = _kind(settings, artifact.model.queues)
    how = f"Learned from {len(fitting)} tickets, validated on {len(validation)} others of the same data."
    content: Result = {
        "artifact": artifact.uri,
        "model": {"provider": PROVIDER, "name": NAME, "version": artifact.version},
        "metrics": {
            "validation-accuracy": decimal(seen.accuracy),
            "validation-macro-f1": decimal(seen.macro_f1),
            "tickets": str(len(found)),
            "queues": str(len(artifact.model.queues)),
            "terms": str(len(artifact.model.terms)),
        },
        "kind": kind,
        "notes": f"{how} {change}",
    }
    if image := settings.text("TRIAGE_IMAGE"):
        content["image"] = image
    return content, True


def _digest(found: Sequence[Ticket]) -> str:
    """SHA-256 of what was learned from: the texts and labels, in order."""
    lines = (f"{ticket.queue}\0{ticket.text}\n".encode("utf-8", "surrogatepass") for ticket in found)
    return hashlib.sha256(b"".join(lines)).hexdigest()


def _kind(settings: Settings, queues: Sequence[str]) -> tuple[str, str]:
    """What sort of change it is: another set of queues than the stable model's is a Capability, all else Accuracy."""
    told, stable = settings.text("TRIAGE_KIND"), settings.stable()
    if told and told not in KINDS:
        raise TriageError(f"TRIAGE_KIND is {told!r}, and must be one of {', '.join(KINDS)}")
    if not stable:
        return told or KINDS[0], "No stable model to compare with."
    before = set(artifacts.load(stable).model.queues)
    new, gone = sorted(set(queues) - before), sorted(before - set(queues))
    changes = [f"{word} {', '.join(names)}" for word, names in (("New queues:", new), ("Dropped:", gone)) if names]
    return told or KINDS[bool(changes)], ". ".join(changes) or "Same queues as the stable model."


if __name__ == "__main__":
    sys.exit(result.run(job))
