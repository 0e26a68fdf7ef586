"""Turns valid manifests into ones that are nearly right, guided by the schema that the API server enforces.

One to three places of a manifest are changed: a value on or just beyond its bounds, another type, null, a name that
only a careless regular expression takes, a duplicate, an unknown field, a field left out or put in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from support.specs import CIDRS, Manifest

Schema = dict[str, Any]

# Each is right for some field and wrong for another: newlines at the ends (where `$` of some engines matches before
# them), spaces and digits beyond ASCII, upper case, empty labels, wildcards, words that YAML 1.1 reads as booleans.
_STRINGS = (
    "", " ", "a", "A", "a ", " a", "a\n", "\na", "a\nb", "a\r", "a\u00a0", "a\u2028", "a\u0085", "\u00e9",
    "e\u0301", "ａ", "１", "漢字", "😀", "a\x00", "\ufeffa", "\ud800", "-a", "a-", "a.", ".a", "a..b", "a/b",
    "a/b/c", "/a", "a_b", "*", "*.example", "K", "ı", "ſ", "no", "true", "null", "1", "-1", "1.", ".5", "1e3",
    "+1", "0x1", "1.0", "١", "{{a}}", "workforce-x", "apps/v1", "apps/v1\n", "apps/v2", "create", "user:name",
    "..", "Ready", "Always ", "always", "ALWAYS", "OnApproval", "TCP ", "SCTP",
)  # fmt: skip
# Mostly right, so that what stands beside them is looked at too.
_PLAIN = ("a", "a-b", "x1", "get", "create", "apps", "1", "0.5")
_CIDRS = (
    *CIDRS, "203.0.113.1/24", "203.0.113.0", "203.0.113.0/33", "203.0.113.0/-1", "203.0.113.0/024",
    "0203.0.113.0/24", "203.0.113.0/24\n", " 203.0.113.0/24", "203.0.113/24", "::ffff:10.0.0.0/104",
    "fe80::%eth0/64", "2001:db8::1/32", "10.0.0.0/8/8", "2001:db8::/129", "cidr", "", "/", "０.0.0.0/0",
    "2001:0db8:0000:0000:0000:0000:0000:0000/128",
)  # fmt: skip
_NUMBERS = (0, 1, -1, 443, 443.0, 443.5, 65535, 65536, 1000, 1001, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 1e100)
_OTHERS: tuple[Any, ...] = (None, True, False, 0, 1, "", "true", [], {}, [None], {"a": None}, [[]], "x")


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a manifest: its container, the key or index there, and the schema of what stands there."""

    container: Any
    key: str | int
    schema: Schema

    @property
    def value(self) -> Any:
        """What stands there."""
        return self.container[self.key]


