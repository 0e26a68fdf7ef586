"""One manifest by itself: structure, unknown fields, unique entries and CEL rules, as the API server checks them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import AgentAction
from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.fields import DNS_LABEL, DNS_SUBDOMAIN
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.schema import Kind, Schema, crd
from aiagent_operator.cli.lint import cel_rules
from aiagent_operator.cli.lint.documents import Document, Where
from aiagent_operator.cli.lint.findings import Issue, Rule

Parsed = AIAgent | AgentRole | AgentPolicy | AgentAction
_MODELS: Final[dict[str, type[AIAgent] | type[AgentRole] | type[AgentPolicy] | type[AgentAction]]] = {
    "AIAgent": AIAgent,
    "AgentRole": AgentRole,
    "AgentPolicy": AgentPolicy,
    "AgentAction": AgentAction,
}
_RECORDS: Final = {
    "AgentRevision": "a change of the AIAgent's work makes one",
    "AgentEvaluation": "a change of the AIAgent's work makes one",
    "AgentArchive": "an AIAgent that has left has one",
}
"""Kinds that only the operator writes, and how one comes to be."""
_ROOT: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_METADATA: Final = frozenset(
    {
        "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
        "generateName", "generation", "labels", "managedFields", "name", "namespace", "ownerReferences",
        "resourceVersion", "selfLink", "uid",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """The issues of a manifest, and what it says where it has none that hide it."""

    issues: tuple[Issue, ...]
    parsed: Parsed | None


@cache
def _definition(kind: str) -> tuple[Kind, Schema]:
    found = next(known for known in KINDS if known.kind == kind)
    return found, crd(found)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def is_ours(value: dict[str, Any]) -> bool:
    """Whether the manifest is of our group; all others are left to other tools."""
    return str(value.get("apiVersion", "")).partition("/")[0] == meta.GROUP


def check(document: Document) -> Checked:
    """All issues of one manifest of our group."""
    value = document.value
    twice = tuple(
        Issue(where, Rule.DUPLICATE_FIELD, "stands there twice, and only one of them counts: remove the other")
        for where in document.twice
    )
    if wrong := _unknown_kind(value) or _record(value):
        return Checked((*twice, wrong), None)
    kind, schema = _definition(value["kind"])
    spec_schema = schema["properties"]["spec"]
    metadata = list(_metadata(value, kind))
    issues = [*twice, *metadata, *_unknown_root(value)]
    spec = value.get("spec")
    if not isinstance(spec, dict):
        problem = "must be an object" if "spec" in value and spec is not None else "is missing: the kind requires it"
        return Checked((*issues, Issue(("spec",), Rule.INVALID_FIELD, problem)), None)
    issues += _unknown(spec, spec_schema, ("spec",))
    stored = {**value, "spec": _stored(spec, spec_schema)}
    wrong_values = [*_structure(stored["spec"], kind.spec), *_duplicates(stored["spec"], spec_schema, ("spec",))]
    named = all(issue.rule is Rule.UNKNOWN_FIELD for issue in metadata)
    # The API server does the same: what has the wrong shape is not measured by rules.
    broken = wrong_values or list(
        _rules(stored, schema, ()) if named else _rules(stored["spec"], spec_schema, ("spec",))
    )
    return Checked((*issues, *broken), _parse(stored) if named and not broken else None)


def _unknown_kind(value: dict[str, Any]) -> Issue | None:
    if value["apiVersion"] != meta.API_VERSION:
        message = f"there is no version {value['apiVersion']}: write {meta.API_VERSION}"
        return Issue(("apiVersion",), Rule.UNKNOWN_KIND, message)
    if value.get("kind") not in {*_MODELS, *_RECORDS}:
        message = f"there is no kind {value.get('kind')} in {meta.API_VERSION}: it has {', '.join(sorted(_MODELS))}"
        return Issue(("kind",), Rule.UNKNOWN_KIND, message)
    return None


def _record(value: dict[str, Any]) -> Issue | None:
    if (kind := value["kind"]) not in _RECORDS:
        return None
    message = f"{kind}s are records, which only the operator writes: remove it from these files; {_RECORDS[kind]}"
    return Issue(("kind",), Rule.RECORD, message)


def _metadata(value: dict[str, Any], kind: Kind) -> Iterator[Issue]:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        yield Issue(("metadata",), Rule.INVALID_FIELD, "is missing: give metadata.name")
        return
    for key in metadata:
        if key not in _METADATA:
            yield Issue(
                ("metadata", key), Rule.UNKNOWN_FIELD, "there is no such field in metadata: remove or rename it"
            )
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str) or not name:
        yield Issue(("metadata", "name"), Rule.INVALID_FIELD, "is missing: a manifest in Git needs a name")
    elif len(name) > 253 or not re.fullmatch(DNS_SUBDOMAIN.strip("^$"), name):
        message = (
            "must be lower-case letters, digits, '-' and '.', at most 253, as of an object of Kubernetes (RFC 1123)"
        )
        yield Issue(("metadata", "name"), Rule.INVALID_FIELD, message)
    if namespace is not None and kind.namespaced:
        fits = isinstance(namespace, str) and len(namespace) <= 63 and re.fullmatch(DNS_LABEL.strip("^$"), namespace)
        if not fits:
            message = "must be a DNS label: lower-case letters, digits and '-', at most 63 (RFC 1123)"
            yield Issue(("metadata", "namespace"), Rule.INVALID_FIELD, message)
    elif namespace:
        yield Issue(("metadata", "namespace"), Rule.INVALID_FIELD, f"{kind.kind} is not in namespaces: remove it")


def _unknown_root(value: dict[str, Any]) -> Iterator[Issue]:
    for key in value:
        if key not in _ROOT:
            yield Issue((key,), Rule.UNKNOWN_FIELD, "there is no such field: remove it, or move it into spec")


def _unknown(value: Any, schema: Schema, where: Where) -> Iterator[Issue]:
    """Fields that the API server would drop, or refuse where kubectl asks it to be strict."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, child in value.items():
            if key in known:
                yield from _unknown(child, known[key], (*where, key))
            elif "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
                near = f"; it has {', '.join(sorted(known))}" if known else ""
                message = f"there is no such field: remove or rename it{near}"
                yield Issue((*where, key), Rule.UNKNOWN_FIELD, message)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, schema.get("items", {}), (*where, index))


