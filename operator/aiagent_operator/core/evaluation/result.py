"""Reading what an evaluation Job leaves in its termination message.

`{"measurements": [{"name", "value", "stableValue"}], "groups": [{"name", ...}], "notes"}`, of which only measurements,
each with name and value, must be there. Values are decimals, as strings or numbers. The author of the image writes it,
so nothing in it is trusted: what is not understood is refused as a whole, with what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from aiagent_operator.api.agentevaluation import MOST_GROUP_VALUES, MOST_GROUPS, Group
from aiagent_operator.core.evaluation import numbers
from aiagent_operator.core.strict_json import StrictJsonError, kind, quoted, read_object, unfit
from aiagent_operator.core.untrusted import line as shown

WHAT: Final = "the Job's result"
LONGEST_NAME: Final = 63
LONGEST_NOTES: Final = 1024
_SAMPLE: Final = '{"measurements": [{"name": "accuracy", "value": "0.91"}]}'

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Measured:
    """One number that the Job measured, and the same of the stable revision where it measured that too."""

    value: Decimal
    stable: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What the Job says; `notes` are for people."""

    measurements: Mapping[str, Measured]
    groups: tuple[Group, ...] = field(default=())
    notes: str = ""


def read(text: str) -> Result:
    """The result in a termination message. Raises StrictJsonError, which says what is wrong and what to write."""
    found = read_object(text, WHAT)
    if "error" in found:
        raise StrictJsonError(f"{WHAT} is an error: {quoted(str(found['error']), 200)}")
    if "measurements" not in found:
        raise StrictJsonError(f"{WHAT} has no measurements: write {_SAMPLE}")
    notes = found.get("notes", "")
    if not isinstance(notes, str):
        raise StrictJsonError(f"{WHAT} has notes that are {kind(notes)}: write a string")
    measurements = _named(found["measurements"], "measurements", _measured)
    groups = _named(found.get("groups", []), "groups", _group)
    if not measurements:
        raise StrictJsonError(f"{WHAT} has no measurements: write {_SAMPLE}")
    if len(groups) > MOST_GROUPS:
        raise StrictJsonError(f"{WHAT} has {len(groups)} groups: write at most {MOST_GROUPS}")
    return Result(measurements, tuple(groups.values()), shown(notes, LONGEST_NOTES))


def complaint(text: str) -> str:
    """What a Job that failed says, on one line: its `error`, else the end of its message or log. Empty if nothing."""
    try:
        found = read_object(text)
    except StrictJsonError:
        found = {}
    for key in ("error", "notes"):
        if isinstance(found.get(key), str) and found[key].strip():
            return shown(found[key], LONGEST_NOTES)
    line = " ".join(text.split())
    return shown(line if len(line) <= LONGEST_NOTES else f"...{line[3 - LONGEST_NOTES :]}", LONGEST_NOTES)


def _named(entries: Any, where: str, read_entry: Callable[[Mapping[str, Any], str], _T]) -> dict[str, _T]:
    """The entries of a list of objects by their names, which are unique."""
    if not isinstance(entries, list):
        raise StrictJsonError(f"{WHAT} has {where} that are {kind(entries)}: write a list")
    found: dict[str, _T] = {}
    for index, entry in enumerate(entries):
        here = f"{where}[{index}]"
        if not isinstance(entry, dict):
            raise StrictJsonError(f"{WHAT}: {here} is {kind(entry)}: write an object with a name")
        name = entry.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or unfit(name) or name != name.strip():
            shape = f"a string of 1 to {LONGEST_NAME} characters on one line"
            raise StrictJsonError(f"{WHAT}: {here}.name is not {shape}: give it such a name")
        if name in found:
            raise StrictJsonError(f"{WHAT} has two {where} named {quoted(name)}: write each once")
        found[name] = read_entry(entry, here)
    return found


def _measured(entry: Mapping[str, Any], where: str) -> Measured:
    if "value" not in entry:
        raise StrictJsonError(f"{WHAT}: {where} has no value: write a decimal number, or leave the measurement out")
    stable = entry.get("stableValue")
    return Measured(
        numbers.of_result(entry["value"], f"{WHAT}: {where}.value"),
        None if stable is None else numbers.of_result(stable, f"{WHAT}: {where}.stableValue"),
    )


def _group(entry: Mapping[str, Any], where: str) -> Group:
    values = {key: value for key, value in entry.items() if key != "name"}
    if not values or len(values) > MOST_GROUP_VALUES:
        raise StrictJsonError(
            f"{WHAT}: {where} has {len(values)} values: write 1 to {MOST_GROUP_VALUES} beside its name"
        )
    if wrong := next((key for key in values if not 1 <= len(key) <= LONGEST_NAME), None):
        raise StrictJsonError(f"{WHAT}: {where} has the name {quoted(wrong)}: write at most {LONGEST_NAME} characters")
    found = {key: numbers.of_result(value, f"{WHAT}: {where}.{quoted(key)[1:-1]}") for key, value in values.items()}
    return Group(name=entry["name"], values={key: numbers.written(value) for key, value in found.items()})
