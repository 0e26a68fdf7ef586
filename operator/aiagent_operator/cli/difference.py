"""What differs between two revisions, as a unified diff of what each is made of."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from aiagent_operator.cli.revisions import worked

WORK: Final = "work.yaml"
DIGEST: Final = "handbook.digest"

# Lines that name the files of a unified diff.
_HEADER: Final = 2

Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: what its files are called after, and its files by name."""

    title: str
    files: Files


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff. `mark`: what it begins with, "+", "-", "@" or " "; empty for the two that name the files."""

    text: str
    mark: str


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, so that a change of one line is a change of one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (yaml calls it so)
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # YAML reads these as ends of lines too, and would give back another text than it was given.
    odd = any(letter in value for letter in "\x85\u2028\u2029")
    style = '"' if odd else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def work(record: Mapping[str, Any]) -> str:
    """The work of a revision but for the handbook, as canonical YAML: the template, which has its images in it, or the
    images of an adopted target; and the model."""
    found = worked(record)
    body: dict[str, Any] = {"model": found["model"]} if found.get("model") else {}
    if found.get("template") is not None:
        body["template"] = json.loads(found["template"])
    else:
        body["images"] = {entry["container"]: entry["image"] for entry in found.get("images") or ()}
    return yaml.dump(body, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=1_000_000)


def handbook(data: Mapping[str, str]) -> dict[str, str]:
    """The files of a handbook's ConfigMap; JSON with one value a line."""
    return {name: _pretty(text) if name.endswith(".json") else text for name, text in data.items()}


def _pretty(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def unified(old: Side, new: Side) -> Iterator[Line]:
    """The lines of the diff; none where nothing differs."""
    for name in sorted({*old.files, *new.files}, key=lambda name: (name != WORK, name)):
        before, after = old.files.get(name), new.files.get(name)
        found = difflib.unified_diff(
            _lines(before),
            _lines(after),
            "/dev/null" if before is None else f"{old.title}/{name}",
            "/dev/null" if after is None else f"{new.title}/{name}",
            lineterm="",
        )
        for index, text in enumerate(found):
            yield Line(text, "" if index < _HEADER else text[:1])


def _lines(text: str | None) -> list[str]:
    """Not by str.splitlines, which takes more for the end of a line than a diff does."""
    return text.removesuffix("\n").split("\n") if text else []
