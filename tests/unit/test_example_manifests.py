"""The manifests of the examples say only what today's kinds know."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.core.children import handbook
from aiagent_operator.core.objects import AgentIdentity

EXAMPLES = Path(__file__).parents[2] / "examples"
CRDS = EXAMPLES.parent / "crds"
MODELS = {"AIAgent": AIAgent, "AgentRole": AgentRole}
DOCUMENTS = [
    pytest.param(document, id=f"{path.relative_to(EXAMPLES)}:{document['kind']}")
    for path in sorted(EXAMPLES.rglob("manifests/*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] in MODELS
]


def _unknown(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """Fields that the schema does not have: the API server would drop them silently."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if isinstance(value, list):
        return [
            found for index, entry in enumerate(value) for found in _unknown(entry, schema["items"], f"{path}[{index}]")
        ]
    if not isinstance(value, dict):
        return []
    properties, other = schema.get("properties", {}), schema.get("additionalProperties")
    found = []
    for key, entry in value.items():
        inner = properties.get(key, other)
        found += [f"{path}.{key}"] if inner is None else _unknown(entry, inner, f"{path}.{key}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
def test_objects_of_our_kinds_fit_them(document: dict[str, Any]) -> None:
    MODELS[document["kind"]].model_validate(document)
    definition = yaml.safe_load((CRDS / f"workforce.dev_{document['kind'].lower()}s.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert _unknown(document["spec"], schema["properties"]["spec"], "spec") == []


def test_the_triage_agent_reads_the_handbook_that_the_operator_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {p.values[0]["kind"]: p.values[0] for p in DOCUMENTS}
    agent, role = AIAgent.model_validate(objects["AIAgent"]), AgentRole.model_validate(objects["AgentRole"])
    identity = AgentIdentity(agent.metadata.namespace, agent.metadata.name, "uid")
    written = handbook.build(identity, handbook.resolve(agent.spec, role.spec), "Be bríef.\n\u2028\t")
    for name, content in written.manifest["data"].items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    # The agent's own reader; its service and jobs need libraries that the operator does not, this part needs none.
    monkeypatch.syspath_prepend(str(EXAMPLES / "ticket-triage"))
    reader, settings = (importlib.import_module(f"triage.{name}") for name in ("handbook", "settings"))
    read = reader.read(tmp_path, 0.99)
    assert read.digest == handbook.content_digest(written)
    assert read.rules[reader.ALL].threshold == 0.6
    assert read.rules[f"{reader.ONE}complaints"].decide == "RequireApproval"
    assert settings.DEFAULTS["TRIAGE_HANDBOOK"] == meta.HANDBOOK_MOUNT
