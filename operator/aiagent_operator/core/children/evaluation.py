"""The record of one run of an evaluation of a revision: the template as it was, and later what was measured."""

from __future__ import annotations

from collections.abc import Mapping
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


def name_of(agent: AgentIdentity, number: int, evaluation: str) -> str:
    """`<agent>-<number>-<evaluation>`; cut and ended in a hash where it is too long, or could be another agent's."""
    name = f"{agent.name}-{number}-{evaluation}"
    # Evaluation "2-x" of agent "a" would be named as evaluation "x" of agent "a-1" is.
    if len(name) <= LONGEST_NAME and not evaluation[0].isdigit():
        return name
    return f"{name[: LONGEST_NAME - 9].rstrip('-')}-{digest([agent.name, number, evaluation])[:8]}"


def key_of(agent: AgentIdentity, number: int, evaluation: str) -> ObjectKey:
    """Where the record is."""
    return ObjectKey(ChildKind.AGENT_EVALUATION, agent.namespace, name_of(agent, number, evaluation))


def build(
    agent: AgentIdentity, number: int, template: RecordedTemplate, *, purpose: Purpose, stable: int | None
) -> Desired:
    """The AgentEvaluation of a revision, which `stable` is compared with where there is one."""
    name = name_of(agent, number, template.name)
    manifest = common.header(ChildKind.AGENT_EVALUATION, agent, agent.namespace, name)
    provider = Provider.JOB if template.job is not None else Provider.PROMETHEUS
    written = template.model_dump(mode="json", by_alias=True, exclude_none=True)
    manifest["spec"] = {
        "agentRef": {"name": agent.name, "uid": agent.uid},
        "revision": number,
        "purpose": purpose.value,
        "provider": provider.value,
        "template": written,
    } | ({"stableRevision": stable} if stable else {})
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
    )
