"""What the measures are made of: medians, spreads, ratios, and the file that they are written to."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a percentile of no values")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, is {share}")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: a value and, where there is one, the limit that was measured beside it in the same run."""

    value: float
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """Value to limit; None without a limit (or with one of zero, to which nothing can be compared)."""
        return self.value / self.limit if self.limit else None


@dataclass(frozen=True, slots=True)
class Figure:
    """A named measure over its runs. `limit_text` says what the limit is, `beside` holds what is reported with it."""

    name: str
    unit: str
    limit_text: str
    runs: tuple[Run, ...]
    beside: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"figure {self.name} has no runs")
        if len({run.limit is None for run in self.runs}) > 1:
            raise ValueError(f"figure {self.name}: some runs have a limit and others have none")

    @property
    def value(self) -> float:
        """Median of the runs' values."""
        return statistics.median(run.value for run in self.runs)

    @property
    def limit(self) -> float | None:
        """Median of the runs' limits."""
        limits = [run.limit for run in self.runs if run.limit is not None]
        return statistics.median(limits) if limits else None

    @property
    def ratio(self) -> float | None:
        """Median of the runs' ratios: each run is compared with its own limit only."""
        ratios = self._ratios()
        return statistics.median(ratios) if ratios else None

    @property
    def spread(self) -> tuple[float, float]:
        """Least and greatest ratio of the runs; of their values where there is no limit."""
        values = self._ratios() or [run.value for run in self.runs]
        return min(values), max(values)

    def _ratios(self) -> list[float]:
        return [ratio for run in self.runs if (ratio := run.ratio) is not None]

    def as_json(self) -> dict[str, Any]:
        """What stands in the file under the figure's name."""
        return {
            "value": _rounded(self.value),
            "unit": self.unit,
            "limit": _rounded(self.limit),
            "ratio": _rounded(self.ratio),
            "runs": len(self.runs),
            "spread": [_rounded(edge) for edge in self.spread],
            "limit_is": self.limit_text,
            "each": [[_rounded(run.value), _rounded(run.limit)] for run in self.runs],
            "beside": dict(self.beside),
        }


def merged(old: Mapping[str, Any], machine: Mapping[str, Any], figures: Iterable[Figure]) -> dict[str, Any]:
    """The file's new content: figures that were measured now replace older ones, those of another machine go."""
    kept = old.get("figures", {}) if old.get("machine") == machine else {}
    return {"machine": dict(machine), "figures": {**kept, **{figure.name: figure.as_json() for figure in figures}}}


def table(figures: Sequence[Figure]) -> str:
    """The figures for people: a line each, then what is reported beside them."""
    rows = [("figure", "median", "unit", "limit", "ratio", "runs", "spread")]
    for figure in figures:
        low, high = figure.spread
        rows.append(
            (
                figure.name,
                _shown(figure.value),
                figure.unit,
                _shown(figure.limit),
                _shown(figure.ratio),
                str(len(figure.runs)),
                f"{_shown(low)} to {_shown(high)}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for figure in figures:
        lines += ["", f"{figure.name}: limit is {figure.limit_text}"]
        lines += [f"  {key}: {_beside(value)}" for key, value in figure.beside.items()]
    return "\n".join(lines)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _beside(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_beside(item)}" for key, item in value.items())
    return _shown(value) if isinstance(value, float) else str(value)
