"""Settings of what is kept of agents: archive stores, journals, and what goes into an archive."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from aiagent_operator.runtime.settings_values import Address, File, Seconds


class Purge(StrEnum):
    """What becomes of an archive when its retention is over."""

    NEVER = "Never"
    AFTER_RETENTION = "AfterRetention"


class ArchiveSettings(BaseSettings):
    """The part of the settings that is about archives."""

    archive_file: File = Field(
        default=None,
        description="YAML file with the archive stores: `stores`, a list with the fields of docs/archive-store.md, and "
        "`default`, the name of the one for agents whose policies name none (else the first). Read once, at the start. "
        "Without it no journal is kept.",
    )
    pod_ip: Address = Field(
        default="",
        description="IP address of this pod, to which Jobs send the volumes of agents that leave. Without it, or "
        "without `image`, no volume is archived.",
    )
    image: str = Field(
        default="",
        description="The operator's own image, which these Jobs run too. It must be the one that the admission "
        "policies name, and agents' namespaces must be able to pull it.",
    )
    upload_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8443,
        description="Port on which the leader takes these volumes. 0 takes a free one.",
    )
    memory_deadline: Annotated[float, Field(ge=10, le=604_800)] = Field(
        default=3600.0,
        description="Seconds that archiving one volume of an agent may take, after which the archive says that it is "
        "missing. Longer archives larger volumes; an agent whose volume cannot be read leaves later, without rights.",
    )
    archive_proof_interval: Seconds = Field(
        default=300.0,
        description="Seconds between two proofs that an archive store keeps its promises; one that fails is looked at "
        "sooner. Shorter says sooner that a store is not to be had, and asks it more often.",
    )
    journal_look_interval: Seconds = Field(
        default=86_400.0,
        description="Seconds between two looks at whether archive stores know more of agents than their statuses do, "
        "as where the cluster was restored to an earlier time; the first is at the start. One small request for each "
        "agent, spread over an hour where there are many. Shorter finds sooner what is restored while the operator "
        "runs, and asks more often.",
    )

    archive_logs: bool = Field(
        default=True,
        description="Whether the logs of an agent's pods go into its archive, encrypted, when it leaves. Without them "
        "archives say that they are missing, and `pods/log` is needed for `training_logs` alone.",
    )
    capture_deadline: Seconds = Field(
        default=120.0,
        description="Seconds from its deletion for which an agent's pods are kept, without rights, until their logs "
        "are in its archive. What cannot be had by then is missing there: longer outlives longer outages of a kubelet "
        "or of the archive store; shorter ends the pods sooner.",
    )

    kpi_period: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800.0,
        description="Seconds before its end of which an agent's archive has the KPI series, a week by default: what "
        "`spec.supervision` and its evaluations ask Prometheus. Longer asks more of Prometheus at once.",
    )
    kpi_step: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=300.0,
        description="Seconds between two points of these series, more where a series would have over 10,000. Shorter "
        "archives more.",
    )

    archive_verification_interval: Annotated[float, Field(gt=0, le=31_536_000)] = Field(
        default=604_800.0,
        description="Seconds within which each archive is read again and compared with its digests, a week by default. "
        "Shorter finds damage sooner, and reads all archives more often: two at a time, spread over a quarter of it.",
    )

    archive_purge: Purge = Field(
        default=Purge.NEVER,
        description="`AfterRetention` removes archives whose retention is over and that nobody holds, together with "
        "the journals of their agents. `Never` removes nothing: what is over its retention stays.",
    )
