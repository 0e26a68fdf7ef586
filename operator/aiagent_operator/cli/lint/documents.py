"""Manifests of files, each value with the line it stands on.

YAML is read as kubectl reads it: 1.1, where `yes` and `y` are booleans, but dates and `1:30` are text.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from aiagent_operator.api import meta

Where = tuple[str | int, ...]
SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "<stdin>"


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest: its file, its content, lines by field, and fields that stand there twice."""

    file: str
    value: dict[str, Any]
    lines: Mapping[Where, int]
    twice: tuple[Where, ...] = ()

    def line(self, where: Where = ()) -> int:
        """The line of a field or, where that is not there, of the nearest field around it."""
        while where not in self.lines and where:
            where = where[:-1]
        return self.lines.get(where, 1)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or the rest of one, that is no YAML or JSON."""

    file: str
    line: int
    message: str


@dataclass(slots=True)
class _Reading:
    lines: dict[Where, int] = field(default_factory=dict)
    twice: list[Where] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Words mean what they mean to sigs.k8s.io/yaml."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[str, Any]:  # noqa: ARG002 (yaml calls it so)
        self.flatten_mapping(node)
        pairs = (
            (self.construct_object(key, deep=True), self.construct_object(value, deep=True))
            for key, value in node.value
        )
        return {key if isinstance(key, str) else json.dumps(key, default=str): value for key, value in pairs}

    # At once and not in two steps as the base does, so that a value that contains itself is an error.
    def construct_map(self, node: MappingNode) -> dict[str, Any]:
        return self.construct_mapping(node, deep=True)

    def construct_seq(self, node: SequenceNode) -> list[Any]:
        return [self.construct_object(item, deep=True) for item in node.value]


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_map)
_Loader.add_constructor("tag:yaml.org,2002:seq", _Loader.construct_seq)
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] not in {"timestamp", "int", "bool"}]
    for letter, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"),
    list("yYnNtTfFoO"),
)
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def read(paths: tuple[str, ...]) -> Iterator[Document | Unreadable]:
    """The documents of files, folders (searched all the way down) and `-`, standard input."""
    for path in paths:
        if path == "-":
            yield from parse(STDIN, sys.stdin.read(), named=True)
        elif Path(path).is_dir():
            for file in sorted(Path(path).rglob("*")):
                if file.suffix in SUFFIXES and file.is_file() and not _hidden(file.relative_to(path)):
                    yield from _file(file, named=False)
        else:
            yield from _file(Path(path), named=True)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _file(path: Path, *, named: bool) -> Iterator[Document | Unreadable]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        yield Unreadable(str(path), 1, f"cannot be read: {error}")
        return
    yield from parse(str(path), text, named=named)


def parse(file: str, text: str, *, named: bool) -> Iterator[Document | Unreadable]:
    """The documents of a text; lists of objects are taken apart.

    A text that is no YAML is only complained of where it was named or speaks of our kinds: folders hold templates too.
    """
    try:
        for value, reading in _documents(text):
            yield from _unpacked(Document(file, value, reading.lines, tuple(reading.twice)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if named or meta.GROUP in text:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error)
            yield Unreadable(file, mark.line + 1 if mark else 1, f"is no YAML or JSON: {problem}")


def _documents(text: str) -> Iterator[tuple[Any, _Reading]]:
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError:
            pass  # YAML in flow style, or several documents
        else:
            # YAML forbids tabs where JSON has them as white space; inside its strings JSON has none.
            yield value, _read(_Loader(text.replace("\t", " ")).get_single_node())
            return
    loader = _Loader(text)
    while loader.check_node():
        node = loader.get_node()
        reading = _read(node)  # before the construction, which rewrites nodes with merge keys
        yield loader.construct_document(node), reading


def _read(node: Node | None) -> _Reading:
    reading = _Reading()
    _walk(node, (), reading)
    return reading


def _walk(node: Node | None, where: Where, reading: _Reading) -> None:
    """Notes the line of every field, and keys that stand in one mapping twice."""
    if node is None:
        return
    reading.lines[where] = node.start_mark.line + 1
    if id(node) in reading.seen:  # an alias; it may even contain itself
        return
    reading.seen.add(id(node))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*where, index), reading)
    elif isinstance(node, MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag.endswith(":merge"):
                continue
            place = (*where, key.value)
            if key.value in keys:
                reading.twice.append(place)
            keys.add(key.value)
            _walk(value, place, reading)
            reading.lines[place] = key.start_mark.line + 1


def _unpacked(document: Document) -> Iterator[Document]:
    value: Any = document.value
    if not isinstance(value, dict):
        return  # an empty document, or text
    if isinstance(value.get("items"), list) and str(value.get("kind", "")).endswith("List"):
        for index, item in enumerate(value["items"]):
            if isinstance(item, dict):
                yield from _unpacked(_part(document, item, ("items", index)))
        return
    yield document


def _part(document: Document, value: dict[str, Any], prefix: Where) -> Document:
    """An item of a list, with its lines and doubled fields counted from itself."""
    size = len(prefix)
    lines = {where[size:]: line for where, line in document.lines.items() if where[:size] == prefix}
    twice = tuple(where[size:] for where in document.twice if where[:size] == prefix)
    return Document(document.file, value, lines, twice)
