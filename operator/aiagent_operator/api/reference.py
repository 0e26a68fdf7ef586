"""The reference of all kinds, as Markdown, from the same schemas as the CustomResourceDefinitions.

`python -m aiagent_operator.api.reference FILE` writes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiagent_operator.api import meta
from aiagent_operator.api.fields import DNS_LABEL, DNS_SUBDOMAIN
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.schema import Kind, Schema, crd

_RULES = "x-kubernetes-validations"
_PATTERNS = {DNS_LABEL: "a DNS label", DNS_SUBDOMAIN: "a DNS subdomain"}
_INTRO = f"""\
<!-- Generated from operator/aiagent_operator/api by `make generate`. Do not edit. -->
# Reference of the kinds

Group `{meta.GROUP}`, version `{meta.VERSION}`. The API server checks all of this when an object is applied; each *rule*
below is the message that its author reads. The same is in `kubectl explain aiagent.spec`. Samples with comments are in
[manifests/samples](../manifests/samples).

In the paths, `[]` is an item of a list. *Required* means required within its parent. Lists *by name* are maps to
Kubernetes: entries merge by that field, and it is unique. A DNS label is lower-case letters, digits and hyphens (RFC
1123); a DNS subdomain is labels with dots between them.
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
    """A field; `inner` is what has the fields below it, itself or its items, and `like` a place that has the same."""

    path: str
    node: Schema
    required: bool
    like: str = ""

    @property
    def inner(self) -> tuple[str, Schema]:
        path, node = self.path, self.node
        for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
            if key in node:
                path, node = path + mark, node[key]
        return path, node


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
    if kind.root_rules or kind.scale:
        page.add("")
    page.add("| Column | Shows |", "|---|---|")
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
    if rules := schema.get(_RULES):
        page.add(*(f"- Rule: {rule['message']}." for rule in rules), "")
    top = list(_fields(page, kind, part, schema))
    _table(page, top)
    for row in top:
        inner = list(_below(page, kind, row))
        if inner:
            page.add(f"#### {kind} {row.path}", "")
            _table(page, inner)


def _fields(page: _Page, kind: str, path: str, node: Schema) -> Iterator[_Row]:
    """Rows for the fields of an object; each structure is described once, and named where it comes again."""
    for name, child in node.get("properties", {}).items():
        row = _Row(f"{path}.{name}", child, name in node.get("required", ()))
        place, inner = row.inner
        if "properties" in inner:
            first = page.first_seen.setdefault(json.dumps(inner["properties"], sort_keys=True), f"{kind} {place}")
            if first != f"{kind} {place}":
                row = replace(row, like=first)
        yield row


def _below(page: _Page, kind: str, row: _Row) -> Iterator[_Row]:
    if row.like:
        return
    for child in _fields(page, kind, *row.inner):
        yield child
        yield from _below(page, kind, child)


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
    node, (_, inner) = row.node, row.inner
    said = [node.get("description", "").replace("<", "&lt;")]
    if row.like:
        said.append(f"As {_link(row.like)}.")
    limits = _limits(node)
    if inner is not node and (each := _limits(inner)):
        limits.append("each " + ", ".join(each))
    if limits:
        said.append(f"({'; '.join(limits)})")
    rules = [*node.get(_RULES, ()), *(inner.get(_RULES, ()) if inner is not node and not row.like else ())]
    said += [f"<br>*Rule:* {rule['message']}." for rule in rules]
    if inner.get("x-kubernetes-preserve-unknown-fields"):
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
        said.append(_PATTERNS.get(node["pattern"], f"matches `{node['pattern']}`"))
    if node.get("x-kubernetes-list-type") == "map":
        said.append("by " + ", ".join(node["x-kubernetes-list-map-keys"]))
    elif node.get("x-kubernetes-list-type") == "set":
        said.append("each once")
    return said


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(markdown(), encoding="utf-8")
