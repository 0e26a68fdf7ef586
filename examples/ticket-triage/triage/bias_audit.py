"""`python -m triage.bias_audit`: does the model treat groups of customers alike?

The groups are those of one attribute of the held-out tickets (TRIAGE_GROUP_BY). Fairlearn's measures are for yes or no,
and queues are many, so each queue is asked for by itself, against all others, and the largest difference counts:

    demographic-parity-difference   how much likelier one group is to be sent to a queue than another
    equalized-odds-difference       the same among tickets that belong there, and among those that do not
    accuracy-difference             how much more often one group's tickets are assigned rightly
    escalation-difference           how much more often one group waits for a human

Demographic parity asks for a set in which the queues are spread alike over the groups, as in ours.
Sources: Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning", 2016; Fairlearn's user guide,
"Assessment".
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from sklearn.metrics import accuracy_score

from triage import measure, result, tickets
from triage.errors import TriageError
from triage.measure import Outcome
from triage.result import Result, decimal
from triage.settings import Settings
from triage.tickets import Ticket

SMALLEST = 30
"""Tickets that a group needs at least: below, a rate says more of chance than of the model."""


def job(settings: Settings) -> tuple[Result, bool]:
    """The audit of one model over one attribute."""
    required = measure.requirements(settings.text("TRIAGE_REQUIRE"))
    threshold = settings.number("TRIAGE_CONFIDENCE_THRESHOLD", 0, 1)
    attribute = settings.text("TRIAGE_GROUP_BY")
    candidate = settings.artifact()
    heldout = tickets.read(settings.folders("TRIAGE_HELDOUT", "folders with tickets that no training has seen"))
    groups = _groups(heldout, attribute)
    seen = measure.outcome(candidate.model, heldout)
    values, worst = differences(seen, groups, threshold)
    failures = measure.unmet(required, values)
    notes = [f"Model {candidate.version} on {len(heldout)} held-out tickets by {attribute}. {worst}"]
    notes += [f"Not met: {failure}." for failure in failures]
    content: Result = {
        "measurements": [{"name": name, "value": decimal(value)} for name, value in values.items()],
        "groups": rates(seen, groups, threshold),
        "notes": " ".join(notes),
    }
    return content, not failures


def differences(seen: Outcome, groups: list[str], threshold: float) -> tuple[dict[str, float], str]:
    """The measures, and a sentence on where the largest difference of odds is."""
    right, given = np.array(seen.right), np.array(seen.given)
    parity, odds = {}, {}
    for queue in sorted(set(seen.right)):
        asked, answered = right == queue, given == queue
        parity[queue] = float(demographic_parity_difference(asked, answered, sensitive_features=groups))
        odds[queue] = float(equalized_odds_difference(asked, answered, sensitive_features=groups))
    frame = _frame(seen, groups, threshold)
    worst = max(odds, key=odds.__getitem__)
    values = {
        "demographic-parity-difference": max(parity.values()),
        "equalized-odds-difference": odds[worst],
        "accuracy-difference": float(frame["accuracy"].difference()),
        "escalation-difference": float(frame["escalation"].difference()),
    }
    values["maximal-difference"] = max(values.values())
    return values, f"The odds differ most for queue {worst}."


def rates(seen: Outcome, groups: list[str], threshold: float) -> list[dict[str, str]]:
    """For each group: tickets, accuracy, escalation rate."""
    frames, sizes = _frame(seen, groups, threshold), Counter(groups)
    return [
        {
            "name": group,
            "tickets": str(sizes[group]),
            "accuracy": decimal(frames["accuracy"].by_group[group]),
            "escalation-rate": decimal(frames["escalation"].by_group[group]),
        }
        for group in sorted(sizes)
    ]


def _frame(seen: Outcome, groups: list[str], threshold: float) -> dict[str, MetricFrame]:
    unsure = ~np.array(seen.sure(threshold))
    return {
        "accuracy": MetricFrame(
            metrics=accuracy_score, y_true=seen.right, y_pred=seen.given, sensitive_features=groups
        ),
        "escalation": MetricFrame(
            metrics=lambda _, unsure: float(np.mean(unsure)), y_true=unsure, y_pred=unsure, sensitive_features=groups
        ),
    }


def _groups(heldout: list[Ticket], attribute: str) -> list[str]:
    """The group of each ticket. TriageError where one has none, where there is one group only, or a very small one."""
    groups = [ticket.attributes.get(attribute, "") for ticket in heldout]
    if "" in groups:
        known = ", ".join(sorted(heldout[groups.index("")].attributes)) or "none"
        lacking = groups.count("")
        raise TriageError(f"TRIAGE_GROUP_BY is {attribute!r}, and {lacking} tickets do not have it; theirs: {known}")
    sizes = Counter(groups)
    small = {group: size for group, size in sorted(sizes.items()) if size < SMALLEST}
    if len(sizes) < 2 or small:
        listed = ", ".join(f"{group} has {size}" for group, size in sorted(sizes.items())[:10])
        raise TriageError(
            f"TRIAGE_GROUP_BY {attribute!r}: two or more groups of {SMALLEST} tickets are needed; {listed}"
        )
    return groups


if __name__ == "__main__":
    sys.exit(result.run(job))
