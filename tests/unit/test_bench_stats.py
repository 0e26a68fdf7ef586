"""The arithmetic of the measures."""

import pytest

from bench.stats import Figure, Run, merged, percentile, table


def figure(*runs: Run, name: str = "speed", beside: dict[str, object] | None = None) -> Figure:
    return Figure(name, "1/s", "what is possible", runs, beside or {})


def test_percentile_is_the_nearest_rank() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert [percentile(values, share) for share in (0, 0.25, 0.26, 0.5, 0.99, 1)] == [10, 10, 20, 20, 40, 40]


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_percentile_refuses_what_has_none(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"percentile of no values|share must be"):
        percentile(values, share)


def test_each_run_is_compared_with_its_own_limit() -> None:
    # The medians alone would say 20 / 50; the ratios of the runs are 0.5, 0.2 and 0.6.
    measured = figure(Run(10, 20), Run(20, 100), Run(30, 50))
    assert (measured.value, measured.limit, measured.ratio) == (20, 50, 0.5)
    assert measured.spread == (0.2, 0.6)


def test_without_a_limit_the_spread_is_that_of_the_values() -> None:
    measured = figure(Run(3), Run(1), Run(2))
    assert (measured.value, measured.limit, measured.ratio, measured.spread) == (2, None, None, (1, 3))


def test_a_limit_of_nothing_gives_no_ratio() -> None:
    assert Run(1, 0).ratio is None


def test_a_figure_needs_runs_and_the_same_kind_of_runs() -> None:
    with pytest.raises(ValueError, match="speed has no runs"):
        figure()
    with pytest.raises(ValueError, match="some runs have a limit"):
        figure(Run(1, 2), Run(1))


def test_json_has_what_readers_rely_on() -> None:
    entry = figure(Run(1, 2), Run(3, 4), beside={"agents": 5}).as_json()
    assert {k: entry[k] for k in ("value", "unit", "limit", "ratio", "runs", "spread", "beside")} == {
        "value": 2.0,
        "unit": "1/s",
        "limit": 3.0,
        "ratio": 0.625,
        "runs": 2,
        "spread": [0.5, 0.75],
        "beside": {"agents": 5},
    }


def test_new_figures_replace_old_ones_and_leave_others() -> None:
    machine = {"cpus": 2}
    first = merged({}, machine, [figure(Run(1)), figure(Run(9), name="other")])
    second = merged(first, machine, [figure(Run(2))])
    assert {name: entry["value"] for name, entry in second["figures"].items()} == {"speed": 2, "other": 9}


def test_figures_of_another_machine_are_not_kept() -> None:
    first = merged({}, {"cpus": 2}, [figure(Run(1))])
    assert list(merged(first, {"cpus": 4}, [figure(Run(9), name="other")])["figures"]) == ["other"]


def test_the_table_shows_every_figure_with_what_stands_beside_it() -> None:
    text = table([figure(Run(1, 2), beside={"by size": {"1000": 2.5}}), figure(Run(3), name="other")])
    lines = text.splitlines()
    assert lines[2].split() == ["speed", "1", "1/s", "2", "0.5", "1", "0.5", "to", "0.5"]
    assert lines[3].split() == ["other", "3", "1/s", "-", "-", "1", "3", "to", "3"]
    assert "  by size: 1000 2.5" in lines
