"""The ticket sets are what the other tests take them for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import make
import pytest

from triage import tickets

Rows = list[dict[str, str]]


def _rows(data: Path, name: str) -> Rows:
    return [json.loads(line) for line in (data / name / "tickets.jsonl").read_text().splitlines()]


def test_same_seed_same_tickets(data: Path, tmp_path: Path) -> None:
    make.make(tmp_path / "again", 7)
    make.make(tmp_path / "other", 8)
    for name in make.PLANS:
        assert _rows(tmp_path / "again", name) == _rows(data, name) != _rows(tmp_path / "other", name)


def test_no_ticket_is_in_two_sets(data: Path) -> None:
    texts = [row["text"] for name in make.PLANS for row in _rows(data, name)]
    assert len(texts) == len(set(texts)) == sum(plan.size for plan in make.PLANS.values())


def test_no_slot_stays_open(data: Path) -> None:
    assert not [row for name in make.PLANS for row in _rows(data, name) if "{" in row["text"] or "}" in row["text"]]


def test_queues_regions_and_tiers_are_spread_alike(data: Path) -> None:
    rows = _rows(data, "heldout")
    counts = Counter((row["queue"], row["language_region"], row["customer_tier"]) for row in rows)
    assert set(counts.values()) == {2304 / 72}


def test_every_queue_has_sentences_that_only_evaluation_sees() -> None:
    for queue in make.QUEUES:
        shown, kept = make._problems(make.HERE / f"{queue}.txt")
        assert len(shown) == 36
        assert len(kept) == 6
        assert not set(shown) & set(kept)


@pytest.mark.parametrize("name", make.PLANS)
def test_every_set_can_be_read(data: Path, name: str) -> None:
    assert len(tickets.read([data / name])) == make.PLANS[name].size
