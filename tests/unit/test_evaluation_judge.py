"""Queries with names put in, and single numbers held against their bounds."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation import numbers
from aiagent_operator.core.evaluation.judge import judge
from aiagent_operator.core.evaluation.query import Names, QueryError, asked


def metric(**fields: Any) -> Metric:
    return Metric.model_validate({"name": "accuracy", **fields})


# Queries --------------------------------------------------------------------------------------------------------------

NAMES = Names("triage", "crm", 4, 3)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("x{r={{revision}}}", 'x{r="4"}'),
        ("x{r={{stableRevision}},n={{namespace}}}", 'x{r="3",n="crm"}'),
        ('x{pod=~"{{agent}}-{{revision}}-.*"}', 'x{pod=~"triage-4-.*"}'),
        ("x{r='{{revision}}'}", "x{r='4'}"),
        ("x{r=`{{revision}}`}", "x{r=`4`}"),
        (r'x{a="\"{{agent}}",b={{agent}}}', r'x{a="\"triage",b="triage"}'),
        (r"x{a=`\`,b={{agent}}}", r'x{a=`\`,b="triage"}'),
        ("x # it's {{agent}}\n+ y{a={{agent}}}", 'x # it\'s triage\n+ y{a="triage"}'),
        ('x{a="#"} + y{a={{agent}}}', 'x{a="#"} + y{a="triage"}'),
        ("up", "up"),
    ],
)
def test_placeholders(query: str, found: str) -> None:
    assert asked(query, NAMES) == found


def test_the_stable_revision_takes_the_place_of_the_evaluated_one() -> None:
    assert asked("x{r={{revision}}}", NAMES.of_stable) == 'x{r="3"}'
    with pytest.raises(QueryError, match="there is no stable revision to ask about"):
        Names("triage", "crm", 4).of_stable  # noqa: B018


@pytest.mark.parametrize("query", ["{{nope}}", '"{{ agent }}"', "{{}}", "{{agent\n}}"])
def test_other_placeholders_are_refused(query: str) -> None:
    with pytest.raises(QueryError, match=r"only \{\{revision\}\}, .* are replaced"):
        asked(query, NAMES)


def test_without_a_stable_revision_it_cannot_be_named() -> None:
    with pytest.raises(QueryError, match="there is no stable revision yet"):
        asked("{{stableRevision}}", Names("triage", "crm", 4))


HOSTILE = ['x"} or vector(1) #', "x\\", "a\nb", "x`", "", "A", "x.y", "x" * 64, "a\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_end_a_string_is_never_put_in(name: str) -> None:
    with pytest.raises(QueryError, match=r"agent .* is not a DNS label"):
        Names(name, "crm", 4)
    with pytest.raises(QueryError, match=r"namespace .* is not a DNS label"):
        Names("triage", name, 4)
    with pytest.raises(QueryError, match=r"revision .* is not a whole number"):
        Names("triage", "crm", name)  # type: ignore[arg-type]


@given(st.text(alphabet=" \"'`\\#{}ab=~,\n", max_size=30))
def test_a_query_without_placeholders_stays_as_it_is(query: str) -> None:
    if "{{" not in query:
        assert asked(query, NAMES) == query


# Judging --------------------------------------------------------------------------------------------------------------

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)
ANY = st.decimals(allow_nan=True, allow_infinity=True) | AMOUNTS
DIFFERENCES = AMOUNTS.map(abs)


def text(value: Decimal) -> str:
    return f"{value:f}"


@given(AMOUNTS, AMOUNTS, AMOUNTS, DIFFERENCES, DIFFERENCES)
def test_finite_values_are_judged_exactly(
    value: Decimal, stable: Decimal, bound: Decimal, fall: Decimal, rise: Decimal
) -> None:
    found = judge(metric(min=text(bound), maxDecrease=text(fall), maxIncrease=text(rise)), value, stable)
    change = Fraction(value) - Fraction(stable)
    good = value >= bound and -Fraction(fall) <= change <= Fraction(rise)
    assert (found.phase is Phase.SUCCESSFUL) == good
    assert (found.phase is Phase.FAILED) == (not good)


def test_a_difference_of_the_last_digit_counts() -> None:
    strict = metric(maxDecrease="0")
    stable = Decimal("1000000000000000000000000000000.000000000000000000000000000001")
    assert judge(strict, stable, stable).phase is Phase.SUCCESSFUL
    assert judge(strict, Decimal(1000000000000000000000000000000), stable).phase is Phase.FAILED
    assert judge(metric(maxIncrease="0.1"), Decimal("0.3"), Decimal("0.2")).phase is Phase.SUCCESSFUL


@given(ANY, st.none() | ANY, AMOUNTS, DIFFERENCES, DIFFERENCES)
def test_a_looser_bound_never_fails_what_a_stricter_one_took(
    value: Decimal, stable: Decimal | None, bound: Decimal, fall: Decimal, slack: Decimal
) -> None:
    strict = judge(metric(min=text(bound), maxDecrease=text(fall)), value, stable)
    loose = judge(metric(min=text(bound - slack), maxDecrease=text(fall + slack)), value, stable)
    if strict.phase is Phase.SUCCESSFUL:
        assert loose.phase is Phase.SUCCESSFUL
    if loose.phase is Phase.FAILED and not value.is_infinite():
        assert strict.phase is Phase.FAILED


@given(ANY, st.none() | ANY, st.booleans())
def test_what_is_not_finite_never_passes(value: Decimal, stable: Decimal | None, against: bool) -> None:
    bounds = {"maxDecrease": "1"} if against else {"min": "-1000000000"}
    found = judge(metric(**bounds), value, stable)
    if not value.is_finite() or (against and stable is not None and not stable.is_finite()):
        assert found.phase in {Phase.FAILED, Phase.INCONCLUSIVE}
    assert found.phase in {Phase.FAILED, Phase.INCONCLUSIVE, Phase.SUCCESSFUL}


@given(AMOUNTS, AMOUNTS)
def test_without_a_stable_revision_only_absolute_bounds_count(value: Decimal, bound: Decimal) -> None:
    both = judge(metric(max=text(bound), maxIncrease="0"), value)
    assert both.phase is judge(metric(max=text(bound)), value).phase


@given(st.floats())
def test_numbers_are_written_so_that_a_status_holds_them(value: float) -> None:
    found = numbers.written(Decimal(value))
    assert len(found) <= numbers.LONGEST
    back = numbers.of_prometheus(found)
    assert back is not None
    assert back.is_nan() if value != value else float(back) == pytest.approx(value, rel=1e-15)  # noqa: PLR0124
