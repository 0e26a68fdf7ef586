"""A volume of the agent's, and as whom it is read or written."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from aiagent_operator.api.fields import Model, ObjectName, described

# Of letters that mean nothing to a kubelet, which replaces $(NAME) in what a container is told; and no `.` or `..`.
_NAME = r"\.?[A-Za-z0-9_-][A-Za-z0-9._-]*"
_Folder = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=rf"^{_NAME}(/{_NAME})*$")]

# Ids of Linux; 0 is root, who reads no volume for an archive.
_Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Memory(Model):
    """A volume that is archived when the agent leaves."""

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


class LogVolume(Memory):
    """The volume on which the agent writes what it decides."""

    claim_name: Annotated[ObjectName, described("Name of a PersistentVolumeClaim here. It is read, and not removed.")]
    path: _Folder | None = described(
        "Its folder, from the top of the volume, such as logs/decisions, without .. and no symbolic link. By default "
        "all of the volume.",
        default=None,
    )