def _stored(value: Any, schema: Schema) -> Any:
    """The value as the API server stores it: nulls of known fields dropped, defaults filled in, 1.0 as 1."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [_stored(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    kept = {
        key: _stored(child, known.get(key) or others or {})
        for key, child in value.items()
        if child is not None or not (key in known or others)
    }
    defaults = {key: child["default"] for key, child in known.items() if "default" in child and key not in kept}
    return kept | defaults


def _structure(spec: dict[str, Any], model: type[BaseModel]) -> Iterator[Issue]:
    """Types, bounds, patterns, enums and required fields: the models' word, taken strictly as JSON."""
    try:
        model.model_validate_json(json.dumps(spec), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            message = "is missing, and required" if detail["type"] == "missing" else _lower(detail["msg"])
            yield Issue(("spec", *detail["loc"]), Rule.INVALID_FIELD, message)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _duplicates(value: Any, schema: Schema, where: Where) -> Iterator[Issue]:
    """Entries of sets and of lists keyed by a field that stand there twice."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _duplicates(child, schema.get("properties", {}).get(key, {}), (*where, key))
    elif isinstance(value, list):
        seen: set[str] = set()
        keys = schema.get("x-kubernetes-list-map-keys")
        for index, item in enumerate(value):
            yield from _duplicates(item, schema.get("items", {}), (*where, index))
            if keys and isinstance(item, dict):
                mark = json.dumps([item.get(key) for key in keys])
            elif schema.get("x-kubernetes-list-type") == "set":
                mark = json.dumps(item, sort_keys=True)
            else:
                continue
            if mark in seen:
                what = " and ".join(f'{key} "{item.get(key)}"' for key in keys) if keys else mark
                yield Issue((*where, index), Rule.DUPLICATE_ENTRY, f"there is an entry of {what} before it: remove one")
            seen.add(mark)


def _rules(value: Any, schema: Schema, where: Where) -> Iterator[Issue]:
    """CEL rules that do not hold, outermost first."""
    for rule in schema.get("x-kubernetes-validations", ()):
        # Rules that compare with the old object are about changes, and a file knows no old object.
        if "oldSelf" not in rule["rule"] and not cel_rules.holds(rule["rule"], value):
            below = tuple(part for part in rule.get("fieldPath", "").split(".") if part)
            yield Issue((*where, *below), Rule.BROKEN_RULE, rule["message"])
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key, child in value.items():
            yield from _rules(child, known.get(key, others), (*where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _rules(item, schema.get("items", {}), (*where, index))


def _parse(stored: dict[str, Any]) -> Parsed:
    """The manifest as the operator reads it; of its metadata only what rules look at."""
    given = stored["metadata"].get("labels")
    labels = {key: value for key, value in given.items() if isinstance(value, str)} if isinstance(given, dict) else {}
    name, namespace = stored["metadata"]["name"], stored["metadata"].get("namespace") or ""
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return _MODELS[stored["kind"]].model_validate({"metadata": metadata, "spec": stored["spec"]})
