"""Who answers for an agent: people and groups, by function of the company and by responsibility (RACI)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from aiagent_operator.api.fields import Label, Model, described


class Function(StrEnum):
    """A function of the company that answers for agents."""

    PRODUCT = "Product"
    SUPPORT = "Support"
    OPERATIONS = "Operations"
    IT = "IT"
    DATA = "Data"
    HR = "HR"
    COMPLIANCE = "Compliance"
    LEGAL = "Legal"
    SECURITY = "Security"
    FINANCE = "Finance"


class Responsibility(StrEnum):
    """RACI: who does it, who answers for it, who is asked, who is told."""

    RESPONSIBLE = "Responsible"
    ACCOUNTABLE = "Accountable"
    CONSULTED = "Consulted"
    INFORMED = "Informed"


class SubjectKind(StrEnum):
    """A person or a group; never a ServiceAccount, since machines do not answer for agents."""

    USER = "User"
    GROUP = "Group"


class Subject(Model):
    """Who, by the name under which the API server authenticates them."""

    kind: Annotated[SubjectKind, described("User or Group.")]
    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=253, pattern=r"^[^ \t\r\n]+$"),
        described("Name of the user or group as the API server knows it."),
    ]


class Owner(Model):
    """One who answers for the agent."""

    name: Annotated[Label, described("Name of the entry.")]
    function: Annotated[Function, described("Function of the company that the owner speaks for.")]
    responsibility: Annotated[Responsibility, described("Part in the RACI matrix; exactly one owner is Accountable.")]
    subject: Annotated[Subject, described("User or group.")]
    backup: Subject | None = described("Who stands in.", default=None)
