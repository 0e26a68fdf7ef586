"""What the commands print: tables as kubectl prints them, JSON and YAML, and colour where a person looks on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text

_GAP: Final = 3

# Colours of single words, wherever they stand alone in a cell.
_STYLES: Final[Mapping[str, str]] = {
    "True": "green", "Granted": "green", "Active": "green", "yes": "green",
    "False": "red", "Refused": "red", "Degraded": "red", "no": "red", "error": "red",
    "Unknown": "yellow", "Pending": "yellow", "Onboarding": "yellow", "Offboarding": "yellow", "warning": "yellow",
    "Suspended": "yellow", "serves": "green", "takes over": "yellow", "starts": "yellow", "is held back": "red",
}  # fmt: skip


class Format(StrEnum):
    """Values of `-o`, as kubectl has them."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"

    @property
    def structured(self) -> bool:
        """Whether a program reads it."""
        return self in {Format.JSON, Format.YAML}


def console(*, error: bool = False) -> Console:
    """Standard output or error. Colour only on a terminal, and not where NO_COLOR is set; lines are never cut."""
    return Console(file=sys.stderr if error else sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def say(text: str | Text = "") -> None:
    """A line of the answer."""
    console().print(text)


def note(text: str, *, quiet: bool = False) -> None:
    """A remark beside the answer, on standard error, so that pipes carry the answer alone."""
    if not quiet:
        console(error=True).print(plain(text))


def counted(number: int, thing: str) -> str:
    """A number of things: 1 error, 2 errors."""
    many = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number} {thing if number == 1 else many}"


def plain(value: Any) -> str:
    """The value on one line, without control characters: what others wrote must not steer the terminal."""
    text = "" if value is None else str(value)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def verbatim(line: str, style: str = "") -> None:
    """A line of somebody's text as it is, in a style: spaces and tabs stay, other control characters are escaped."""
    text = "".join(
        letter if letter.isprintable() or letter == "\t" else letter.encode("unicode_escape").decode()
        for letter in line
    )
    # Not as Text, in which a tab would become spaces.
    console().print(Segments([Segment(f"{text}\n", Style.parse(style))]), end="")


def word(text: str) -> Text:
    """A word in its colour, where it has one."""
    return Text(text, style=_STYLES.get(text, ""))


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, indent: int = 0) -> None:
    """Columns as wide as they need to be, separated by spaces. Long lines wrap on the terminal, and are never cut."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headers, *cells, strict=True)]
    for number, row in enumerate([list(headers), *cells]):
        columns(row, widths, indent=indent, bold=number == 0)


def columns(row: Sequence[Any], widths: Sequence[int], *, indent: int = 0, bold: bool = False) -> None:
    """A line of a table whose columns have these widths: for one that is printed as it comes."""
    line = Text(" " * indent)
    for index, (value, width) in enumerate(zip(row, widths, strict=True)):
        cell = plain(value)
        line.append_text(Text(cell, style="bold") if bold else word(cell))
        if index < len(row) - 1:
            line.append(" " * (max(0, width - cell_len(cell)) + _GAP))
    line.rstrip()
    console().print(line)


def dump(value: Any, form: Format) -> None:
    """The value as JSON or YAML."""
    if form is Format.YAML:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    else:
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # Not by rich: a program reads this.
    sys.stdout.write(text)


def without_managed_fields(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object as kubectl shows it."""
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
