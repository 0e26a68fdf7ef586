"""What an agent held over time, against an account of it that goes from record to record."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.archive import held
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.record import Record
from aiagent_operator.core.rights.rules import Rule

RULE: dict[str, Any] = {"apiGroups": ["crm.example"], "resources": ["tickets"], "verbs": ["get"]}


def record(sequence: int, kind: Kind, **data: Any) -> Record:
    time = f"2026-11-22T10:00:{sequence:02d}.000Z"
    return Record(sequence, "", "uid", "source", kind.type, f"{sequence}", time, data, "")


def granted(sequence: int, permission: str, *verbs: str, part: int = 1, parts: int = 1) -> Record:
    rules = [{**RULE, "verbs": list(verbs)}]
    return record(
        sequence, Kind.GRANTED, permission=permission, namespaces=["crm"], rules=rules, part=part, parts=parts
    )


STEPS = st.one_of(
    st.tuples(st.just(Kind.GRANTED), st.sampled_from("abc"), st.sampled_from(["get", "list", "create"])),
    st.tuples(st.just(Kind.REVOKED), st.sampled_from("abc"), st.just("")),
    st.tuples(st.sampled_from([Kind.SUSPENDED, Kind.RESUMED, Kind.CREATED]), st.just(""), st.just("")),
)


def made(steps: Iterable[tuple[Kind, str, str]]) -> list[Record]:
    return [
        granted(number, name, verb)
        if kind is Kind.GRANTED
        else record(number, kind, **({"permission": name} if name else {}))
        for number, (kind, name, verb) in enumerate(steps, 1)
    ]


def in_force(records: Iterable[Record]) -> set[tuple[str, str]]:
    """(permission, verb) after the last of the records, told one by one."""
    has: dict[str, str] = {}
    suspended = False
    for each in records:
        if each.kind is Kind.GRANTED:
            has[each.data["permission"]] = each.data["rules"][0]["verbs"][0]
        elif each.kind is Kind.REVOKED:
            has.pop(each.data["permission"], None)
        elif each.kind in (Kind.SUSPENDED, Kind.RESUMED):
            suspended = each.kind is Kind.SUSPENDED
    return set() if suspended else set(has.items())


@given(st.lists(STEPS, max_size=30))
def test_at_each_record_the_intervals_are_what_was_in_force(steps: list[tuple[Kind, str, str]]) -> None:
    records = made(steps)
    intervals = held.over_time(records)
    for number in range(1, len(records) + 1):
        holding = [i for i in intervals if i.granted <= number and (i.ended is None or number < i.ended)]
        assert {(i.permission, i.rules[0]["verbs"][0]) for i in holding} == in_force(records[:number])
        assert len(holding) == len({i.permission for i in holding})


@given(st.lists(STEPS, max_size=30))
def test_after_the_end_nothing_is_in_force(steps: list[tuple[Kind, str, str]]) -> None:
    records = [*made(steps), record(len(steps) + 1, Kind.TERMINATED)]
    assert all(interval.until is not None for interval in held.over_time(records))


def test_a_permission_that_is_told_in_parts_is_one() -> None:
    parts = [granted(1, "big", "get", part=1, parts=2), granted(2, "big", "list", part=2, parts=2)]
    (interval,) = held.over_time([*parts, record(3, Kind.REVOKED, permission="big")])
    assert [rule["verbs"] for rule in interval.rules] == [["get"], ["list"]]
    assert (interval.granted, interval.ended) == (1, 3)


def test_rules_are_those_that_can_be_asked_about() -> None:
    told = {**RULE, "resourceNamesCount": 900, "resourceNamesDigest": "sha256:00"}
    cut = record(2, Kind.GRANTED, permission="many", namespaces=["crm"], rules=[told], part=1, parts=1)
    intervals = held.over_time([granted(1, "read", "get"), cut])
    assert held.rules(intervals) == (("crm", Rule.from_wire(RULE)),)


def test_lines_have_sorted_names() -> None:
    (interval,) = held.over_time([granted(1, "read", "get")])
    assert interval.line() == (
        b'{"ended":null,"from":"2026-11-22T10:00:01.000Z","granted":1,"namespaces":["crm"],"permission":"read",'
        b'"rules":[{"apiGroups":["crm.example"],"resources":["tickets"],"verbs":["get"]}],"until":null}\n'
    )
