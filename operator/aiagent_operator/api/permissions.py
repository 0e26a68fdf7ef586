"""Rules of RBAC as agents and roles write them: the same words as rbac.authorization.k8s.io/v1, without wildcards."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.fields import AS_SET, ATOMIC, Label, Model, cel, described, map_by, rules

ApiGroup = Annotated[
    str,
    StringConstraints(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$"),
]
Resource = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=127, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"
    ),
]
Verb = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z]([-a-z]*[a-z])?$")]
ResourceName = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class PolicyRule(Model):
    """A rule as in a Role, without wildcards: a right is named."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.resourceNames) || self.resourceNames.size() == 0 || "
                "self.verbs.all(v, v != 'create' && v != 'deletecollection')",
                "verbs create and deletecollection cannot be limited by resourceNames (no name is known there): "
                "put them in a rule of their own",
            )
        )
    )

    api_groups: Annotated[
        tuple[ApiGroup, ...],
        described('API groups; "" is the core group.', min_length=1, max_length=8, json_schema_extra=ATOMIC),
    ]
    resources: Annotated[
        tuple[Resource, ...],
        described(
            "Resources in plural, or resource/subresource.", min_length=1, max_length=16, json_schema_extra=ATOMIC
        ),
    ]
    verbs: Annotated[
        tuple[Verb, ...],
        described(
            "Verbs: get, list, watch, create, update, patch, delete, or those an API defines.",
            min_length=1,
            max_length=16,
            json_schema_extra=ATOMIC,
        ),
    ]
    resource_names: Annotated[
        tuple[ResourceName, ...],
        described("Names of objects the rule is limited to; empty means all.", max_length=16, json_schema_extra=ATOMIC),
    ] = ()


class Grant(StrEnum):
    """When a permission takes effect."""

    ALWAYS = "Always"


class Permission(Model):
    """What the agent asks for: a permission set of its role by name, or rules of its own within the role's ceiling."""

    name: Annotated[Label, described("Name of a permission set of the role; with rules, a name of your own.")]
    namespaces: Annotated[
        tuple[Label, ...],
        described(
            "Namespaces in which the permission holds; empty means the agent's own.",
            max_length=16,
            json_schema_extra=AS_SET,
        ),
    ] = ()
    rules: Annotated[
        tuple[PolicyRule, ...],
        described(
            "Rules within the role's ceiling; empty means the role's permission set of this name.",
            max_length=16,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    grant: Annotated[Grant, described("Always: in force as long as the agent is employed.")] = Grant.ALWAYS


Permissions = Annotated[
    tuple[Permission, ...],
    Field(max_length=32, json_schema_extra=map_by("name")),
]
