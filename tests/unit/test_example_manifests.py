"""The manifests of the examples say only what today's kinds know."""

import json
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


def test_the_triage_agents_handbook_has_the_rules_that_it_knows() -> None:
    objects = {p.values[0]["kind"]: p.values[0] for p in DOCUMENTS}
    agent, role = AIAgent.model_validate(objects["AIAgent"]), AgentRole.model_validate(objects["AgentRole"])
    identity = AgentIdentity(agent.metadata.namespace, agent.metadata.name, "uid")
    data = handbook.build(identity, handbook.resolve(agent.spec, role.spec), "text").manifest["data"]
    actions = {rule["action"]: rule for rule in json.loads(data["handbook.json"])["rules"]}
    assert actions["assign a ticket to a queue"]["limit"] == "0.40"
    source = (EXAMPLES / "ticket-triage" / "triage" / "handbook.py").read_text()
    assert 'ALL: Final = "assign a ticket to a queue"' in source
    settings = (EXAMPLES / "ticket-triage" / "triage" / "settings.py").read_text()
    assert f'"TRIAGE_HANDBOOK": "{meta.HANDBOOK_MOUNT}"' in settings
