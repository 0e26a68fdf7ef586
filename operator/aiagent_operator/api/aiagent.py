"""AIAgent: the employee."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.agentstatus import MOST_HISTORY
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.fields import Model, ObjectName, Text, cel, described, map_by, rules
from aiagent_operator.api.handbook import Handbook
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.api.owners import Owner
from aiagent_operator.api.permissions import Permissions
from aiagent_operator.api.retirement import Retirement
from aiagent_operator.api.retraining import Retraining
from aiagent_operator.api.succession import Succession
from aiagent_operator.api.supervision import Supervision
from aiagent_operator.api.workload import Workload

# Revisions that are kept beside the one that serves, as a Deployment keeps its ReplicaSets.
HISTORY = 10


class RoleRef(Model):
    """The agent's role."""

    name: Annotated[ObjectName, described("Name of an AgentRole that the author may `use`.")]


class ModelRef(Model):
    """The model that the agent works with; the agent reads it in its handbook (handbook.json, key `model`)."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=128), described("Who provides it.")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=128), described("Its name.")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = described(
        "Its version.", default=None
    )


def _defined(field: str) -> dict[str, str]:
    """The rule that a review or audit names an evaluation that is there."""
    there = "has({0}) && {0}.exists(e, e.name == r.name)"
    own, gate = (there.format(f"self.{of}.evaluations") for of in ("supervision", "retraining"))
    return cel(
        f"!has(self.supervision) || !has(self.supervision.{field}) || self.supervision.{field}.all(r, ({own}) || "
        f"(has(self.retraining) && {gate}))",
        "names an evaluation that is not defined: define it in spec.supervision.evaluations or "
        "spec.retraining.evaluations, or correct the name",
        path=f".supervision.{field}",
    )


class AIAgentSpec(Model):
    """What an agent is, may do, and who answers for it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            # Else a training would fail for it on the night when it is due.
            cel(
                "!has(self.retraining) || !has(self.retraining.connections) || self.retraining.connections.all(n, "
                "has(self.connections) && self.connections.exists(c, c.name == n))",
                "names a connection that is not among spec.connections: declare it there, or take its name out",
                path=".retraining.connections",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || has(self.workload.template) || "
                "has(self.workload.container)",
                "a rollout is of revisions, and the images of a targetRef are its owner's: say in workload.container "
                "which one is the agent's work, bring a template, or leave spec.retraining.rollout out",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "self.retraining.rollout.strategy in ['Canary', 'Recreate']",
                "a targetRef has no Deployment for each revision, between which a Service could be switched at once: "
                "use Canary or Recreate, or bring a template",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "!has(self.retraining.rollout.trafficRouting) || self.workload.targetRef.kind == 'Deployment'",
                "trafficRouting sends requests to pods beside a Deployment, and nothing comes beside a StatefulSet: "
                "leave it out, or use Recreate",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "self.workload.targetRef.kind != 'Deployment' || !has(self.retraining.rollout.steps) || "
                "has(self.retraining.rollout.trafficRouting) || "
                "self.retraining.rollout.steps.all(s, !has(s.weight) || s.weight <= 50 || s.weight == 100)",
                "beside a Deployment a candidate gets at most as many pods as the target has: write weights of at most "
                "50, or name trafficRouting; after the last step the target itself gets the candidate's image",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.workload.targetRef) || has(self.workload.container) || !has(self.retraining) || "
                "!has(self.retraining.evaluations) || self.retraining.evaluations.size() == 0",
                "evaluations hold up revisions, and those of a targetRef serve as soon as its owner changes it: say in "
                "workload.container which image is the agent's work, write a template, or leave evaluations out",
                path=".retraining.evaluations",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.triggers) || !('Drift' in self.retraining.triggers) || "
                "(has(self.supervision) && has(self.supervision.drift))",
                "the trigger Drift needs to know what drift is: declare spec.supervision.drift, or take it out",
                path=".retraining.triggers",
            ),
            *(_defined(field) for field in ("reviews", "biasAudits")),
        )
    )

    role_ref: Annotated[RoleRef, described("The agent's role: ceiling of its rights and defaults.")]
    purpose: Annotated[Text, described("What the agent is for, in a sentence.")]
    owners: Annotated[
        tuple[Owner, ...],
        described(
            "Who answers for the agent (RACI).",
            min_length=1,
            max_length=16,
            json_schema_extra=map_by(
                "name",
                validations=(
                    cel(
                        "self.filter(o, o.responsibility == 'Accountable').size() == 1",
                        "exactly one owner must be Accountable: one person or group answers for the agent's outcomes",
                    ),
                ),
            ),
        ),
    ]
    permissions: Annotated[
        Permissions, described("Rights asked for; what is granted stands in status.permissions.")
    ] = ()
    connections: Annotated[
        tuple[Connection, ...],
        described("Systems outside the cluster's RBAC.", max_length=16, json_schema_extra=map_by("name")),
    ] = ()
    handbook: Handbook = described("What the agent is told.", default=Handbook())
    workload: Annotated[Workload, described("What runs as the agent.")]
    model: ModelRef | None = described("The model that the agent works with.", default=None)
    retraining: Retraining | None = described("How new versions of it come about, and take over.", default=None)
    supervision: Supervision | None = described("How it is watched over while it works.", default=None)
    retirement: Retirement | None = described("What is kept of it when it leaves.", default=None)
    succession: Succession | None = described("From whom it takes over.", default=None)
    revision_history_limit: Annotated[int, Field(ge=0, le=MOST_HISTORY)] | None = described(
        f"Revisions that are kept beside the one that serves, to go back to ({HISTORY} where it is left out).",
        default=None,
    )
    suspended: Annotated[bool, described("True takes the rights away, then scales the work down.")] = False


class AIAgent(Model):
    """An AI agent as an employee: role, permissions, owners, work, supervision."""

    metadata: ObjectMeta
    spec: AIAgentSpec
    status: dict[str, Any] = Field(default_factory=dict)
