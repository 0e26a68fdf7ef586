"""Which records are kept with the events that tell of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.recorded import orders, records
from aiagent_operator.core.objects import AgentIdentity, ChildKind, ObjectKey

AGENT = AgentIdentity("crm", "triage", "uid")
FIRST = ObjectKey(ChildKind.AGENT_REVISION, "crm", "triage-1")
JUDGED = ObjectKey(ChildKind.AGENT_EVALUATION, "crm", "triage-1-eval-held-out")


def event(kind: Kind, **data: Any) -> Event:
    return Event(kind, "1/cause", datetime(2026, 11, 22, tzinfo=UTC), data)


@pytest.mark.parametrize("kind", [Kind.REVISED, Kind.TRAINED, Kind.TRAINING_FAILED])
def test_a_revision_is_kept_once_it_is_what_it_will_be(kind: Kind) -> None:
    assert records(AGENT, [event(kind, revision=1)], ()) == {FIRST}
    assert records(AGENT, [event(kind, revision=1)], {1}) == frozenset()


@pytest.mark.parametrize("kind", [Kind.EVALUATED, Kind.REVIEWED])
def test_an_evaluation_is_kept_with_its_verdict(kind: Kind) -> None:
    assert records(AGENT, [event(kind, evaluation=JUDGED.name, revision=1)], ()) == {JUDGED}
    assert records(AGENT, [event(kind, evaluation=None)], ()) == frozenset()


def test_nothing_else_is() -> None:
    others = [
        event(kind, revision=1) for kind in Kind if kind not in (Kind.REVISED, Kind.TRAINED, Kind.TRAINING_FAILED)
    ]
    assert records(AGENT, others, ()) == frozenset()


def test_the_orders_are_those_that_events_name() -> None:
    told = [{"orders": ["u1", "u2"], "policies": ["p"]}, {"order": "u2"}, {"overruled": ["u3"], "revision": 2}, {}]
    assert orders(told) == ("u1", "u2", "u3")


def test_what_names_no_order_is_passed_over() -> None:
    assert orders([{"order": None}, {"order": 7}, {"orders": "u1"}, {"overruled": [None, {"uid": "u2"}, ""]}]) == ()
