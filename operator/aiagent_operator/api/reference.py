"""The reference of all kinds, as Markdown, from the same schemas as the CustomResourceDefinitions.

`python -m aiagent_operator.api.reference FILE` writes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiagent_operator.api import meta
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.schema import Kind, Schema, crd

_INTRO = f"""\
<!-- Generated from operator/aiagent_operator/api by `make generate`. Do not edit. -->
# Reference of the kinds

Group `{meta.GROUP}`, version `{meta.VERSION}`. The API server checks all of this when an object is applied; each *rule*
below is the message that its author reads. The same is in `kubectl explain aiagent.spec`. Samples with comments are in
[manifests/samples](../manifests/samples).

In the paths, `[]` is an item of a list and `{{}}` a value of a map. *Required* means required within its parent. Lists
*by name* are maps to Kubernetes: entries merge by that field, and it is unique.
"""


@dataclass(slots=True)
class _Page:
    """Lines written so far, and where each structure with fields of its own was described first."""

    lines: list[str] = field(default_factory=list)
    first_seen: dict[str, str] = field(default_factory=dict)

    def add(self, *lines: str) -> None:
        self.lines.extend(lines)


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    node: Schema
    required: bool
    like: str = ""


def markdown() -> str:
    """The whole page."""
    page = _Page()
    page.add(_INTRO)
    for kind in KINDS:
        _kind(page, kind)
    return "\n".join(page.lines).rstrip() + "\n"


def _kind(page: _Page, kind: Kind) -> None:
    scope = "Namespaced" if kind.namespaced else "Cluster-scoped"
    page.add(f"## {kind.kind}", "", kind.description, "")
    page.add(f"{scope}. Plural `{kind.plural}`, short name `{kind.short}`, category `workforce`.", "")
    page.add(*(f"- Rule for the object: {rule['message']}." for rule in kind.root_rules))
    if kind.scale:
        page.add(f"- `kubectl scale` changes `{kind.scale['specReplicasPath'].lstrip('.')}`.")
    page.add("", "| Column | Shows |", "|---|---|")
    for column in kind.columns:
        wide = " (with `-o wide`)" if column.get("priority") else ""
        page.add(f"| {column['name']}{wide} | {column['description']} |")
    page.add("")
    schema: Schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in ("spec", "status"):
        _part(page, kind.kind, part, schema["properties"][part])


def _part(page: _Page, kind: str, part: str, schema: Schema) -> None:
    """Spec or status: a table of its own for each field that has fields, one for the plain ones before them."""
    page.add(f"### {kind} {part}", "", schema["description"], "")
    required = schema.get("required", ())
    top = [_Row(f"{part}.{name}", node, name in required) for name, node in schema["properties"].items()]
    _table(page, top)
    for row in top:
        inner = list(_below(page, kind, row.path, row.node))
        if inner:
            page.add(f"#### {kind} {row.path}", "")
            _table(page, inner)


def _below(page: _Page, kind: str, path: str, node: Schema) -> Iterator[_Row]:
    """Rows for all that is below; a structure that was described already is named instead."""
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            node, path = node[key], path + mark
    properties = node.get("properties")
    if not properties:
        if path.endswith(("[]", "{}")) and _limits(node):
            yield _Row(path, node, required=False)
        return
    shape = json.dumps(properties, sort_keys=True)
    like = page.first_seen.setdefault(shape, f"{kind} {path}")
    if like != f"{kind} {path}":
        yield _Row(path, node, required=False, like=like)
        return
    if path.endswith("[]") and node.get("x-kubernetes-validations"):
        yield _Row(path, node, required=False)
    for name, child in properties.items():
        yield _Row(f"{path}.{name}", child, name in node.get("required", ()))
        yield from _below(page, kind, f"{path}.{name}", child)


def _table(page: _Page, rows: list[_Row]) -> None:
    page.add("| Field | Type | Default | Meaning |", "|---|---|---|---|")
    for row in rows:
        page.add(f"| `{row.path}` | {_type(row.node)} | {_default(row)} | {_meaning(row)} |")
    page.add("")


def _type(node: Schema) -> str:
    match node["type"]:
        case "array":
            return f"list of {_type(node['items'])}"
        case "object" if "additionalProperties" in node:
            return f"map of {_type(node['additionalProperties'])}"
        case kind:
            return str(kind)


def _default(row: _Row) -> str:
    if row.required:
        return "*required*"
    default = row.node.get("default")
    return "" if default is None or isinstance(default, dict | list) else f"`{json.dumps(default)}`"


def _meaning(row: _Row) -> str:
    """Description, bounds and rules, in one cell."""
    node = row.node
    said = [] if row.path.endswith("[]") else [node.get("description", "")]
    if row.like:
        said.append(f"As {_link(row.like)}.")
    if limits := _limits(node):
        said.append(f"({'; '.join(limits)})")
    said += [f"<br>*Rule:* {rule['message']}." for rule in node.get("x-kubernetes-validations", ())]
    if node.get("x-kubernetes-preserve-unknown-fields"):
        said.append("Further fields pass through as they are.")
    return " ".join(filter(None, said)).replace("|", "\\|").replace("\n", " ")


def _link(place: str) -> str:
    """A link to the section that describes the place; sections are those of the first level below spec and status."""
    kind, path = place.split(" ")
    section = ".".join(path.replace("[]", "").replace("{}", "").split(".")[:2])
    anchor = f"{kind}-{section}".lower().replace(".", "")
    return f"[{place}](#{anchor})"


def _limits(node: Schema) -> list[str]:
    said = []
    if "enum" in node:
        said.append("one of " + ", ".join(f"`{value}`" for value in node["enum"]))
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
        ("minProperties", "maxProperties", " entries"),
    ):
        if high in node and low in node:
            said.append(f"{node[low]} to {node[high]}{unit}")
        elif high in node:
            said.append(f"at most {node[high]}{unit}")
        elif low in node:
            said.append(f"at least {node[low]}{unit}")
    if "pattern" in node and "enum" not in node:
        said.append(f"matches `{node['pattern']}`")
    if node.get("x-kubernetes-list-type") == "map":
        said.append("by " + ", ".join(node["x-kubernetes-list-map-keys"]))
    elif node.get("x-kubernetes-list-type") == "set":
        said.append("each once")
    return said


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
