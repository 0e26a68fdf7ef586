"""What waits for a person when an agent leaves: each kind, and nothing that is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core import escalations
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.objects import Child, EvaluationFacts
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder
from support.decisions import IDENTITY, observed
from unit.test_revisions import read

FINDING = {"evaluation": "triage-1-bias", "revision": 1, "phase": "Failed", "message": "one group is worse off"}
REVIEW: dict[str, Any] = {"name": "bias", "purpose": "BiasAudit", "finding": FINDING}


def run(phase: Phase = Phase.INCONCLUSIVE, purpose: Purpose = Purpose.PROMOTION, revision: int = 2) -> Child:
    its = EvaluationFacts(revision, "live", purpose, Provider.PROMETHEUS, phase, "it said NaN")
    key = evaluation.key_of(IDENTITY, revision, "live")
    return Child(key, "uid-run", "1", IDENTITY.uid, "", evaluation=its)


def candidate(state: RevisionState = RevisionState.CANDIDATE, **facts: Any) -> Child:
    (known,) = read("2:B Candidate")
    assert known.revision is not None
    return replace(known, revision=replace(known.revision, state=state, **facts))


def kinds(*children: Child, **facts: Any) -> list[str]:
    return [entry["kind"] for entry in escalations.waiting(observed(children=children, **facts))]


def test_an_agent_of_which_nothing_is_to_be_decided_has_none() -> None:
    assert kinds() == []
    assert escalations.lines(()) == b""


def test_a_finding_that_nobody_has_released_waits() -> None:
    released = {**REVIEW, "finding": {**FINDING, "releasedBy": "AgentAction go by jane"}}
    status = {"reviews": [REVIEW, released, {"name": "monthly", "purpose": "Review"}]}
    (entry,) = escalations.waiting(observed(status=status))
    assert entry == {"kind": "BiasAudit", "name": "bias", **FINDING}


def test_an_evaluation_that_could_not_tell_waits_while_its_revision_is_undecided() -> None:
    (entry,) = escalations.waiting(observed(children=[candidate(), run()]))
    assert (entry["kind"], entry["evaluation"], entry["message"]) == ("Evaluation", run().key.name, "it said NaN")
    assert kinds(candidate(RevisionState.ROLLING_OUT), run()) == ["Evaluation"]
    assert kinds(candidate(RevisionState.REJECTED), run()) == []
    assert kinds(candidate(overruled=(("live", "uid-order"),)), run()) == [], "a person has passed over it"
    assert kinds(candidate(), run(Phase.FAILED)) == []
    assert kinds(candidate(), run(purpose=Purpose.REVIEW)) == [], "the status tells of reviews"
    assert kinds(run()) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"rollout": {"revision": 2, "waitsFor": "Person", "pausedFor": "Step"}}, ["Rollout"]),
        ({"rollout": {"revision": 2, "waitsFor": "Time"}}, []),
        ({"rollout": {"waitsFor": "Person"}}, []),
        ({"drift": {"state": "Drifting", "since": "2026-11-22T10:00:00Z"}}, ["Drift"]),
        ({"drift": {"state": "Crossed"}}, []),
    ],
)
def test_what_the_status_says(status: dict[str, Any], expected: list[str]) -> None:
    assert kinds(status=status) == expected


def test_orders_that_are_not_carried_out_are_named() -> None:
    o = observed(
        rollback=RollbackOrder("back", "u1", "AgentAction back by jane"),
        retrains=(RetrainOrder("again", "u2", "2026-11-22T10:00:00Z", "2026-11-23T10:00:00Z"),),
        steering=(RolloutOrder("u3", OrderKind.PROMOTE, "AgentAction go by jane"),),
    )
    data = escalations.lines(escalations.waiting(o))
    assert [orjson.loads(line) for line in data.splitlines()] == [
        {"kind": "Order", "order": uid} for uid in ("u1", "u2", "u3")
    ]
    assert b"jane" not in data


def test_there_are_not_too_many() -> None:
    status = {"reviews": [{**REVIEW, "name": f"r{n}"} for n in range(escalations.MOST + 1)]}
    assert len(escalations.waiting(observed(status=status))) == escalations.MOST
