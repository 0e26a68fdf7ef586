"""The examples of docs/cadence.md are what the code does."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiagent_operator.core.cadence import crontab, spec, spread, zones
from aiagent_operator.core.cadence.backoff import Backoff
from aiagent_operator.core.cadence.due import Due, Held, History, NotYet, decide
from aiagent_operator.core.cadence.schedule import Cron
from aiagent_operator.core.cadence.windows import PolicyWindows
from support.documents import ROOT, blocks, objects, table

PAGE = ROOT / "docs" / "cadence.md"
MORE = "and so on"


CHANGES = table(PAGE, "schedule")
YEAR_END = table(PAGE, "at (UTC)")


@pytest.mark.parametrize(("schedule", "zone", "day", "runs"), CHANGES)
def test_examples_of_changes_of_clocks(schedule: str, zone: str, day: str, runs: str) -> None:
    where = zones.zone(zone, "timeZone")
    cron = Cron(crontab.parse(schedule, "schedule"), where)
    found, at = [], datetime.fromisoformat(day).replace(tzinfo=where).astimezone(UTC) - timedelta(seconds=1)
    while (at := cron.next_after(at) or at).astimezone(where).date().isoformat() == day:
        found.append(f"{at.astimezone(where):%H:%M%z}")
    expected = runs.split(", ")
    if expected[-1] == MORE:
        expected.pop()
        assert len(found) > len(expected)
        found = found[: len(expected)]
    assert found == ([] if runs == "never" else expected)


def test_there_are_examples() -> None:
    assert len(CHANGES) >= 10
    assert len(YEAR_END) >= 8


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("at", "start", "promise"), YEAR_END)
def test_the_agent_through_the_turn_of_the_year(at: str, start: str, promise: str) -> None:
    example: dict[str, Any] = objects(blocks(PAGE, "yaml")[0])[0]
    names = {"timeZone": "time_zone", "maxAge": "max_age"}
    cadence = spec.cadence(**{names.get(key, key): value for key, value in example["retraining"].items()})
    windows = [
        spec.window(**{names.get(key, key): value for key, value in window.items()}, field=f"windows[{window['name']}]")
        for window in example["windows"]
    ]
    uid = re.findall(r"Its UID is `([0-9a-f-]+)`", PAGE.read_text())[0]
    assert spread.offset(uid, timedelta(hours=2)) == timedelta(hours=1, minutes=3, seconds=3)
    history = History(created=_moment("2026-01-01 00:00"), last_success=_moment("2026-12-07 02:30"))
    found = decide(cadence, history, uid, [PolicyWindows("corp", tuple(windows))], _moment(at))
    kind, _, moment = start.partition(": ")
    assert type(found.start).__name__ == kind
    if isinstance(found.start, NotYet):
        assert found.start.next == _moment(moment)
    elif isinstance(found.start, Held):
        assert found.start.until == _moment(moment)
    else:
        assert found.start == Due(_moment("2026-12-14 01:00"), _moment("2026-12-17 02:30"))
    assert type(found.promise).__name__ == promise
    trained = History(history.created, last_success=_moment("2027-01-05 01:00"))
    following = decide(cadence, trained, uid, (), _moment("2027-01-05 01:00")).start
    assert isinstance(following, NotYet)
    assert following.planned == _moment("2027-01-11 01:00")


def test_pauses_after_failures_are_those_of_the_page() -> None:
    assert "after 10 minutes, then 20, 40, and so on up to 6 hours" in PAGE.read_text()
    pauses = [Backoff().delay(failed) // timedelta(minutes=1) for failed in (1, 2, 3, 100)]
    assert pauses == [10, 20, 40, 360]
