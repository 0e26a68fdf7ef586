"""Gauges of what there is, counted from the store."""

from __future__ import annotations

from collections import Counter

from aiagent_operator.api.agentstatus import PermissionState, Phase
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.store import Store

# What is counted of archives, by the status of the condition Verified, or that it was purged, or that there is none.
_FOUND = {"Whole": "True", "Altered": "False", "Unknown": "Unknown", "Purged": "Purged", "Abandoned": "Abandoned"}
_PHASES = (*(phase.value for phase in Phase), "Unknown")


def update(store: Store) -> None:
    """Sets those that count agents and archives."""
    phases = Counter(record.phase or "Unknown" for record in store.agents.values())
    metrics.set_counts(metrics.AGENTS, phases, _PHASES)
    # Agents of one role have the same few states, so that counting these first is counting little.
    states: Counter[str] = Counter()
    for some, agents in Counter(record.permissions for record in store.agents.values()).items():
        for state in some:
            states[state] += agents
    metrics.set_counts(metrics.PERMISSIONS, states, tuple(PermissionState))
    verified = Counter(record.verified for record in store.archives.records.values())
    found = {name: verified[status] for name, status in _FOUND.items()}
    metrics.set_counts(metrics.ARCHIVES, found, tuple(_FOUND))
    metrics.IDENTITY_EXPOSED.set(sum(record.exposed for record in store.agents.values()))
