"""What an agent's status keeps of a rollout: the same when it comes back from the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiagent_operator.api.agentstatus import AIAgentStatus
from aiagent_operator.api.schema import structural


def defaults(node: dict[str, Any], path: str = "") -> Iterator[str]:
    if "default" in node:
        yield path
    for name, below in node.get("properties", {}).items():
        yield from defaults(below, f"{path}.{name}")
    if "items" in node:
        yield from defaults(node["items"], f"{path}[]")


def test_the_api_server_adds_nothing_to_what_is_kept() -> None:
    assert list(defaults(structural(AIAgentStatus))) == []
