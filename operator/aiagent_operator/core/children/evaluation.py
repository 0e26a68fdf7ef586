"""The record of one run of an evaluation of a revision: the template as it was, and later what was measured."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose, RecordedTemplate
from aiagent_operator.core import texts
from aiagent_operator.core.children import common
from aiagent_operator.core.evaluation import numbers
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, EvaluationFacts, ObjectKey, digest

LONGEST_NAME: Final = 63
"""So that a label can hold it too."""

_PHASES: Final[Mapping[str, Phase]] = {phase.value: phase for phase in Phase}
_PURPOSES: Final[Mapping[str, Purpose]] = {purpose.value: purpose for purpose in Purpose}
_LONGEST: Final = 512
"""Characters of a message that are kept: thousands of these stay in memory."""

_NUMBERS: Final = 4
"""Numbers of groups that are said; the record has all of them."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """Which run of an evaluation of one revision it is: by default the one before it serves.

    `suffix` tells it from other runs of the same evaluation of the same revision. `role`: the AgentRole that the agent
    is to be hired as. `scheduled`: the time that it was planned for (RFC 3339), where it was.
    """

    purpose: Purpose = Purpose.PROMOTION
    suffix: str = ""
    role: str = ""
    scheduled: str = ""


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
    manifest["spec"] |= {"scheduledTime": occasion.scheduled} if occasion.scheduled else {}
    # Not our labels' digest: a refusal is about this template, and another one is worth another try.
    return common.desired(manifest, digest(manifest["spec"]))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels: the rest is immutable."""
    return common.owned_digest(live)


def facts(live: Mapping[str, Any]) -> EvaluationFacts:
    """What decisions read of it. A verdict of a newer version counts as Inconclusive: it lets nothing pass."""
    spec, status = live["spec"], live.get("status") or {}
    phase = _PHASES.get(status.get("phase") or Phase.PENDING.value, Phase.INCONCLUSIVE)
    released = status.get("released") or {}
    scheduled = spec.get("scheduledTime", "")
    return EvaluationFacts(
        revision=spec["revision"],
        name=spec["template"]["name"],
        purpose=_PURPOSES.get(spec["purpose"]),
        provider=Provider.JOB if "job" in spec["template"] else Provider.PROMETHEUS,
        phase=phase,
        message="" if phase is Phase.SUCCESSFUL else (status.get("message") or "")[:_LONGEST],
        role=sys.intern(spec.get("role", "")),
        scheduled=scheduled,
        completed=status.get("completedAt") or "" if scheduled else "",
        groups="" if phase is Phase.SUCCESSFUL else _extremes(status.get("groups") or ()),
        released=released.get("uid", ""),
        released_at=released.get("time", ""),
        released_by=released.get("by", "")[:_LONGEST],
    )


def _extremes(groups: Sequence[Mapping[str, Any]]) -> str:
    """What was measured of groups in a few words: of each number the lowest and the highest, and whose they are."""
    found: dict[str, list[tuple[Decimal, str]]] = {}
    for group in groups:
        for name, value in (group.get("values") or {}).items():
            number = numbers.of_prometheus(value)
            if number is not None and number.is_finite():
                found.setdefault(name, []).append((number, group["name"]))
    said = [f"{name} from {_whose(min(values))} to {_whose(max(values))}" for name, values in sorted(found.items())]
    return texts.some(said, _NUMBERS, "; ")[:_LONGEST]


def _whose(found: tuple[Decimal, str]) -> str:
    return f"{numbers.written(found[0])} ({found[1]})"
