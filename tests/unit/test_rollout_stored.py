"""What is kept of a rollout comes back as it was, fits the schema, and a newer version's words do not begin it anew."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.rolloutstatus import MOST_ORDERS, MOST_RELEASED, PausedFor, RolloutProgress
from aiagent_operator.api.schema import structural
from aiagent_operator.core.rollout.decision import Carried, RolloutStatus, Waiting
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.rollout.stored import StoredRolloutError, dump, load
from support.rollouts import BEGIN, canary

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - UTC is drawn
KEYS = st.lists(st.text("abc: 3", min_size=1, max_size=20), max_size=3).map(tuple)
STATUSES = st.builds(
    RolloutStatus,
    course=st.text("0af", max_size=16),
    round=st.integers(0, 9),
    step=st.integers(0, 32),
    step_started_at=st.none() | MOMENTS,
    weight=st.integers(0, 100),
    waiting=st.none() | st.builds(Waiting, MOMENTS, st.integers(0, 9999), st.integers(0, 1000)),
    paused_for=st.none() | st.sampled_from(PausedFor),
    paused_by=KEYS,
    released=KEYS,
    full=st.booleans(),
    reason=st.text(max_size=20),
    aborted_at=st.none() | MOMENTS,
    suspended_at=st.none() | MOMENTS,
    orders=st.lists(
        st.builds(Carried, st.text("abc-1", min_size=1, max_size=36), st.booleans(), st.text(max_size=9)), max_size=3
    ).map(tuple),
)


@given(STATUSES)
def test_what_is_kept_comes_back(status: RolloutStatus) -> None:
    assert load(json.loads(json.dumps(dump(status)))) == status


def test_what_has_just_begun_takes_no_room() -> None:
    assert dump(RolloutStatus()) == {}
    assert load({}) == RolloutStatus()


def test_names_are_those_of_the_api() -> None:
    it = canary(healthy=False)
    it.settle()
    kept = dump(it.status)
    assert kept == {
        "stepsHash": it.status.course,
        "waiting": {"since": "2026-11-02T09:00:00.000000Z", "missing": 6, "replicas": 10},
    }
    properties = structural(RolloutProgress)["properties"]
    assert set(kept) <= set(properties)
    assert {"step", "stepStartedAt", "pausedFor", "abortedAt", "weight"} <= set(properties)
    assert all(re.fullmatch(r".+\.", node["description"], re.DOTALL) for node in properties.values())


def test_a_decision_about_what_was_read_back_is_the_same() -> None:
    it = canary(steps=[{"weight": 20}, {"pause": {"duration": "10m"}}, {"pause": {}}])
    for _ in range(60):
        before = it.settle()
        it.status = load(dump(it.status))
        assert it.decide() == before
        it.now += timedelta(seconds=37)


def test_a_pause_for_a_reason_of_a_newer_version_waits_for_a_person() -> None:
    assert load({"pausedFor": "Eclipse", "more": 1}).paused_for is PausedFor.FAILED


@pytest.mark.parametrize(
    "stored",
    [{"step": "three"}, {"abortedAt": "yesterday"}, {"abortedAt": "2026-11-02T09:00:00"}, {"waiting": {"since": 1}}],
)
def test_what_cannot_be_read_is_no_new_beginning(stored: dict[str, object]) -> None:
    with pytest.raises(StoredRolloutError, match="this version of the operator cannot read"):
        load(stored)


def test_moments_are_kept_in_utc() -> None:
    elsewhere = BEGIN.astimezone(timezone(timedelta(hours=5)))
    assert dump(RolloutStatus(aborted_at=elsewhere))["abortedAt"] == "2026-11-02T09:00:00.000000Z"


def test_lists_are_bounded_and_no_order_that_was_forgotten_acts_twice() -> None:
    many = tuple(f"analysis {number}" for number in range(2 * MOST_RELEASED))
    assert len(load(dump(RolloutStatus(released=many))).released) == MOST_RELEASED
    it = canary()
    for number in range(MOST_ORDERS + 9):
        it.order(OrderKind.PROMOTE, f"order-{number}")
    it.order(OrderKind.ABORT, "stop")
    status = load(dump(it.decide().status))
    assert len(status.orders) == MOST_ORDERS
    assert status.orders[0] == Carried("stop", True, "Deployment triage-5 is rolled back")
