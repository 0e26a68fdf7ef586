"""The work of an agent: a pod template of its own, or an existing Deployment or StatefulSet that it adopts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.fields import OPAQUE, Model, ObjectName, cel, described, map_by, rules
from aiagent_operator.api.meta import VOLUME_PREFIX

LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]


class TargetKind(StrEnum):
    """Kinds of workload that an agent can adopt."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class OnConflict(StrEnum):
    """What to do about a field of the target that another manager sets."""

    REFUSE = "Refuse"
    TAKE_OVER = "TakeOver"


class TargetRef(Model):
    """A workload in the agent's namespace that gets the agent's identity and handbook; the rest stays its owner's."""

    api_version: Annotated[
        str,
        Field(
            description="API version of the target.",
            json_schema_extra={"enum": ["apps/v1"]},
            pattern=r"^apps/v1$",
            max_length=16,
        ),
    ]
    kind: Annotated[TargetKind, described("Deployment or StatefulSet.")]
    name: Annotated[ObjectName, described("Name of the target.")]
    on_conflict: Annotated[
        OnConflict,
        described(
            "Refuse: a field that another manager sets (its service account, say) is reported as FieldConflict. "
            "TakeOver: it is taken once, and its prior value is restored when the agent leaves."
        ),
    ] = OnConflict.REFUSE


class TargetContainer(Model):
    """The container of a target whose image is the agent's work, and goes by its revisions."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=63), described("Name of a container of the target.")
    ]
    image: Annotated[
        str,
        StringConstraints(min_length=1, max_length=1024, pattern=r"^\S+$"),
        described(
            "Its image. The operator sets it in the target, once it has passed the agent's evaluations, and restores "
            "the image of before when the agent leaves. Nobody else should: see onConflict."
        ),
    ]


class TemplateMetadata(Model):
    """Labels and annotations."""

    labels: Annotated[dict[str, LabelValue], described("Labels of the pods.", max_length=32, default_factory=dict)]
    annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=4096)]],
        described("Annotations of the pods.", max_length=32, default_factory=dict),
    ]


class TemplateContainer(Model):
    """As in core/v1."""

    model_config = ConfigDict(extra="allow", json_schema_extra=OPAQUE)

    name: Annotated[str, StringConstraints(min_length=1, max_length=63), described("Its name.")]


class TemplateVolume(Model):
    """As in core/v1."""

    model_config = ConfigDict(extra="allow", json_schema_extra=OPAQUE)

    name: Annotated[str, StringConstraints(min_length=1, max_length=63), described("Its name.")]


# Conditions on any pod that runs as an agent or for one; what to do about each depends on whose pod it is.
NO_ACCOUNT = "!has(self.serviceAccountName) && !has(self.serviceAccount)"
NOTHING_OF_THE_NODE = (
    "!(has(self.hostNetwork) && self.hostNetwork) && !(has(self.hostPID) && self.hostPID) && "
    "!(has(self.hostIPC) && self.hostIPC)"
)
NO_RESERVED_VOLUME = f"!has(self.volumes) || self.volumes.all(v, !v.name.startsWith('{VOLUME_PREFIX}'))"


class TemplatePodSpec(Model):
    """A pod spec as in core/v1. Only what the rules read is spelled out here; the API server checks the rest."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPAQUE
        | rules(
            cel(
                NO_ACCOUNT,
                "leave serviceAccountName out: the operator puts the agent's own account there",
            ),
            cel(
                NOTHING_OF_THE_NODE,
                "an agent's pods may not share the node's network, processes or IPC: "
                "remove hostNetwork, hostPID and hostIPC",
            ),
            cel(
                NO_RESERVED_VOLUME,
                f"volume names starting with '{VOLUME_PREFIX}' are reserved for handbook, token and connections",
            ),
        ),
    )

    containers: Annotated[
        tuple[TemplateContainer, ...],
        described("Containers of the pod.", min_length=1, max_length=16, json_schema_extra=map_by("name")),
    ]
    volumes: Annotated[
        tuple[TemplateVolume, ...], described("Volumes.", max_length=32, json_schema_extra=map_by("name"))
    ] = ()
    service_account_name: str | None = described("Forbidden.", default=None, max_length=253)
    service_account: str | None = described("Forbidden.", default=None, max_length=253)
    host_network: bool | None = described("Forbidden.", default=None)
    host_pid: bool | None = described("Forbidden.", default=None, alias="hostPID")
    host_ipc: bool | None = described("Forbidden.", default=None, alias="hostIPC")


class PodTemplate(Model):
    """A core/v1 PodTemplateSpec."""

    metadata: TemplateMetadata = described("Labels and annotations.", default=TemplateMetadata())
    spec: Annotated[TemplatePodSpec, described("As in core/v1.")]


class Workload(Model):
    """What runs as the agent: an adopted target, or pods of a template."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.targetRef) != has(self.template)", "set exactly one of targetRef and template"),
            cel(
                "!has(self.replicas) || has(self.template)",
                "replicas goes with template; a target keeps its owner's replicas",
            ),
            cel(
                "!has(self.container) || has(self.targetRef)",
                "container says which image of a targetRef is the agent's work; a template has its images in itself: "
                "leave container out, or adopt a target",
                path=".container",
            ),
        )
    )

    target_ref: TargetRef | None = described("An existing workload to adopt.", default=None)
    container: TargetContainer | None = described(
        "The container of the target whose image is the agent's work. Without it the target's images are its owner's, "
        "and what the owner puts there serves at once.",
        default=None,
    )
    template: PodTemplate | None = described("Pods to run, as a Deployment for each version of the work.", default=None)
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = described(
        "Pods of the template; 1 where it is left out.", default=None
    )

    @property
    def by_revision(self) -> bool:
        """Whether what runs goes by the agent's revisions. A target without a container goes by its owner's edits."""
        return self.target_ref is None or self.container is not None


def raw_template(spec: dict[str, Any]) -> dict[str, Any]:
    """The template as the author wrote it, from a raw agent spec; the model keeps only what rules read."""
    template: dict[str, Any] = spec["workload"]["template"]
    return template
