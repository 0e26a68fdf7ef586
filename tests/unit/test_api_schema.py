"""The generated schemas: described, bounded, small, and with columns that show what exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiagent_operator.api.kinds import KINDS, write
from aiagent_operator.api.schema import Kind, crd

CRDS = Path(__file__).resolve().parents[2] / "crds"
Schema = dict[str, Any]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def root(kind: Kind) -> Schema:
    schema: Schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node below, by its path; [] stands for an item, {} for a value of a map."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield path + mark, schema[key]
            yield from fields(schema[key], path + mark)


def test_committed_definitions_are_those_of_the_models(tmp_path: Path) -> None:
    write(tmp_path)
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in CRDS.iterdir()}
    assert committed == generated, "crds/ is stale: run `make generate`"


@every_kind
def test_definition_fits_into_the_annotation_of_client_side_apply(kind: Kind) -> None:
    assert len(orjson.dumps(crd(kind))) < 200_000


@every_kind
def test_every_field_is_described(kind: Kind) -> None:
    undescribed = [
        path
        for path, node in fields(root(kind))
        if not path.endswith(("[]", "{}", ".metadata")) and not node.get("description")
    ]
    assert undescribed == []


@every_kind
def test_descriptions_are_plain_sentences(kind: Kind) -> None:
    for path, node in fields(root(kind)):
        text = node.get("description", ".")
        assert text.endswith("."), f"{path}: {text!r} ends without a full stop"
        assert "\u2014" not in text, f"{path}: {text!r} has an em-dash"


@every_kind
def test_every_string_list_and_map_is_bounded(kind: Kind) -> None:
    def bounded(node: Schema) -> bool:
        match node["type"]:
            case "string":
                return "maxLength" in node or "enum" in node or node.get("format") == "date-time"
            case "array":
                return "maxItems" in node
            case "object":
                return "maxProperties" in node or "additionalProperties" not in node
            case _:
                return True

    assert [path for path, node in fields(root(kind)) if not bounded(node)] == []


@every_kind
def test_every_list_says_how_it_merges(kind: Kind) -> None:
    lists = [(path, node) for path, node in fields(root(kind)) if node["type"] == "array"]
    assert [path for path, node in lists if "x-kubernetes-list-type" not in node] == []
    for path, node in lists:
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], f"{path} is keyed by {key}, which may be missing"


@every_kind
def test_every_rule_has_a_message_for_people(kind: Kind) -> None:
    for path, node in [("", root(kind)), *fields(root(kind))]:
        for rule in node.get("x-kubernetes-validations", ()):
            assert len(rule["message"]) > 20, f"{path}: {rule}"


@every_kind
def test_columns_and_scale_point_at_fields_that_exist(kind: Kind) -> None:
    known = {path for path, _ in fields(root(kind))}
    paths = [column["jsonPath"] for column in kind.columns] + [
        path for name, path in (kind.scale or {}).items() if name.endswith("Path")
    ]
    for path in paths:
        plain = re.sub(r"\[(?:\?\(@\.(\w+)==\"\w+\"\)|\*)\]", "[]", path)
        assert plain in known or plain == ".metadata.creationTimestamp", f"{path} shows nothing"
        for key in re.findall(r"@\.(\w+)==", path):
            assert plain.split("[]")[0] + f"[].{key}" in known, f"{path} filters by a field that is not there"


@every_kind
def test_columns_have_distinct_names_and_few_are_always_shown(kind: Kind) -> None:
    names = [column["name"] for column in kind.columns]
    assert len(names) == len(set(names))
    assert sum(not column.get("priority") for column in kind.columns) <= 8


@every_kind
def test_defaults_are_scalars_so_that_specs_stay_as_written(kind: Kind) -> None:
    spec = root(kind)["properties"]["spec"]
    assert [path for path, node in fields(spec) if isinstance(node.get("default"), dict | list)] == []
