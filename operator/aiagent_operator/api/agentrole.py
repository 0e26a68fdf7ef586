"""AgentRole: the job description, a catalog of pre-approved agents."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from aiagent_operator.api.agentstatus import MOST_HIRING_EVALUATIONS
from aiagent_operator.api.aiagent import ModelRef
from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.evaluation import ENDS, EvaluationTemplate
from aiagent_operator.api.fields import AS_SET, ATOMIC, Label, Model, ObjectName, Text, cel, described, map_by, rules
from aiagent_operator.api.handbook import Handbook
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.api.owners import Function
from aiagent_operator.api.permissions import Permissions, PolicyRule
from aiagent_operator.api.retraining import Interval


class RoleState(StrEnum):
    """Where the role is in its own life. Only Approved and Deprecated roles grant anything."""

    DRAFT = "Draft"
    APPROVED = "Approved"
    DEPRECATED = "Deprecated"


class Lifecycle(Model):
    """State of the role, and what follows it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("!has(self.successor) || self.state == 'Deprecated'", "only a Deprecated role names a successor")
        )
    )

    state: Annotated[
        RoleState, described("Draft grants nothing; Deprecated still grants, and its agents are told of the successor.")
    ]
    successor: ObjectName | None = described("Role to move to.", default=None)


class AllowedNamespaces(Model):
    """Where a role's agents may hold rights. A namespace is allowed when it is named or its labels match."""

    names: Annotated[tuple[Label, ...], described("Namespaces by name.", max_length=256, json_schema_extra=AS_SET)] = ()
    match_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]],
        described("Namespaces by labels, all of which must match.", max_length=16, default_factory=dict),
    ]
    own: Annotated[bool, described("The agent's own namespace is allowed.")] = True


class PermissionSet(Model):
    """Rights under a name that agents ask for."""

    name: Annotated[Label, described("Name that agents ask for.")]
    description: Annotated[Text, described("What it lets an agent do.")]
    rules: Annotated[
        tuple[PolicyRule, ...], described("Its rules.", min_length=1, max_length=16, json_schema_extra=ATOMIC)
    ]


class Duty(Model):
    """One side of a forbidden combination."""

    name: Annotated[Label, described("Name of the duty.")]
    rules: Annotated[
        tuple[PolicyRule, ...],
        described("Who holds any of these has the duty.", min_length=1, max_length=8, json_schema_extra=ATOMIC),
    ]


class ForbiddenCombination(Model):
    """Segregation of duties (NIST SP 800-53 AC-5): an agent that had all the duties would control itself."""

    name: Annotated[Label, described("Name of the combination.")]
    description: Annotated[Text, described("Why no agent may hold both.")]
    duties: Annotated[
        tuple[Duty, ...],
        described(
            "An agent may not hold something of each.", min_length=2, max_length=4, json_schema_extra=map_by("name")
        ),
    ]


class Isolation(StrEnum):
    """Whether agents of the role need an identity that nobody else can take."""

    REQUIRED = "Required"
    PREFERRED = "Preferred"


class RoleDefaults(Model):
    """What an agent of the role gets where its own spec says nothing."""

    permissions: Annotated[Permissions, described("Permissions of an agent that asks for none.")] = ()
    handbook: Handbook | None = described(
        "Instructions where the agent has none; rules, sources and prohibitions are added to the agent's.", default=None
    )
    model: ModelRef | None = described("Model where the agent names none.", default=None)


class RoleArchive(Model):
    """How long archives of the role's agents are kept."""

    retention: Annotated[
        Interval, described("How long at least, such as 52560h. Of all that ask for something the longest holds.")
    ]


class AgentRoleSpec(Model):
    """Ceilings and defaults of the agents of one role."""

    description: Annotated[Text, described("What agents of this role do.")]
    lifecycle: Annotated[Lifecycle, described("Draft, Approved or Deprecated.")]
    namespaces: AllowedNamespaces = described("Where agents of the role may hold rights.", default=AllowedNamespaces())
    permission_sets: Annotated[
        tuple[PermissionSet, ...],
        described("Rights that agents ask for by name.", max_length=32, json_schema_extra=map_by("name")),
    ] = ()
    ceiling: Annotated[
        tuple[PolicyRule, ...],
        described(
            "What rules of an agent's own may not exceed, beside the permission sets.",
            max_length=32,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    forbidden_combinations: Annotated[
        tuple[ForbiddenCombination, ...],
        described("Segregation of duties.", max_length=8, json_schema_extra=map_by("name")),
    ] = ()
    required_owner_functions: Annotated[
        tuple[Function, ...],
        described("Functions that must be among the agent's owners.", max_length=10, json_schema_extra=AS_SET),
    ] = ()
    identity_isolation: Annotated[
        Isolation,
        described(
            "Required: no right is granted while somebody else can act as the agent (see condition IdentityExposed)."
        ),
    ] = Isolation.PREFERRED
    hiring_evaluations: Annotated[
        tuple[EvaluationTemplate, ...],
        described(
            "What an agent has to pass before it holds any right of the role: all of these, beside its own. A Job runs "
            "in the agent's namespace, and names nothing there: no Secret, no ConfigMap, no claim.",
            max_length=MOST_HIRING_EVALUATIONS,
            json_schema_extra=map_by("name", validations=(ENDS,)),
        ),
    ] = ()
    archive: RoleArchive | None = described("How long archives of its agents are kept.", default=None)
    defaults: RoleDefaults = described("What an agent gets where its spec says nothing.", default=RoleDefaults())


class AgentRoleStatus(Model):
    """What is true of the role."""

    observed_generation: int | None = described("Generation of the spec last acted upon.", default=None)
    conditions: Annotated[
        tuple[Condition, ...], described("Conditions (metav1).", max_length=8, json_schema_extra=map_by("type"))
    ] = ()


class AgentRole(Model):
    """A job description: what agents of this role may be granted, where, and under whose eyes."""

    metadata: ObjectMeta
    spec: AgentRoleSpec
    status: dict[str, Any] = Field(default_factory=dict)
