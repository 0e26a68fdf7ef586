"""The Job of a training or evaluation run, as its author writes it: a batch/v1 JobTemplateSpec within bounds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api import meta
from aiagent_operator.api.fields import OPAQUE, Model, cel, described, map_by, rules
from aiagent_operator.api.workload import (
    NO_ACCOUNT,
    NO_RESERVED_VOLUME,
    NOTHING_OF_THE_NODE,
    LabelValue,
    TemplateContainer,
    TemplatePodSpec,
)

ENV_PREFIX: Final = "WORKFORCE_"
"""Environment variables with this prefix are the operator's."""

LONGEST_RUN: Final = 604_800
"""Seconds. A run that takes longer than a week hangs, or is not one run."""

MOST_RETRIES: Final = 10
"""Retries multiply the time and the money of a run; what failed ten times is wrong, not unlucky."""

_RESERVED: Final = f"!has(self.{{}}) || self.{{}}.all(k, !k.startsWith('{meta.GROUP}/'))"


def _unreserved(what: str) -> dict[str, str]:
    """Runs are told apart from agents by labels of ours: with an agent's, a run would be served and reached as it."""
    message = f"{what} of {meta.GROUP}/ are the operator's: remove them"
    return cel(_RESERVED.format(what, what), message, path=f".{what}")


class RunMetadata(Model):
    """Labels and annotations of the Job or of its pods; they pass through, such as `kueue.x-k8s.io/queue-name`."""

    model_config = ConfigDict(json_schema_extra=rules(_unreserved("labels"), _unreserved("annotations")))

    labels: Annotated[
        dict[str, LabelValue],
        described("Any but those of workforce.dev/.", max_length=32, default_factory=dict),
    ]
    annotations: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=4096)]],
        described("Any but those of workforce.dev/.", max_length=32, default_factory=dict),
    ]


class RunVariable(Model):
    """As in core/v1."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPAQUE
        | rules(
            cel(
                f"!self.name.startsWith('{ENV_PREFIX}')",
                f"variables that begin with {ENV_PREFIX} are set by the operator: give yours another name; "
                f"its value may be $({ENV_PREFIX}...)",
                path=".name",
            )
        ),
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=253), described("Its name.")]


class RunContainer(TemplateContainer):
    """As in core/v1."""

    env: Annotated[
        tuple[RunVariable, ...],
        described("Environment variables.", max_length=128, json_schema_extra=map_by("name")),
    ] = ()


class RunPodSpec(TemplatePodSpec):
    """A pod spec as in core/v1. Only what the rules read is spelled out here; the API server checks the rest."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPAQUE
        | rules(
            cel(
                NO_ACCOUNT,
                "leave serviceAccountName out: the operator puts a run's own account there, which has no rights",
            ),
            cel(
                NOTHING_OF_THE_NODE,
                "a run may not share the node's network, processes or IPC: remove hostNetwork, hostPID and hostIPC",
            ),
            cel(
                NO_RESERVED_VOLUME,
                f"volume names starting with '{meta.VOLUME_PREFIX}' are reserved for the handbook and connections",
            ),
            cel(
                "!has(self.restartPolicy) || self.restartPolicy == 'Never'",
                "write restartPolicy: Never, or leave it out: with OnFailure the pod is removed when the last try "
                "failed, and with it the message and the log that say why; for retries set backoffLimit",
                path=".restartPolicy",
            ),
        ),
    )

    containers: Annotated[
        tuple[RunContainer, ...],
        described(
            "Containers. The first one leaves the result.",
            min_length=1,
            max_length=16,
            json_schema_extra=map_by("name"),
        ),
    ]
    init_containers: Annotated[
        tuple[RunContainer, ...],
        described("They run before the others.", max_length=16, json_schema_extra=map_by("name")),
    ] = ()
    restart_policy: Annotated[str, StringConstraints(max_length=16)] | None = described(
        "Never, the default.", default=None
    )


class RunPodTemplate(Model):
    """A core/v1 PodTemplateSpec."""

    metadata: RunMetadata = described("Labels and annotations.", default=RunMetadata())
    spec: Annotated[RunPodSpec, described("As in core/v1.")]


class RunJobSpec(Model):
    """A Job's spec as in batch/v1. Only what the rules read is spelled out here; the API server checks the rest.

    `suspend` passes through, and so does `podFailurePolicy`: a queue or a person may hold a run, and a failure that no
    retry mends may end it at once.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra=OPAQUE
        | rules(
            cel(
                "!has(self.selector) && !has(self.manualSelector)",
                "leave selector and manualSelector out: the API server makes a selector that finds the pods of this "
                "run and no others",
            ),
            cel(
                "!has(self.ttlSecondsAfterFinished)",
                "leave ttlSecondsAfterFinished out: the result goes with the pods, so the operator reads it first and "
                "then removes the Job",
                path=".ttlSecondsAfterFinished",
            ),
            cel(
                "!has(self.managedBy)",
                "leave managedBy out: another controller runs the pods elsewhere, where their result cannot be read",
                path=".managedBy",
            ),
            cel(
                "!has(self.completionMode) || self.completionMode == 'NonIndexed'",
                "leave completionMode out: a run is one pod with one result, and an indexed Job retries without regard "
                "to backoffLimit",
                path=".completionMode",
            ),
        ),
    )

    template: Annotated[RunPodTemplate, described("The pod of the run.")]
    backoff_limit: Annotated[int, Field(ge=0, le=MOST_RETRIES)] | None = described(
        "Retries (by default 2).", default=None
    )
    active_deadline_seconds: Annotated[int, Field(ge=1, le=LONGEST_RUN)] | None = described(
        "Seconds for all tries, without time in a queue (by default 21600).",
        default=None,
    )
    parallelism: Annotated[int, Field(ge=1, le=1)] | None = described(
        "1, the default: one pod, one result.", default=None
    )
    completions: Annotated[int, Field(ge=1, le=1)] | None = described(
        "1, the default: one pod, one result.", default=None
    )
    completion_mode: Annotated[str, StringConstraints(max_length=16)] | None = described(
        "NonIndexed, the default.", default=None
    )
    selector: Annotated[dict[str, Any], Field(max_length=2)] | None = described("Forbidden.", default=None)
    manual_selector: bool | None = described("Forbidden.", default=None)
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2_147_483_647)] | None = described(
        "Forbidden.", default=None
    )
    managed_by: Annotated[str, StringConstraints(max_length=63)] | None = described("Forbidden.", default=None)


class JobTemplate(Model):
    """A batch/v1 JobTemplateSpec that one training or evaluation run is made from."""

    metadata: RunMetadata = described("Labels and annotations.", default=RunMetadata())
    spec: Annotated[RunJobSpec, described("As in batch/v1.")]
