"""Counts what was put back after somebody else's edit or deletion."""

from __future__ import annotations

from collections.abc import Iterable

from aiagent_operator.core.objects import ObjectKey
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.runtime import metrics


def count(observed: Observed, writes: Iterable[Write], sent: set[ObjectKey]) -> None:
    """A child that the inventory names and that is created or replaced, though neither the spec changed nor another
    revision takes over. `sent` are those of this pass, of which each counts once."""
    status = observed.agent.status
    rolling = (status.get("revision") or {}).get("rollingOut")
    if rolling or status.get("observedGeneration") != observed.agent.metadata.generation:
        return
    names = {(e["kind"], e["namespace"], e["name"]) for e in status.get("inventory") or ()}
    for write in writes:
        key = write.key
        if key not in sent and write.verb is not Verb.DELETE and (key.kind.value, key.namespace, key.name) in names:
            sent.add(key)
            metrics.REPAIRS_TOTAL.labels(key.kind.value).inc()
