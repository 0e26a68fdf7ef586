"""Fields of a spec as it was written, by whatever version of the CRD it was admitted.

A version of the operator that knows another form of a field must not fall over it: who cannot be looked at could never
leave. So what is of another form than the one asked for is as good as not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def at(value: Any, *fields: str) -> Any:
    """What is there below these fields, one inside the other; None where one of them is missing or no object."""
    for name in fields:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def text(value: Any, *fields: str) -> str:
    """The string there; empty where there is none."""
    found = at(value, *fields)
    return found if isinstance(found, str) else ""


def items(value: Any, *fields: str) -> Iterator[Any]:
    """Each item of the list there; nothing where there is none."""
    found = at(value, *fields)
    yield from found if isinstance(found, list | tuple) else ()
