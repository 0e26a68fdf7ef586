"""CEL rules of a schema, evaluated everywhere in a value, without an API server."""

from collections.abc import Iterator
from typing import Any

from aiagent_operator.cli.lint import cel_rules


def broken(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Messages of the rules that do not hold."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if not cel_rules.holds(rule["rule"], value):
            yield rule["message"]
    if isinstance(value, dict):
        for name, child in value.items():
            if name in schema.get("properties", {}):
                yield from broken(child, schema["properties"][name])
    elif isinstance(value, list):
        for child in value:
            yield from broken(child, schema["items"])
