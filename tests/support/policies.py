"""AgentPolicies for tests: specs as on the wire, and strategies that draw them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import Merged

NIGHTS = {"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "6h"}
YEAR_END = {"name": "year-end", "kind": "Freeze", "schedule": "0 0 15 12 *", "duration": "504h"}
WEEKENDS = {"name": "weekends", "kind": "Freeze", "schedule": "0 0 * * SAT", "duration": "48h"}
SUBJECT = Subject("support", {"tier": "gold"}, {"kubernetes.io/metadata.name": "crm"})


def policy(name: str = "corp", /, **fields: Any) -> CompiledPolicy:
    """A policy for all agents, unless it has a selector."""
    return CompiledPolicy.of(name, {"description": "Rules", "selector": {}} | fields)


def merged(*policies: CompiledPolicy) -> Merged:
    """What they demand together."""
    found = Merged()
    for each in policies:
        found = found.join(Merged.of(each))
    return found


AGES = st.sampled_from(("24h", "168h", "240h", "720h"))
OVERDUE = st.fixed_dictionaries(
    {"grace": st.sampled_from(("0s", "1h", "48h", "1000h")), "action": st.sampled_from(("Announce", "Suspend"))}
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A policy's spec for all agents; some cannot be read."""
    spec: dict[str, Any] = {"description": "Rules", "selector": {}}
    optional = {
        "windows": st.lists(
            st.sampled_from((NIGHTS, YEAR_END, WEEKENDS)), max_size=2, unique_by=lambda window: str(window["name"])
        ),
        "maxConcurrent": st.integers(1, 4),
        "maxAge": AGES,
        "requiredEvaluations": st.lists(
            st.sampled_from(("accuracy", "safety", "tone")).map(lambda name: {"name": name}),
            max_size=2,
            unique_by=lambda evaluation: evaluation["name"],
        ),
        "revisionHistoryLimit": st.integers(0, 20),
        "curriculum": st.sampled_from(("2026-1", "2026-2")),
    }
    spec |= {name: draw(values) for name, values in optional.items() if draw(st.booleans())}
    if "maxAge" in spec and draw(st.booleans()):
        spec["overdue"] = draw(OVERDUE)
    if draw(st.integers(0, 9)) == 0:
        spec["windows"] = [{**NIGHTS, "timeZone": "Mars/Olympus"}]
    return spec


POLICIES = st.lists(specs(), max_size=4).map(
    lambda drawn: tuple(CompiledPolicy.of(f"p{number}", spec) for number, spec in enumerate(drawn))
)
"""Policies of different names, as in a cluster."""
