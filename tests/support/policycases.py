"""A whole AgentPolicy, and wrong ones, one for each rule of its schema, with the words that their authors will read."""

from typing import Any

from support.schemacases import GONE, rule

POLICY: dict[str, Any] = {
    "apiVersion": "workforce.dev/v1alpha1",
    "kind": "AgentPolicy",
    "metadata": {"name": "customer-data"},
    "spec": {
        "description": "Agents that talk to customers",
        "selector": {"agentSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}},
        "windows": [{"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "6h"}],
        "maxConcurrent": 5,
        "maxAge": "720h",
        "overdue": {"grace": "72h"},
        "curriculum": "2026-2",
        "revisionHistoryLimit": 20,
        "handover": {"deadline": "168h", "onDeadline": "Release"},
    },
}
_TERM = "spec.selector.agentSelector.matchExpressions.0"

POLICY_RULES = [
    rule(f"{_TERM}.values", GONE, "In and NotIn need values", _TERM, "AgentPolicy"),
    rule(f"{_TERM}.operator", "Exists", "Exists and DoesNotExist have none", _TERM, "AgentPolicy"),
    rule("spec.maxAge", GONE, "give maxAge too", "spec", "AgentPolicy"),
    rule("spec.archive", {}, "says nothing: give store, retention", base="AgentPolicy"),
    rule("spec.windows.0.duration", "1s", "must be a duration from 1m to 8784h", base="AgentPolicy"),
]
