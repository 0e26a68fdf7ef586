"""The project's documents, taken apart for tests: headings, links, code blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from support.kube import Object

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
SAMPLES = ROOT / "manifests" / "samples"

# A block may be indented, as within a list.
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it begins, in which language, and its text."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a document in these languages."""
    text = path.read_text()
    return [
        Block(path, text.count("\n", 0, found.start()) + 1, found["language"], found["text"])
        for found in _BLOCK.finditer(text)
        if found["language"] in languages
    ]


def objects(block: Block) -> list[Object]:
    """The YAML documents of a block."""
    return [document for document in yaml.safe_load_all(block.text) if document]


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the table whose head begins with this cell."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", path.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path.name} has no table that begins with {heading}")
    return [[cell.strip(" `") for cell in line[1:-1].split("|")] for line in found[1].splitlines()]


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return _BLOCK.sub("", path.read_text())


def headings(path: Path) -> list[str]:
    """Texts of the headings."""
    return _HEADING.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """The fragments that lead to the headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings(path))
    return {text.strip().replace(" ", "-") for text in plain}


def links(path: Path) -> list[str]:
    """Targets of the links that stay within the repository; what is code is none."""
    return [
        link
        for link in _LINK.findall(_CODE.sub("", prose(path)))
        if "://" not in link and not link.startswith("mailto:")
    ]


def code(path: Path) -> list[str]:
    """What stands in single backticks."""
    return _CODE.findall(prose(path))


def commands(path: Path) -> Iterator[str]:
    """Commands of the document: those in console blocks, and those in backticks."""
    for block in blocks(path, "console", "bash", "sh"):
        yield from (line.lstrip(" $") for line in block.text.splitlines())
    yield from code(path)
