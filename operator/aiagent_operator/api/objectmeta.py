"""The metadata of an object, as far as it is read."""

from __future__ import annotations

from pydantic import Field

from aiagent_operator.api.fields import Model


class ObjectMeta(Model):
    """The metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
