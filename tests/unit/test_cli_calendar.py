"""`kubectl aiagent calendar`: what it reads of agents and policies, and where it clusters."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.cli.agenda import Entry, Review, entry, openings, per_day, reviews
from aiagent_operator.cli.calendar import document, show
from aiagent_operator.core.policies.compiled import CompiledPolicy
from support.documents import ROOT, blocks

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def agent(**training: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "support", "name": "triage"}, "status": {"training": training}}


def windows(*given_windows: dict[str, str]) -> Any:
    spec = {"description": "x", "selector": {}, "windows": list(given_windows)}
    return CompiledPolicy.of("nightly", spec).windows


def test_an_agent_without_a_plan_is_not_in_it() -> None:
    assert entry(agent()) is None
    assert entry({"metadata": {"namespace": "support", "name": "triage"}}) is None


def test_what_an_agent_waits_for_is_read() -> None:
    found = entry(
        agent(
            due="2026-03-02T02:00:00Z",
            waitsFor={"reason": "Window", "message": "x", "until": "2026-03-02T22:00:00Z"},
            policies=["nightly"],
            triggeredBy=[{"trigger": "Drift", "since": "2026-03-02T02:00:00Z", "message": "x"}],
        )
    )
    assert found is not None
    assert (found.waits, found.policies, found.triggers) == ("Window", ("nightly",), ("Drift",))
    assert found.starts == datetime(2026, 3, 2, 22, tzinfo=UTC)
    assert document([found], [], [])["agents"] == [
        {
            "namespace": "support",
            "name": "triage",
            "due": "2026-03-02T02:00:00Z",
            "triggeredBy": ["Drift"],
            "waitsFor": "Window",
            "until": "2026-03-02T22:00:00Z",
            "policies": ["nightly"],
        }
    ]


def test_reviews_are_read_as_the_status_has_them() -> None:
    status = {
        "reviews": [
            {
                "name": "live",
                "purpose": "Review",
                "nextScheduleTime": "2026-03-03T02:00:00Z",
                "active": "triage-1-live",
            },
            {"name": "by-region", "purpose": "BiasAudit", "last": {"phase": "Error"}},
            {"name": "by-age", "purpose": "BiasAudit", "last": {"phase": "Successful"}, "finding": {"phase": "Failed"}},
        ]
    }
    found = list(reviews({"metadata": {"namespace": "support", "name": "triage"}, "status": status}))
    assert [each.state for each in found] == ["runs", "Error", "Finding"]
    assert per_day([], found, NOW) == [("2026-03-03", 0, 1)]
    assert document([], found[:1], [])["reviews"] == [
        {
            "namespace": "support",
            "agent": "triage",
            "name": "live",
            "purpose": "Review",
            "starts": "2026-03-03T02:00:00Z",
            "active": True,
        }
    ]
    assert list(reviews(agent())) == []


def test_who_trains_is_no_load_to_come() -> None:
    found = entry(agent(due="2026-03-02T02:00:00Z", current={"revision": 7, "message": "runs"}))
    assert found is not None
    assert found.trains == 7
    assert per_day([found], [], NOW) == []


def test_windows_from_the_one_that_holds_now_on() -> None:
    nights = {"name": "nights", "kind": "Allow", "schedule": "0 10 * * *", "duration": "6h"}
    found = list(openings(windows(nights), NOW, NOW + timedelta(days=2)))
    assert [(each.begins.day, each.begins.hour, each.ends.hour) for each in found] == [
        (2, 10, 16),
        (3, 10, 16),
        (4, 10, 16),
    ]
    assert {(each.policy, each.window, each.kind) for each in found} == {("nightly", "nights", "Allow")}


def test_a_window_without_end_of_openings_is_cut() -> None:
    often = {"name": "often", "kind": "Freeze", "schedule": "* * * * *", "duration": "1m"}
    assert len(list(openings(windows(often), NOW, NOW + timedelta(days=366)))) == 8


def test_the_page_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime(2026, 11, 21, 22, 5, tzinfo=UTC)
    nights = {"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "6h"}
    entries = [
        Entry(
            "helpdesk",
            "sorting",
            now - timedelta(days=2),
            "Slot",
            policies=("nightly",),
            triggers=("KnowledgeChange",),
        ),
        Entry("helpdesk", "triage", now - timedelta(minutes=5), trains=7, policies=("nightly",)),
        *(
            Entry("helpdesk", name, now + timedelta(days=2, hours=4), "NotDue", now + by, policies=("nightly",))
            for name, by in (("writing", timedelta(days=2, hours=24)), ("answers", timedelta(days=2, hours=25)))
        ),
    ]
    shown = list(openings(windows(nights), now, now + timedelta(days=2)))
    planned = [
        Review("helpdesk", "triage", "by-region", "BiasAudit", now + timedelta(days=10), last="Finding"),
        Review("helpdesk", "triage", "wrong-queue", "Review", now + timedelta(minutes=55), active=True),
    ]
    show(entries, planned, shown, (3, 1), now, namespaced=False)
    (page,) = [block.text for block in blocks(ROOT / "docs" / "cli.md", "text") if block.text.startswith("AGENT ")]
    assert capsys.readouterr().out == page


@given(st.lists(st.integers(-10_000, 10_000), max_size=30))
def test_every_agent_is_counted_on_one_day_not_before_today(hours: list[int]) -> None:
    entries = [Entry("a", str(index), NOW + timedelta(hours=by)) for index, by in enumerate(hours)]
    days = per_day(entries, [], NOW)
    assert sum(number for _, number, _ in days) == len(hours)
    assert [day for day, _, _ in days] == sorted(day for day, _, _ in days)
    assert all(day >= "2026-03-02" for day, _, _ in days)
