"""What waited for a person when an agent began to leave, and nobody has answered.

It follows from what stands in the status and in records, which say the same until the archive is sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.drift import DriftState
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.versions import revisions

MOST: Final = 64
"""Of one agent; of more, the first ones."""

Entry = Mapping[str, Any]

# Revisions about which something is to be decided still.
_OPEN: Final = (RevisionState.TRAINING, RevisionState.CANDIDATE, RevisionState.ROLLING_OUT)
_OWN_ENTRIES: Final = (Purpose.REVIEW, Purpose.BIAS_AUDIT)
_PERSON: Final = "Person"


def waiting(o: Observed) -> tuple[Entry, ...]:
    """What waits for a person, each with its kind."""
    return tuple(entry for part in (_findings, _verdicts, _rollout, _drift, _orders) for entry in part(o))[:MOST]


def lines(entries: Iterable[Entry]) -> bytes:
    """`escalations.jsonl`: one a line."""
    return b"".join(orjson.dumps(each, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE) for each in entries)


def _findings(o: Observed) -> Iterator[Entry]:
    """What reviews and bias audits have found, and nobody has decided about."""
    for review in o.agent.status.get("reviews") or ():
        finding = review.get("finding")
        if finding and not finding.get("releasedBy"):
            yield {"kind": review["purpose"], "name": review["name"], **finding}


def _verdicts(o: Observed) -> Iterator[Entry]:
    """Evaluations that could not tell, of work that does not serve yet."""
    known = [revisions.facts(child) for child in o.of(ChildKind.AGENT_REVISION)]
    undecided = {its.number: {name for name, _ in its.overruled} for its in known if its.state in _OPEN}
    for child in sorted(o.of(ChildKind.AGENT_EVALUATION), key=lambda child: child.key.name):
        run = child.evaluation
        if run is None or run.phase is not Phase.INCONCLUSIVE or run.purpose in _OWN_ENTRIES or run.released:
            continue
        if run.revision in undecided and run.name not in undecided[run.revision]:
            what = {"evaluation": child.key.name, "name": run.name, "revision": run.revision}
            yield {"kind": "Evaluation", **what, "phase": run.phase.value, "message": run.message}


def _rollout(o: Observed) -> Iterator[Entry]:
    """A rollout that stands until a person lets it go on, or back."""
    found = o.agent.status.get("rollout") or {}
    if found.get("revision") and found.get("waitsFor") == _PERSON:
        said = {"pausedFor": found.get("pausedFor"), "step": found.get("step", 0), "message": found.get("reason", "")}
        yield {"kind": "Rollout", "revision": found["revision"], **said}


def _drift(o: Observed) -> Iterator[Entry]:
    """Drift that no training has ended."""
    found = o.agent.status.get("drift") or {}
    if found.get("state") == DriftState.DRIFTING:
        yield {"kind": "Drift", "since": found.get("since"), "value": found.get("value")}


def _orders(o: Observed) -> Iterator[Entry]:
    """Orders that are not carried out, by their UIDs: they are in the archive themselves."""
    back = (o.rollback,) if o.rollback else ()
    for order in (*back, *o.retrains, *o.steering):
        yield {"kind": "Order", "order": order.uid}