def places(value: Any, schema: Schema) -> Iterator[Place]:
    """Every place below `value` that the schema describes."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key in value:
            child = properties.get(key, schema.get("additionalProperties"))
            if child:
                yield Place(value, key, child)
                yield from places(value[key], child)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield Place(value, index, schema["items"])
            yield from places(item, schema["items"])


def nearly(valid: st.SearchStrategy[Manifest], spec_schema: Schema) -> st.SearchStrategy[Manifest]:
    """Manifests of the strategy with one to three places changed; many of them are still right."""

    @st.composite
    def build(draw: st.DrawFn) -> Manifest:
        manifest = copy.deepcopy(draw(valid))
        if draw(st.integers(0, 39)) == 0:
            manifest["metadata"]["name"] = draw(
                st.sampled_from(("x" * 40, "x" * 41, "a.b", "A", "-a", "a-", "ü", "a\n"))
            )
        for _ in range(draw(st.sampled_from((1, 1, 1, 1, 2, 3)))):
            found = [Place(manifest, "spec", spec_schema), *places(manifest["spec"], spec_schema)]
            # Small values first: a change to a whole branch hides what stands in it.
            leaves = [place for place in found if not isinstance(place.value, dict | list)]
            _change(draw, draw(st.sampled_from(found) | st.sampled_from(leaves or found)))
            if not isinstance(manifest.get("spec"), dict):
                break
        return manifest

    return build()


def _change(draw: st.DrawFn, place: Place) -> None:
    kind = draw(st.integers(0, 15))
    if kind == 0:
        place.container[place.key] = copy.deepcopy(draw(st.sampled_from(_OTHERS)))
    elif kind == 1:
        del place.container[place.key]
    else:
        _change_within(draw, place)


def _change_within(draw: st.DrawFn, place: Place) -> None:
    schema, value = place.schema, place.value
    match schema["type"]:
        case "string":
            place.container[place.key] = draw(_strings(place.key, schema))
        case "integer":
            near = [n + d for n in (schema.get("minimum", 0), schema.get("maximum", 0)) for d in (-1, 0, 1)]
            place.container[place.key] = draw(st.sampled_from([*near, *_NUMBERS]))
        case "boolean":
            flags: list[Any] = [True, False, 0, 1, "true", "no"]
            place.container[place.key] = draw(st.sampled_from(flags))
        case "array" if isinstance(value, list):
            _change_list(draw, value, schema)
        case "object" if isinstance(value, dict):
            _change_object(draw, value, schema)


def _strings(key: str | int, schema: Schema) -> st.SearchStrategy[str]:
    if key == "cidr":
        return st.sampled_from(_CIDRS)
    options = [st.sampled_from(_STRINGS), st.sampled_from(_PLAIN)]
    if "enum" in schema:
        enum = st.sampled_from(schema["enum"])
        options += [enum, st.builds(str.__add__, enum, st.sampled_from(["\n", " ", "s"])), enum.map(str.swapcase)]
    if "maxLength" in schema:
        # API servers count characters, not bytes or UTF-16 units.
        lengths = st.sampled_from([schema["maxLength"] - 1, schema["maxLength"], schema["maxLength"] + 1])
        options.append(st.builds(str.__mul__, st.sampled_from(["a", "9", "é", "😀"]), lengths))
    return st.one_of(options)


def _change_list(draw: st.DrawFn, value: list[Any], schema: Schema) -> None:
    kind = draw(st.integers(0, 3))
    if kind == 0 or not value:
        value.clear()
    elif kind == 1:
        value.append(copy.deepcopy(draw(st.sampled_from(value))))
    elif kind == 2:
        size = schema["maxItems"] + draw(st.integers(0, 1))
        value.extend(_variant(value[0], number) for number in range(len(value), size))
    else:
        value.append(draw(st.sampled_from(_OTHERS)))


def _variant(item: Any, number: int) -> Any:
    """A copy that differs where lists are keyed, so that only the length is at issue."""
    if isinstance(item, dict) and "name" in item:
        return {**copy.deepcopy(item), "name": f"n{number}"}
    return f"n{number}" if isinstance(item, str) else copy.deepcopy(item)


def _change_object(draw: st.DrawFn, value: dict[str, Any], schema: Schema) -> None:
    if "additionalProperties" in schema:
        size = schema["maxProperties"] + draw(st.integers(0, 1))
        value.update({f"k{number}": "v" for number in range(len(value), size)})
        return
    absent = [name for name in schema.get("properties", {}) if name not in value]
    missing: bool = draw(st.booleans())
    if absent and missing:
        name = draw(st.sampled_from(absent))
        value[name] = _simplest(schema["properties"][name])
        _change_within(draw, Place(value, name, schema["properties"][name]))
    else:
        value[draw(st.sampled_from(["newer", "Name", "name ", "é", "", "x-y"]))] = draw(st.sampled_from(_OTHERS))


def _simplest(schema: Schema) -> Any:
    """Something of the right type, with what is required and no more."""
    match schema["type"]:
        case "object":
            properties = schema.get("properties", {})
            return {name: _simplest(properties[name]) for name in schema.get("required", ())}
        case "array":
            return [_simplest(schema["items"]) for _ in range(schema.get("minItems", 0))]
        case "string":
            return schema.get("enum", ["a"])[0]
        case "integer":
            return schema.get("minimum", 1)
        case _:
            return False
