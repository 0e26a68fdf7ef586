"""The kinds of the group, and the command that writes their CustomResourceDefinitions.

`python -m aiagent_operator.api.kinds DIR` writes one file per kind into DIR.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import AgentActionSpec, AgentActionStatus
from aiagent_operator.api.agentarchive import AgentArchiveSpec, AgentArchiveStatus
from aiagent_operator.api.agentevaluation import AgentEvaluationSpec, AgentEvaluationStatus
from aiagent_operator.api.agentpolicy import AgentPolicySpec, AgentPolicyStatus
from aiagent_operator.api.agentrevision import AgentRevisionSpec, AgentRevisionStatus
from aiagent_operator.api.agentrole import AgentRoleSpec, AgentRoleStatus
from aiagent_operator.api.agentstatus import AIAgentStatus
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.fields import cel
from aiagent_operator.api.schema import Kind, crd


def _column(name: str, path: str, *, kind: str = "string", description: str, priority: int = 0) -> dict[str, Any]:
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})


_AGE = _column("Age", ".metadata.creationTimestamp", kind="date", description="Time since it was created.")
_READY = _column(
    "Ready", '.status.conditions[?(@.type=="Ready")].status', description="Whether all that the spec says is true."
)
_REASON = _column("Reason", '.status.conditions[?(@.type=="Ready")].reason', description="Why it is or is not ready.")
_MESSAGE = _column(
    "Message", '.status.conditions[?(@.type=="Ready")].message', description="What to do about it.", priority=1
)

# Ready is there from the first moment, before the operator has seen the object (as Gateway API does it).
_UNSEEN = {
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Pending",
            "message": "Waiting for the operator to see this object; if this stays, check that aiagent-operator runs.",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
    ]
}

AIAGENT = Kind(
    kind="AIAgent",
    plural="aiagents",
    short="aia",
    namespaced=True,
    spec=AIAgentSpec,
    status=AIAgentStatus,
    description="An AI agent as an employee: role, permissions, owners and work.",
    columns=(
        _column("Role", ".spec.roleRef.name", description="The agent's role."),
        _READY,
        _REASON,
        _column("Phase", ".status.phase", description="Summary for people."),
        _column("Revision", ".status.revision.stable", kind="integer", description="The version that serves."),
        _column("Granted", ".status.granted", description="Permissions granted, of those asked for."),
        _column("Accountable", ".status.accountable", description="Who answers for the agent."),
        _AGE,
        _column("Purpose", ".spec.purpose", description="What the agent is for.", priority=1),
        _MESSAGE,
    ),
    root_rules=(
        cel(
            "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "the name of an AIAgent must be a DNS label of at most 40 characters: its objects are named after it",
            path=".metadata.name",
        ),
        cel(
            "!has(self.spec.retirement) || !has(self.spec.retirement.successorRef) || "
            "self.spec.retirement.successorRef.name != self.metadata.name",
            "an agent does not come after itself: name another one, or leave successorRef out",
            path=".spec.retirement.successorRef",
        ),
        cel(
            "!has(self.spec.succession) || self.spec.succession.predecessorRef.name != self.metadata.name",
            "an agent does not come after itself: name another one, or leave spec.succession out",
            path=".spec.succession.predecessorRef",
        ),
    ),
    scale={
        "specReplicasPath": ".spec.workload.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    },
    status_default=_UNSEEN,
)

AGENTROLE = Kind(
    kind="AgentRole",
    plural="agentroles",
    short="arole",
    namespaced=False,
    spec=AgentRoleSpec,
    status=AgentRoleStatus,
    description="A job description: what agents of this role may be granted, where, and under whose eyes.",
    columns=(
        _column("State", ".spec.lifecycle.state", description="Draft, Approved or Deprecated."),
        _READY,
        _REASON,
        _AGE,
        _column("Description", ".spec.description", description="What agents of this role do.", priority=1),
        _MESSAGE,
    ),
    status_default=_UNSEEN,
)

AGENTACTION = Kind(
    kind="AgentAction",
    plural="agentactions",
    short="aact",
    namespaced=True,
    spec=AgentActionSpec,
    status=AgentActionStatus,
    description="A manager's order about agents, carried out without an edit of their specs.",
    columns=(
        _column("Action", ".spec.action", description="What is ordered."),
        _column("Agent", ".spec.agentRef.name", description="The agent, where it is about one."),
        _column("Phase", ".status.phase", description="Summary for people."),
        _column("Agents", ".status.agents", kind="integer", description="Agents that it is about."),
        _column("Done", ".status.done", kind="integer", description="Agents for which it is carried out."),
        _column("By", ".spec.requestedBy", description="Who orders it."),
        _AGE,
        _column("Why", ".spec.reason", description="Why it was ordered.", priority=1),
        _MESSAGE,
    ),
    status_default=_UNSEEN,
)

AGENTREVISION = Kind(
    kind="AgentRevision",
    plural="agentrevisions",
    short="arev",
    namespaced=True,
    spec=AgentRevisionSpec,
    status=AgentRevisionStatus,
    description="One version of what an agent is: immutable, numbered, kept. The operator writes it, and nobody else.",
    columns=(
        _column("Agent", ".spec.agentRef.name", description="The agent."),
        _column("Revision", ".spec.number", kind="integer", description="Number of the revision."),
        _column("State", ".status.state", description="Where it is in its life."),
        _column("Trigger", ".spec.trigger", description="What made it."),
        _AGE,
        _column("Images", ".spec.work.images[*].image", description="Images of its containers.", priority=1),
        _column("Model", ".spec.work.model.name", description="Its model.", priority=1),
        _column("Why", ".status.message", description="Why it is in this state.", priority=1),
    ),
    status_default={"state": "Candidate"},
)

AGENTPOLICY = Kind(
    kind="AgentPolicy",
    plural="agentpolicies",
    short="apol",
    namespaced=False,
    spec=AgentPolicySpec,
    status=AgentPolicyStatus,
    description="The governance committee's rules about training, for the agents that it selects.",
    columns=(
        _column("Agents", ".status.agents", kind="integer", description="Agents that it selects."),
        _column("Training", ".status.training", kind="integer", description="Agents of these that train now."),
        _column("Overdue", ".status.overdue", kind="integer", description="Agents of these that are overdue."),
        _column("MaxAge", ".spec.maxAge", description="How old their training may get."),
        _READY,
        _REASON,
        _AGE,
        _column("Description", ".spec.description", description="What it is for.", priority=1),
        _MESSAGE,
    ),
    status_default=_UNSEEN,
)

AGENTEVALUATION = Kind(
    kind="AgentEvaluation",
    plural="agentevaluations",
    short="aeval",
    namespaced=True,
    spec=AgentEvaluationSpec,
    status=AgentEvaluationStatus,
    description="One run of an evaluation of a revision: what was measured, and the verdict. Written by the operator "
    "alone.",
    columns=(
        _column("Agent", ".spec.agentRef.name", description="The agent."),
        _column("Revision", ".spec.revision", kind="integer", description="Number of the revision."),
        _column("Purpose", ".spec.purpose", description="What it is for."),
        _column("Provider", ".spec.provider", description="Who measures."),
        _column("Phase", ".status.phase", description="The verdict, or where the run stands."),
        _AGE,
        _column("Verdict", ".status.message", description="What decided it, or what it waits for.", priority=1),
    ),
    status_default={"phase": "Pending"},
)

AGENTARCHIVE = Kind(
    kind="AgentArchive",
    plural="agentarchives",
    short="aarch",
    namespaced=False,
    spec=AgentArchiveSpec,
    status=AgentArchiveStatus,
    description="The personnel file of an agent that has left: the index of its archive in an archive store. Written "
    "by the operator alone.",
    columns=(
        _column("Namespace", ".spec.agent.namespace", description="The namespace that the agent was in."),
        _column("Agent", ".spec.agent.name", description="The agent."),
        _column("Reason", ".spec.reason", description="Why it left."),
        _column("Mode", ".spec.mode", description="Planned, or Emergency: its rights were revoked first."),
        _column("Phase", ".status.phase", description="Summary for people."),
        _column("Until", ".spec.retention.until", description="Until when the archive is kept at least."),
        _AGE,
        _column("Store", ".spec.store", description="The archive store that it is in.", priority=1),
        _column("Size", ".spec.manifest.size", kind="integer", description="Bytes of all that is in it.", priority=1),
    ),
    status_default=_UNSEEN,
)

KINDS = (AIAGENT, AGENTROLE, AGENTPOLICY, AGENTACTION, AGENTREVISION, AGENTEVALUATION, AGENTARCHIVE)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (yaml calls it so)
        return True


def write(directory: Path) -> None:
    """Writes one file per kind, each under 200 KB as JSON, so that the annotation of client-side apply can carry it."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        definition = crd(kind)
        text = "# Generated from operator/aiagent_operator/api by `make generate`. Do not edit.\n" + yaml.dump(
            definition, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True
        )
        if len(orjson.dumps(definition)) > 200_000:
            raise ValueError(f"the definition of {kind.kind} is larger than 200 KB: bound it or make a part opaque")
        (directory / f"{meta.GROUP}_{kind.plural}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
