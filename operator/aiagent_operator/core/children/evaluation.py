"""The record of one run of an evaluation of a revision: the template as it was, and later what was measured."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose, RecordedTemplate
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, EvaluationFacts, ObjectKey, digest

LONGEST_NAME: Final = 63
"""So that a label can hold it too."""

_PHASES: Final[Mapping[str, Phase]] = {phase.value: phase for phase in Phase}
_PURPOSES: Final[Mapping[str, Purpose]] = {purpose.value: purpose for purpose in Purpose}
_LONGEST: Final = 512
"""Characters of a message that are kept: thousands of these stay in memory."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which run of an evaluation of one revision it is: by default the one before it serves.

    `suffix` tells it from other runs of the same evaluation of the same revision. `role`: the AgentRole that the agent
    is to be hired as.
    """

    purpose: Purpose = Purpose.PROMOTION
    suffix: str = ""
    role: str = ""


GATE: Final = Occasion()


def hiring(role: str) -> Occasion:
    """The run before the agent is hired as this role: of each role its own, whatever their evaluations are called."""
    return Occasion(Purpose.HIRING, f"hiring-{digest(role)[:8]}", role)


def name_of(agent: AgentIdentity, number: int, evaluation: str, occasion: Occasion = GATE) -> str:
    """`<agent>-<number>-<evaluation>[.<suffix>]`; cut and ended in a hash where it is too long, or could be another
    agent's."""
    ends = f".{occasion.suffix}" if occasion.suffix else ""
    name = f"{agent.name}-{number}-{evaluation}{ends}"
    # Evaluation "2-x" of agent "a" would be named as evaluation "x" of agent "a-1" is.
    if len(name) <= LONGEST_NAME and not evaluation[0].isdigit():
        return name
    told = [agent.name, number, evaluation, *([occasion.suffix] if occasion.suffix else [])]
    return f"{name[: LONGEST_NAME - 9].rstrip('-.')}-{digest(told)[:8]}"


def key_of(agent: AgentIdentity, number: int, evaluation: str, occasion: Occasion = GATE) -> ObjectKey:
    """Where the record is."""
    return ObjectKey(ChildKind.AGENT_EVALUATION, agent.namespace, name_of(agent, number, evaluation, occasion))


def build(
    agent: AgentIdentity, number: int, template: RecordedTemplate, *, stable: int | None, occasion: Occasion = GATE
) -> Desired:
    """The AgentEvaluation of a revision, which `stable` is compared with where there is one."""
    name = name_of(agent, number, template.name, occasion)
    manifest = common.header(ChildKind.AGENT_EVALUATION, agent, agent.namespace, name)
    provider = Provider.JOB if template.job is not None else Provider.PROMETHEUS
    written = template.model_dump(mode="json", by_alias=True, exclude_none=True)
    manifest["spec"] = {
        "agentRef": {"name": agent.name, "uid": agent.uid},
        "revision": number,
        "purpose": occasion.purpose.value,
        "provider": provider.value,
        "template": written,
    }
    manifest["spec"] |= ({"stableRevision": stable} if stable else {}) | (
        {"role": occasion.role} if occasion.role else {}
    )
    # Not our labels' digest: a refusal is about this template, and another one is worth another try.
    return common.desired(manifest, digest(manifest["spec"]))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels: the rest is immutable."""
    return common.owned_digest(live)


def facts(live: Mapping[str, Any]) -> EvaluationFacts:
    """What decisions read of it. A verdict of a newer version counts as Inconclusive: it lets nothing pass."""
    spec, status = live["spec"], live.get("status") or {}
    phase = _PHASES.get(status.get("phase") or Phase.PENDING.value, Phase.INCONCLUSIVE)
    return EvaluationFacts(
        revision=spec["revision"],
        name=spec["template"]["name"],
        purpose=_PURPOSES.get(spec["purpose"]),
        provider=Provider.JOB if "job" in spec["template"] else Provider.PROMETHEUS,
        phase=phase,
        message="" if phase is Phase.SUCCESSFUL else (status.get("message") or "")[:_LONGEST],
        role=sys.intern(spec.get("role", "")),
    )
