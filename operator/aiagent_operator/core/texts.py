"""How lists and moments read in messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def quoted(names: Iterable[str], separator: str = ", ") -> str:
    """The names in quotes."""
    return separator.join(f'"{name}"' for name in names)


def some(items: Iterable[object], most: int = 5, separator: str = ", ") -> str:
    """The first few, in the order given, and how many more there are."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def moment(when: datetime) -> str:
    """A moment in UTC as Kubernetes writes it, to the second."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
