"""A volume of the agent's, and as whom it is read or written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from aiagent_operator.api.fields import Model, ObjectName, described

# Ids of Linux; 0 is root, who reads no volume for an archive.
_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Memory(Model):
    """The volume that is archived when the agent leaves."""

    claim_name: Annotated[
        ObjectName,
        described("Name of the PersistentVolumeClaim in the agent's namespace. It is read, and not removed."),
    ]
    run_as_user: _Id | None = described(
        "User id that owns its files. By default that of spec.workload.template, else 65532.",
        default=None,
    )
    run_as_group: _Id | None = described(
        "Group id. By default fsGroup, else runAsGroup, of spec.workload.template, else 65532.",
        default=None,
    )
