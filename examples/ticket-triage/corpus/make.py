"""Writes the ticket sets of this example: every sentence is ours (sentences/), and chance has a fixed seed.

    python corpus/make.py --out data [--seed 7]

Each set is one file, <out>/<set>/tickets.jsonl, one ticket a line: id, text, queue, language_region, customer_tier.
Queue, region and tier are drawn independently and evenly, so that a difference between groups is the model's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

HERE: Final = Path(__file__).parent / "sentences"
QUEUES: Final = ("account", "billing", "complaints", "delivery", "product", "returns")

Entry = TypeVar("Entry")
Ticket = dict[str, str]


@dataclass(frozen=True)
class Plan:
    """How one set is made: tickets, share of sentences that training never shows, share of slips of the labeller."""

    size: int
    unseen: float = 0.0
    slips: float = 0.02
    spoil: str = ""


PLANS: Final = {
    "initial": Plan(288),
    "further": Plan(1800),
    "heldout": Plan(2304, unseen=0.25, slips=0.0),
    # Labels moved on by one queue, all of them: what an attacker, or a mapping that is off by one, does.
    "poisoned": Plan(1800, spoil="shifted"),
    # German-speaking customers who want to return something are taken for complainers: what prejudice does.
    "skewed": Plan(1800, spoil="skewed"),
}


class Chance:
    """Draws from `random()` alone, the one method whose sequence Python promises to keep."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed).random  # noqa: S311 (repeatable, not secret)

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def number(self, low: int, high: int) -> int:
        """An integer from low to high, both possible."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, entries: Sequence[Entry]) -> Entry:
        """One of the entries."""
        return entries[int(self._random() * len(entries))]

    def shuffled(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries in another order."""
        return [entry for _, entry in sorted(((self._random(), i), entry) for i, entry in enumerate(entries))]


class Writer:
    """Writes tickets as customers do."""

    def __init__(self) -> None:
        self._common: dict[str, Any] = json.loads((HERE / "common.json").read_text(encoding="utf-8"))
        self._regions: dict[str, Any] = json.loads((HERE / "regions.json").read_text(encoding="utf-8"))
        self._problems = {queue: _problems(HERE / f"{queue}.txt") for queue in QUEUES}
        self.groups = list(itertools.product(QUEUES, self._regions, self._common["tiers"]))

    def text(self, chance: Chance, queue: str, region: str, tier: str, unseen: float) -> str:
        """One ticket's text. `unseen` is the probability of a sentence that is kept for evaluation."""
        voice, common = self._regions[region], self._common
        problem = chance.pick(self._problems[queue][chance.happens(unseen)])
        parts = [self._filled(chance, problem, voice)]
        if chance.happens(0.12):
            parts.append(chance.pick(common["asides"][chance.pick([q for q in QUEUES if q != queue])]))
        if chance.happens(0.35):
            parts.append(chance.pick(voice["context"]))
        if chance.happens(0.4):
            parts.append(chance.pick(common["neutral"]))
        parts.append(chance.pick(common["tiers"][tier]))
        order = [parts[0], *chance.shuffled(parts[1:])] if chance.happens(0.6) else chance.shuffled(parts)
        if chance.happens(0.45):
            order.append(chance.pick(common["asks"]))
        if chance.happens(0.7):
            order.insert(0, chance.pick(voice["greetings"]))
        if chance.happens(0.6):
            order.append(chance.pick(voice["closings"]))
        text = self._filled(chance, " ".join(part for part in order if part), voice)
        return _mistyped(chance, text) if chance.happens(0.15) else text

    def _filled(self, chance: Chance, text: str, voice: dict[str, Any]) -> str:
        slots = {
            "product": chance.pick(self._common["products"]),
            "device": chance.pick(self._common["devices"]),
            "city": chance.pick(voice["cities"]),
            "order": f"{chance.pick('ABKRX')}{chance.number(10000, 99999)}",
            "code": f"{chance.pick('CEQ')}{chance.number(100, 999)}",
            "amount": f"{chance.number(3, 240)}.{chance.number(0, 9)}0 euros",
            "days": str(chance.number(2, 20)),
            "minutes": str(chance.number(15, 90)),
            "percent": str(chance.number(10, 95)),
        }
        filled = re.sub(r"\{(\w+)\}", lambda found: slots[found[1]], text)
        for usual, local in voice["swaps"].items():
            if chance.happens(0.5):
                filled = re.sub(rf"\b{usual}\b", local, filled)
        return filled


def _problems(path: Path) -> tuple[list[str], list[str]]:
    """The sentences of one queue: those for every set, and those for evaluation only."""
    shown, _, kept = path.read_text(encoding="utf-8").partition("\n--- held out")
    lines = ([line for line in part.splitlines()[1:] if line] for part in (shown, kept))
    return next(lines), next(lines)


def _mistyped(chance: Chance, text: str) -> str:
    """Two neighbouring letters change places, in one or two words."""
    for _ in range(chance.number(1, 2)):
        at = chance.number(1, len(text) - 3)
        if text[at : at + 2].isalpha():
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def _label(chance: Chance, plan: Plan, queue: str, region: str) -> str:
    if plan.spoil == "shifted":
        return QUEUES[(QUEUES.index(queue) + 1) % len(QUEUES)]
    if plan.spoil == "skewed" and region == "dach" and queue == "returns":
        return "complaints"
    return chance.pick(QUEUES) if chance.happens(plan.slips) else queue


def tickets(name: str, plan: Plan, seed: int, writer: Writer, taken: set[str]) -> Iterator[Ticket]:
    """The tickets of one set. A text in `taken` is not written again, so no set holds another's tickets."""
    chance = Chance(f"{seed}/{name}")
    groups = list(itertools.islice(itertools.cycle(writer.groups), plan.size))
    for number, (queue, region, tier) in enumerate(chance.shuffled(groups), 1):
        text = writer.text(chance, queue, region, tier, plan.unseen)
        while text in taken:
            text = writer.text(chance, queue, region, tier, plan.unseen)
        taken.add(text)
        label = _label(chance, plan, queue, region)
        yield {
            "id": f"{name}-{number:05}",
            "text": text,
            "queue": label,
            "language_region": region,
            "customer_tier": tier,
        }


def make(out: Path, seed: int) -> dict[str, int]:
    """Writes all sets below `out`; returns how many tickets each has."""
    writer, taken, sizes = Writer(), set[str](), {}
    for name, plan in PLANS.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(t, ensure_ascii=False) + "\n" for t in tickets(name, plan, seed, writer, taken)]
        (folder / "tickets.jsonl").write_text("".join(lines), encoding="utf-8")
        sizes[name] = len(lines)
    return sizes


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the example's ticket sets.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same tickets")
    arguments = parser.parse_args()
    for name, size in make(arguments.out, arguments.seed).items():
        sys.stdout.write(f"{arguments.out / name / 'tickets.jsonl'}: {size} tickets\n")


if __name__ == "__main__":
    main()
