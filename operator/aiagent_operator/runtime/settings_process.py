"""Settings of the process itself: where it runs, what it logs, how much it does at once, and how it is elected."""

from __future__ import annotations

import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings

from aiagent_operator.api.meta import MANAGER
from aiagent_operator.runtime.settings_values import Name, Names, Seconds

NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE: Final = "workforce-system"


def own_namespace() -> str:
    """Namespace that this process runs in: as the kubelet mounted it, else the one the chart installs into."""
    if NAMESPACE_FILE.exists():
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    return DEFAULT_NAMESPACE


class LogFormat(StrEnum):
    """How a log line is written."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The least severe level that is written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class ProcessSettings(BaseSettings):
    """The part of the settings that is about the process."""

    namespace: Name = Field(
        default_factory=own_namespace,
        description="Namespace that the operator runs in; its Lease is there. By default the one that the kubelet "
        f"mounted with its token, else `{DEFAULT_NAMESPACE}`.",
    )
    pod_name: str = Field(
        default_factory=socket.gethostname,
        description="Name of this replica, which becomes part of the Lease's holder. By default the host's name, which "
        "in a pod is the pod's.",
    )
    operator_username: str = Field(
        default="",
        description="User name under which the API server knows the operator. By default that of the ServiceAccount "
        f"`{MANAGER}` in the operator's namespace. It must be the one that the admission policies name: with another, "
        "they refuse what the operator writes.",
    )
    watch_namespaces: Names = Field(
        default=(),
        description="Namespaces whose agents this operator looks after, separated by commas; empty means all. Fewer "
        "namespaces mean less memory, and need a watch for each kind and namespace, so name some tens at most. Agents "
        "elsewhere stay as they are, and are not offboarded.",
    )
    log_level: Annotated[LogLevel, BeforeValidator(lambda value: str(value).upper())] = Field(
        default=LogLevel.INFO,
        description="Least severe level that is logged. `DEBUG` names each write, about ten lines for each onboarding.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.JSON,
        description="`json` for collectors, one object in each line. `text` for people.",
    )
    workers: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=128,
        description="Agents that are worked on at the same time. More keep `writes_in_flight` busy while some agents "
        "wait for answers; each holds one agent's objects in memory.",
    )
    writes_in_flight: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=64,
        description="Writes under way at the same time. The API server takes about 100 ms for each write of a Role or "
        "RoleBinding, so fewer make onboarding slower; more load the API server, which then answers 429.",
    )
    page_size: Annotated[int, Field(ge=10, le=5000)] = Field(
        default=500,
        description="Objects in each page of a list. Larger pages start faster and need more memory at the peak.",
    )
    request_timeout: Seconds = Field(
        default=30.0,
        description="Seconds after which a request without an answer is given up and tried again. Too short a time "
        "repeats writes that a busy API server would have finished.",
    )
    backoff_initial: Seconds = Field(
        default=0.5,
        description="Seconds before an agent whose work failed is tried again; doubled with each failure in a row. "
        "Shorter heals sooner after a hiccup, and asks a struggling API server more often.",
    )
    backoff_max: Seconds = Field(
        default=60.0,
        description="Most seconds between two tries. Longer loads a struggling API server less, and heals later where "
        "no event tells that the cause is gone.",
    )
    lease_name: Name = Field(
        default=MANAGER,
        description="Name of the Lease that decides which replica works. Two installations in one namespace need two "
        "names.",
    )
    lease_duration: Annotated[float, Field(ge=3, le=3600)] = Field(
        default=15.0,
        description="Seconds that the Lease lasts without renewal, in whole seconds. Shorter means that another "
        "replica takes over sooner after a crash (after a clean stop it does so at once), and that a slow API server "
        "costs the lead.",
    )
    renew_deadline: Seconds = Field(
        default=10.0,
        description="Seconds without a renewal after which the leader stops by itself. Must be less than "
        "`lease_duration`: what is between is the reserve for a write that is still under way.",
    )
    retry_period: Annotated[float, Field(ge=0.1, le=600)] = Field(
        default=2.0,
        description="Seconds between two renewals, or two looks at another's Lease. Each renewal is one small write. "
        "Must be at most half of `renew_deadline`.",
    )
    scan_interval: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=300.0,
        description="Seconds between two scans of what others may do with agents' identities (bindings, roles, network "
        "policies and pods that are not the operator's). Shorter reports an exposure sooner, and costs a list of each.",
    )
    training_logs: bool = Field(
        default=True,
        description="Whether the end of what a training has said is kept in the status of its revision, where it has "
        "ended well too. Without it `pods/log` is needed for `archive_logs` alone; of trainings that failed the "
        "kubelet tells the end of the log all the same.",
    )
    health_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - probes and scrapes come from outside the pod
        description="Address on which probes and metrics are served. Loopback shuts out the kubelet's probes too; the "
        "operator's NetworkPolicy is what limits who reaches it.",
    )
    health_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8080,
        description="Port of `/healthz`, `/readyz` and `/metrics`. 0 takes a free one, which the log names.",
    )

    @model_validator(mode="after")
    def _times(self) -> Self:
        if self.renew_deadline >= self.lease_duration:
            raise ValueError(
                f"renew_deadline ({self.renew_deadline:g} s) must be less than lease_duration "
                f"({self.lease_duration:g} s)"
            )
        if self.retry_period * 2 > self.renew_deadline:
            raise ValueError(
                f"retry_period ({self.retry_period:g} s) must be at most half of renew_deadline "
                f"({self.renew_deadline:g} s), so that one failed renewal does not cost the lead"
            )
        if self.backoff_initial > self.backoff_max:
            raise ValueError("backoff_initial must not be greater than backoff_max")
        return self

    @property
    def username(self) -> str:
        """User name of the operator, as in the admission policies."""
        return self.operator_username or f"system:serviceaccount:{self.namespace}:{MANAGER}"
