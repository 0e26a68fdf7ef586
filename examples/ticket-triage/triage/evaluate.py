"""`python -m triage.evaluate`: measures the model in TRIAGE_ARTIFACT, beside that in TRIAGE_STABLE, on TRIAGE_HELDOUT.

The job ends well when it could measure; what is good enough is said elsewhere. Each measurement has the stable model's
beside it, taken from the same tickets; a stable model that cannot be read is left out, and the notes say so. With
TRIAGE_REQUIRE it says itself whether the model is good enough, by exit code 3, for use without a cluster.
"""

from __future__ import annotations

import sys

import numpy as np

from triage import artifacts, measure, result, tickets
from triage.errors import TriageError
from triage.measure import Outcome
from triage.model import Model
from triage.result import Result, decimal
from triage.settings import Settings
from triage.tickets import Ticket


def job(settings: Settings) -> tuple[Result, bool]:
    """All measurements of one candidate."""
    required = measure.requirements(settings.text("TRIAGE_REQUIRE"))
    threshold = settings.number("TRIAGE_CONFIDENCE_THRESHOLD", 0, 1)
    candidate = settings.artifact()
    heldout = tickets.read(settings.folders("TRIAGE_HELDOUT", "folders with tickets that no training has seen"))
    seen = measure.outcome(candidate.model, heldout)
    values = measurements(seen, threshold)
    notes = [f"Model {candidate.version} on {len(heldout)} held-out tickets, threshold {threshold:g}."]
    notes += _unknown(candidate.model, heldout)
    stable, said = _stable(settings.stable(), heldout, threshold)
    notes += said
    if stable:
        values["accuracy-delta"] = values["accuracy"] - stable["accuracy"]
        values["macro-f1-delta"] = values["macro-f1"] - stable["macro-f1"]
    failures = measure.unmet(required, values)
    notes += [f"Not met: {failure}." for failure in failures]
    listed = [
        {"name": name, "value": decimal(value)} | ({"stableValue": decimal(stable[name])} if name in stable else {})
        for name, value in values.items()
    ]
    return {"measurements": listed, "notes": " ".join(notes)}, not failures


def _stable(reference: str, heldout: list[Ticket], threshold: float) -> tuple[dict[str, float], list[str]]:
    """The same of the model that serves now, and what to say of it; nothing where there is none.

    A model of another time may be gone or unreadable. That says nothing against the candidate: what needs a comparison
    finds none, and whoever judges says so.
    """
    if not reference:
        return {}, []
    try:
        before = artifacts.load(reference)
    except TriageError as error:
        return {}, [f"The stable model cannot be measured: {error}."]
    other = measure.outcome(before.model, heldout)
    return measurements(other, threshold), [f"Stable model {before.version} has accuracy {decimal(other.accuracy)}."]


def measurements(seen: Outcome, threshold: float) -> dict[str, float]:
    """What is measured of one model. Escalation and the accuracy of what is decided alone belong to the threshold."""
    sure = np.array(seen.sure(threshold))
    agreed = np.array(seen.right) == np.array(seen.given)
    values = {
        "accuracy": seen.accuracy,
        "macro-f1": seen.macro_f1,
        "escalation-rate": float(1 - sure.mean()),
        "latency-p95-ms": seen.latency(95),
    }
    if sure.any():
        values["accuracy-decided"] = float(agreed[sure].mean())
    return values


def _unknown(model: Model, heldout: list[Ticket]) -> list[str]:
    """A set with none of the model's queues is the wrong set; a queue that the model does not know counts as missed."""
    missing = sorted({ticket.queue for ticket in heldout} - set(model.queues))
    if len(missing) == len({ticket.queue for ticket in heldout}):
        known = ", ".join(model.queues)
        raise TriageError(f"TRIAGE_HELDOUT has none of the model's queues ({known}): it is made for another model")
    return [f"The model does not know the queues {', '.join(missing)}."] if missing else []


if __name__ == "__main__":
    sys.exit(result.run(job))
