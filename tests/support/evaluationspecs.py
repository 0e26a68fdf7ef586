"""Evaluations as their authors may write them, for tests of what the schema takes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

_NAMES = st.sampled_from(["live", "held-out", "a", "x" * 40])
_BOUNDS = st.sampled_from([{"min": "0.85"}, {"max": "-1"}, {"min": "9", "max": "10"}, {"maxDecrease": "0.1"}])
_PACES = st.sampled_from(
    [
        {},
        {"interval": "1m", "count": 3, "failureLimit": 2, "inconclusiveLimit": 1},
        {"initialDelay": "30s", "consecutiveErrorLimit": 0},
    ]
)
_QUERIES = st.sampled_from(
    ["up{r={{revision}}}", 'rate(a{pod=~"{{agent}}-{{revision}}-.+"}[5m]) # {{namespace}} {{stableRevision}}']
)
_ADDRESSES = st.sampled_from([{}, {"address": "http://prometheus:9090"}, {"address": "https://mimir.example/tenant"}])


def evaluations(jobs: Strategy) -> Strategy:
    """Lists of evaluations, by Prometheus or by one of these Jobs."""
    asked = st.builds(lambda name, query, *rest: _joined({"name": name, "query": query}, *rest), _NAMES, _QUERIES,
                      _BOUNDS, _PACES)  # fmt: skip
    counted = st.builds(lambda name, bounds: _joined({"name": name}, bounds), _NAMES, _BOUNDS)
    by_query = st.fixed_dictionaries({"name": _NAMES, "prometheus": _ADDRESSES, "metrics": _many(asked)})
    by_job = st.fixed_dictionaries({"name": _NAMES, "job": jobs, "metrics": _many(counted)})
    return st.lists(st.one_of(by_query, by_job), max_size=3, unique_by=lambda each: each["name"])


def _many(metric: Strategy) -> Strategy:
    return st.lists(metric, min_size=1, max_size=2, unique_by=lambda each: each["name"])


def _joined(*parts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}
