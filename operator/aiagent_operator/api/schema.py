"""Structural schemas and CustomResourceDefinitions, made from the models.

The source of the rules: Kubernetes, "Specifying a structural schema". References are resolved, titles dropped, optional
fields lose their null, and the extensions that the models carry (`x-kubernetes-*`) stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from aiagent_operator.api import meta

Schema = dict[str, Any]

_LARGEST = 2**63 - 1
_KEPT = {
    "type", "description", "enum", "pattern", "format", "default", "minLength", "maxLength", "minItems", "maxItems",
    "minimum", "maximum", "required", "maxProperties", "minProperties",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the group: names, scope, models and columns of `kubectl get`."""

    kind: str
    plural: str
    short: str
    namespaced: bool
    spec: type[BaseModel]
    status: type[BaseModel]
    description: str
    columns: tuple[Schema, ...]
    root_rules: tuple[Schema, ...] = ()
    scale: Schema | None = None
    status_default: Schema | None = field(default=None)


def structural(model: type[BaseModel]) -> Schema:
    """The model's schema as Kubernetes wants it."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def _convert(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _resolved(node, definitions)
    out: Schema = {k: v for k, v in node.items() if k in _KEPT or k.startswith("x-kubernetes-")}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "properties" in node:
        out["properties"] = {k: _convert(v, definitions) for k, v in node["properties"].items()}
    elif isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(node["additionalProperties"], definitions)
    if "items" in node:
        out["items"] = _convert(node["items"], definitions)
    if out.get("maximum") == _LARGEST:
        del out["maximum"]  # what the format says; a bound is a float in OpenAPI, which has no such number
    if out.get("type") == "integer" and "maximum" not in out:
        out["format"] = "int64"  # bounded ones do without: the error about a format names no field
    if isinstance(out.get("default"), dict | list | None):
        out.pop("default", None)  # the models fill these in; the stored object stays what its author wrote
    return dict(sorted(out.items(), key=lambda kv: _order(kv[0])))


def _resolved(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follows references and takes the one alternative of an optional field that is not null."""
    while True:
        if "anyOf" in node:
            chosen = [option for option in node["anyOf"] if option.get("type") != "null"]
            if len(chosen) != 1:
                raise ValueError(f"a structural schema has no alternatives: {node}")
            node = chosen[0] | {k: v for k, v in node.items() if k != "anyOf"}
        elif "$ref" in node:
            target = definitions[node["$ref"].rsplit("/", 1)[-1]]
            node = target | {k: v for k, v in node.items() if k != "$ref"}
        elif "allOf" in node and len(node["allOf"]) == 1:
            node = node["allOf"][0] | {k: v for k, v in node.items() if k != "allOf"}
        else:
            return node


def _order(key: str) -> tuple[int, str]:
    first = ("description", "type", "format", "enum", "default")
    return (first.index(key) if key in first else len(first) + (key.startswith("x-") or key == "properties"), key)


def _string(description: str, longest: int) -> Schema:
    return {"description": description, "type": "string", "maxLength": longest}


def crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of the kind."""
    spec, status = structural(kind.spec), structural(kind.status)
    if kind.status_default:
        status["default"] = kind.status_default
    root: Schema = {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": _string(f"Group and version: {meta.API_VERSION}.", 64),
            "kind": _string(f"Kind: {kind.kind}.", 63),
            # Named here so that a rule on the name can point at it.
            "metadata": {"type": "object", "properties": {"name": _string("Name of the object.", 253)}},
            "spec": spec,
            "status": status,
        },
    }
    if kind.root_rules:
        root["x-kubernetes-validations"] = list(kind.root_rules)
    subresources: Schema = {"status": {}}
    if kind.scale:
        subresources["scale"] = kind.scale
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{meta.GROUP}", "labels": {"app.kubernetes.io/part-of": meta.MANAGER}},
        "spec": {
            "group": meta.GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short],
                "categories": ["workforce"],
            },
            "versions": [
                {
                    "name": meta.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                    "subresources": subresources,
                    "additionalPrinterColumns": list(kind.columns),
                }
            ],
        },
    }
