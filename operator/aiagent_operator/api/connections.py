"""Systems outside the cluster's RBAC: where an agent's traffic may go, and how it is known there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.fields import Label, Model, ObjectName, cel, described, rules


class Protocol(StrEnum):
    """Transport protocol of a connection."""

    TCP = "TCP"
    UDP = "UDP"


class Egress(Model):
    """Where a connection leads."""

    cidr: Annotated[
        str,
        Field(
            min_length=1,
            max_length=43,
            json_schema_extra=rules(
                cel(
                    "isCIDR(self) && cidr(self) == cidr(self).masked()",
                    "must be an address range such as 203.0.113.0/24 or 2001:db8::/32, without host bits",
                )
            ),
        ),
        described("Address range, in CIDR notation."),
    ]
    port: Annotated[int, Field(ge=1, le=65535), described("Port.")]
    protocol: Annotated[Protocol, described("TCP or UDP.")] = Protocol.TCP


class SecretRef(Model):
    """A Secret in the agent's namespace."""

    name: Annotated[ObjectName, described("Name of the Secret.")]


class Connection(Model):
    """A system outside RBAC: its egress is opened, its secret mounted, a token for it issued."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.egress) || has(self.secretRef) || has(self.audience)",
                "a connection needs at least one of egress, secretRef and audience",
            )
        )
    )

    name: Annotated[
        Label, Field(max_length=40), described("Name; its files are under /var/run/workforce/connections/<name>.")
    ]
    egress: Egress | None = described("Network traffic to allow.", default=None)
    secret_ref: SecretRef | None = described(
        "Secret whose keys are mounted as files; the operator never reads it.", default=None
    )
    audience: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = described(
        "Audience of a bound service account token, mounted as the file `token`.", default=None
    )
