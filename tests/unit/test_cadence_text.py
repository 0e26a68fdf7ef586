"""What users write: durations, schedules, zones, windows; each mistake is named with its remedy."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiagent_operator.api import durations
from aiagent_operator.core.cadence import crontab, spec, zones
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.cadence.schedule import Cron, Every
from aiagent_operator.core.cadence.windows import Kind

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("720h", 2_592_000),
        ("1h30m", 5400),
        ("90s", 90),
        ("1.5h", 5400),
        (".5m", 30),
        ("1.s", 1),
        ("30m1h", 5400),
        ("1h1h", 7200),
        ("1500ms", 1.5),
        ("7us", 0.000007),
        ("7µs", 0.000007),
        ("7μs", 0.000007),
        ("999ns", 0),
        # From the tests of Go's time package: the fraction goes through a float.
        ("0.3333333333333333333h", 1200),
        ("0.100000000000000000000h", 360),
        ("39h9m14.425s", 140_954.425),
    ],
)
def test_durations_are_those_of_go(text: str, seconds: float) -> None:
    assert durations.parse(text, "every") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("30", '"30" has no unit'),
        ("1h30", "has no unit"),
        ("-1h", "has a sign"),
        ("+1h", "has a sign"),
        ("30d", 'unknown unit "d": write hours, minutes and seconds, such as 720h, 1h30m or 90s, and a day as 24h'),
        ("1H", 'unknown unit "H"'),
        ("1h 30m", 'unknown unit "h "'),
        ("h", "is not a duration"),
        (".h", "is not a duration"),
        ("1..5h", "is not a duration"),
        ("٣h", "is not a duration"),
        ("87601h", "is too long: write at most 87600h"),
        ("9223372036854775808ns", "is too long"),
        ("1" * 40 + "h", "at most 32"),
        ("59s", "is too short: write at least 1m"),
    ],
)
def test_wrong_durations_are_named(text: str, says: str) -> None:
    with pytest.raises(durations.DurationError, match=r"^spec\.every") as error:
        durations.parse(text, "spec.every", least=timedelta(minutes=1))
    assert says in str(error.value)


@given(st.timedeltas(min_value=timedelta(), max_value=durations.LONGEST))
@example(durations.LONGEST)
@example(timedelta())
def test_durations_are_written_as_they_are_read(duration: timedelta) -> None:
    text = durations.format_duration(duration)
    # The fraction goes through a float and is cut: Go reads its own texts back with the same loss at most.
    assert abs(durations.parse(text, "every") - duration) <= timedelta(microseconds=1)
    assert re.fullmatch(durations.PATTERN, text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (30 * 24 * HOUR, "720h"),
        (1.5 * HOUR, "1h30m"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(), "0s"),
        (-HOUR, "-1h"),
    ],
)
def test_durations_have_one_canonical_text(duration: timedelta, text: str) -> None:
    assert durations.format_duration(duration) == text


_PIECES = st.sampled_from(["0", "1", "12", "720", ".", "h", "m", "s", "ms", "us", "ns", "µs", "-", "+", "d", " ", "٣"])


@given(st.lists(_PIECES, max_size=6).map("".join))
def test_the_pattern_of_crds_takes_what_is_read(text: str) -> None:
    if re.fullmatch(durations.PATTERN, text):
        assert durations.parse(text, "every", most=timedelta.max) >= timedelta()
    else:
        with pytest.raises(durations.DurationError):
            durations.parse(text, "every", most=timedelta.max)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("60 2 * * 1", 'minute "60" is not valid: write 0-59, *, or */n'),
        ("0 24 * * *", 'hour "24" is not valid'),
        ("0 2 0 * *", 'day of month "0" is not valid'),
        ("0 2 * 13 *", 'month "13" is not valid: write 1-12 or JAN-DEC'),
        ("0 2 * * 8", 'day of week "8" is not valid: write 0-7 or SUN-SAT'),
        ("0 2 * * FOO", 'day of week "FOO"'),
        ("*/0 2 * * *", 'minute "*/0"'),
        ("0-0/0 2 * * *", 'minute "0-0/0"'),
        ("0 5-3 * * *", 'hour "5-3"'),
        ("0 2 30 2 *", "never runs: there is no month 2 with a day 30"),
        ("0 2 31 4,6,9,11 *", "never runs"),
        ("0 2 */20 * 1L", "never runs"),
        ("0 2 * *", "has 4 fields: write five fields"),
        ("0 0 2 * * 1", "has 6 fields (there is none for seconds)"),
        ("", "has 0 fields"),
        ("@reboot", "is not one of @yearly"),
        ("@every 720h", "for intervals there is the field every"),
        ("CRON_TZ=UTC 0 2 * * 1", "the time zone has a field of its own, timeZone"),
        ("0 " * 100, "at most 128"),
    ],
)
def test_wrong_schedules_are_named(text: str, says: str) -> None:
    with pytest.raises(CadenceError, match=r"^spec\.schedule") as error:
        crontab.parse(text, "spec.schedule")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("@weekly", "0 0 * * 0"),
        (" @Daily ", "0 0 * * *"),
        ("0  2 * * mon", "0 2 * * MON"),
        # A range of one with steps ends where it ends, as in Debian.
        ("5-5/8,40 3-3/2 * * MON-1/2", "5,40 3 * * MON"),
        ("5/8 3-4/2 * * *", "5/8 3-4/2 * * *"),
    ],
)
def test_schedules_have_one_form(text: str, fields: str) -> None:
    assert crontab.parse(text, "schedule").text == fields


def _outcome(schedule: str) -> str:
    try:
        return crontab.parse(schedule, "schedule").text
    except CadenceError as error:
        return str(error)


@given(st.text(alphabet="0123456789*/-,#LW @?MONSUABC²٣\n", max_size=24), st.integers(0, 4))
def test_no_schedule_breaks_the_reader(text: str, place: int) -> None:
    parts = ["*"] * 5
    parts[place] = text
    for schedule in (text, " ".join(parts)):
        said = _outcome(schedule)
        assert said.startswith("schedule ") or len(said.split()) == 5


WRONG_ZONES = [
    "",
    "Mars/Olympus",
    "America",
    "europe/zurich",
    "../../etc/passwd",
    "/etc/localtime",
    "localtime",
    "Factory",
]
WRONG_ZONES += ["posixrules", "right/UTC", "posix/UTC", "UTC ", "a\0b", "tzdata.zi", "Zür/ich", "x" * 5000]


@pytest.mark.parametrize("name", WRONG_ZONES)
def test_wrong_zones_are_named(name: str) -> None:
    with pytest.raises(
        CadenceError, match=r"^spec\.timeZone .* is not a time zone: write a name of the IANA database"
    ) as error:
        zones.zone(name, "spec.timeZone")
    assert len(str(error.value)) < 300


def test_a_cadence_is_read() -> None:
    read = spec.cadence(
        schedule="0 2 * * 1",
        time_zone="Europe/Zurich",
        max_age="720h",
        grace="24h",
        spread="2h",
        longest_max_ages=["2160h", "500h"],
    )
    assert read.plan == Cron(crontab.parse("0 2 * * 1", ""), ZoneInfo("Europe/Zurich"))
    assert (read.max_age, read.grace, read.spread) == (500 * HOUR, 24 * HOUR, 2 * HOUR)
    assert spec.cadence(every="36h").plan == Every(36 * HOUR)
    assert spec.cadence().plan is None
    assert spec.cadence().max_age is None
    assert spec.cadence(longest_max_ages=["500h"]).max_age == 500 * HOUR


def test_all_mistakes_of_a_cadence_are_named_at_once() -> None:
    with pytest.raises(CadenceError) as error:
        spec.cadence(schedule="0 2 30 2 *", time_zone="Zurich", max_age="30d", grace="-1s", spread="x")
    named = re.findall(r"spec\.retraining\.(\w+)", str(error.value))
    assert named == ["schedule", "timeZone", "maxAge", "grace", "spread"]
    with pytest.raises(CadenceError, match="has both schedule and every: keep one of them"):
        spec.cadence(schedule="0 2 * * 1", every="720h")
    with pytest.raises(CadenceError, match=r"every \"0s\" is too short"):
        spec.cadence(every="0s")


def test_a_window_is_read_and_its_mistakes_are_named() -> None:
    field = "spec.windows[nights]"
    read = spec.window(name="nights", kind="Allow", schedule="0 22 * * *", duration="6h", field=field)
    assert (read.name, read.kind, read.duration) == ("nights", Kind.ALLOW, 6 * HOUR)
    with pytest.raises(CadenceError) as error:
        spec.window(name="nights", kind="Deny", schedule="0 25 * * *", duration="30s", time_zone="X", field=field)
    named = re.findall(r"spec\.windows\[nights\]\.(\w+)", str(error.value))
    assert named == ["kind", "schedule", "timeZone", "duration"]
