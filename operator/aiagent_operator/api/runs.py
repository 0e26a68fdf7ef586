"""Names of training and evaluation runs: labels, accounts, environment, and the words that results use."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import StringConstraints

from aiagent_operator.api import meta
from aiagent_operator.api.fields import AS_SET, described
from aiagent_operator.api.jobtemplate import ENV_PREFIX

LABEL_RUN: Final = f"{meta.GROUP}/run"
LABEL_RUN_OF: Final = f"{meta.GROUP}/run-of"
LABEL_REVISION: Final = f"{meta.GROUP}/revision"

ENV_AGENT: Final = f"{ENV_PREFIX}AGENT"
ENV_NAMESPACE: Final = f"{ENV_PREFIX}NAMESPACE"
ENV_RUN: Final = f"{ENV_PREFIX}RUN"
ENV_REVISION: Final = f"{ENV_PREFIX}REVISION"
ENV_TRIGGER: Final = f"{ENV_PREFIX}TRIGGER"
ENV_CURRICULA: Final = f"{ENV_PREFIX}CURRICULA"
ENV_STABLE_REVISION: Final = f"{ENV_PREFIX}STABLE_REVISION"
ENV_STABLE_ARTIFACT: Final = f"{ENV_PREFIX}STABLE_ARTIFACT"
ENV_STABLE_IMAGE: Final = f"{ENV_PREFIX}STABLE_IMAGE"
ENV_IMAGE: Final = f"{ENV_PREFIX}IMAGE"
ENV_ARTIFACT: Final = f"{ENV_PREFIX}ARTIFACT"
ENV_HANDBOOK: Final = f"{ENV_PREFIX}HANDBOOK"
ENV_RESULT: Final = f"{ENV_PREFIX}RESULT"

LONGEST_JOB_NAME: Final = 63
"""A Job's name becomes a label of its pods (Kubernetes: "Jobs", `batch.kubernetes.io/job-name`)."""


class RunKind(StrEnum):
    """What a run is for; the value of the label `workforce.dev/run`."""

    TRAINING = "training"
    EVALUATION = "evaluation"


class UpdateKind(StrEnum):
    """What sort of change a training made, as people's trainings have kinds."""

    ACCURACY = "Accuracy"
    CAPABILITY = "Capability"
    SECURITY = "Security"
    BEHAVIOUR = "Behaviour"


_ACCOUNTS: Final = {RunKind.TRAINING: "training", RunKind.EVALUATION: "candidate"}

ImageRepositories = Annotated[
    tuple[
        Annotated[
            str,
            StringConstraints(
                min_length=3,
                max_length=255,
                pattern=r"^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+|localhost:[0-9]+)"
                r"(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+$",
            ),
        ],
        ...,
    ],
    described(
        "Repositories, such as registry.example/team/triage, whose images a training may put in place of the agent's, "
        "beside the repository of that image itself. Whole names, with the registry and without tag.",
        max_length=8,
        json_schema_extra=AS_SET,
    ),
]
"""For `spec.retraining.imageRepositories`."""

ArtifactLocations = Annotated[
    tuple[
        Annotated[
            str, StringConstraints(min_length=4, max_length=512, pattern=r"^[a-z][a-z0-9+.-]*://[^?#% ]*[^?#% /]/$")
        ],
        ...,
    ],
    described(
        "Locations, such as s3://models/triage/, below which a training's artifacts must be; each ends in a slash. "
        "Anywhere where none is given.",
        max_length=8,
        json_schema_extra=AS_SET,
    ),
]
"""For `spec.retraining.artifactLocations`."""


def account_name(agent: str, kind: RunKind) -> str:
    """Name of the account of the agent's runs of a kind."""
    return meta.run_account(agent, _ACCOUNTS[kind])


def network_name(agent: str) -> str:
    """Name of the NetworkPolicy of the agent's runs."""
    return f"{meta.account_name(agent)}.runs"
