"""Settings of the operator process, from the environment."""

from __future__ import annotations

import ipaddress
import socket
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from aiagent_operator.api.fields import DNS_LABEL
from aiagent_operator.api.meta import MANAGER
from aiagent_operator.core.evaluation.address import normal

NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE: Final = "workforce-system"
PREFIX: Final = "AIAGENT_"

_LABEL = r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def _split(value: Any) -> Any:
    """`a, b,` as the list of a and b, `none` as the empty one (an empty variable means the default)."""
    if not isinstance(value, str):
        return value
    return () if value.strip() == "none" else tuple(part.strip() for part in value.split(",") if part.strip())


def own_namespace() -> str:
    """Namespace that this process runs in: as the kubelet mounted it, else the one the chart installs into."""
    if NAMESPACE_FILE.exists():
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    return DEFAULT_NAMESPACE


class LogFormat(StrEnum):
    """How a log line is written."""

    JSON = "json"
    TEXT = "text"


class Purge(StrEnum):
    """What becomes of an archive when its retention is over."""

    NEVER = "Never"
    AFTER_RETENTION = "AfterRetention"


class LogLevel(StrEnum):
    """The least severe level that is written."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=DNS_LABEL)]
Selector = Annotated[tuple[Annotated[str, StringConstraints(pattern=_LABEL)], ...], NoDecode, BeforeValidator(_split)]
Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Ports = Annotated[
    tuple[Annotated[int, Field(ge=1, le=65_535)], ...], Field(min_length=1), NoDecode, BeforeValidator(_split)
]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseSettings):
    """All settings. A wrong variable stops the process at its start, with its name and what is allowed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

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
    health_host: str = Field(
        default="0.0.0.0",  # noqa: S104 - probes and scrapes come from outside the pod
        description="Address on which probes and metrics are served. Loopback shuts out the kubelet's probes too; the "
        "operator's NetworkPolicy is what limits who reaches it.",
    )
    health_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8080,
        description="Port of `/healthz`, `/readyz` and `/metrics`. 0 takes a free one, which the log names.",
    )
    dns_namespace_labels: Selector = Field(
        default=("kubernetes.io/metadata.name=kube-system",),
        description="Labels of the namespace where the cluster's DNS runs, `key=value` separated by commas. Agents' "
        "NetworkPolicies allow DNS to it; wrong labels leave agents without names.",
    )
    dns_pod_labels: Selector = Field(
        default=("k8s-app=kube-dns",),
        description="Labels of the DNS pods. `none` allows DNS to every pod of that namespace.",
    )
    dns_ports: Ports = Field(
        default=(53,),
        description="Ports on which the DNS pods listen, separated by commas. Network policies see traffic after the "
        "Service's translation, so this is the pods' port and not the Service's (`5353` on OpenShift).",
    )
    dns_cidrs: Texts = Field(
        default=("169.254.20.10/32",),
        description="Addresses outside the pod network that answer DNS, as CIDR separated by commas: by default the "
        "node-local DNS cache. Each is one more way out for agents, on `dns_ports` only. `none` allows none.",
    )
    api_endpoints: Texts = Field(
        default=(),
        description="Addresses of the API server that agents may reach, `ip:port` separated by commas. By default they "
        "are read from the EndpointSlice `kubernetes` in `default`, and followed. Set it where pods reach the API "
        "server under other addresses than those, as behind some cloud load balancers.",
    )
    prometheus_addresses: Texts = Field(
        default=(),
        description="Prometheus servers that evaluations may ask, URLs separated by commas, the first by default. "
        "Authors of agents choose among these and name no others, since the operator asks from inside its own network. "
        "Empty: none is asked, and evaluations by Prometheus are in error.",
    )
    prometheus_ca_file: Path | None = Field(
        default=None,
        description="File with the certificates, in PEM, that are trusted for https instead of the system's. Read "
        "once, at the start.",
    )
    prometheus_token_file: Path | None = Field(
        default=None,
        description="File with a bearer token for Prometheus, sent over https only and read anew for each question. "
        "Every server in `prometheus_addresses` gets it.",
    )

    archive_file: Path | None = Field(
        default=None,
        description="YAML file with the archive stores: `stores`, a list with the fields of docs/archive-store.md, and "
        "`default`, the name of the one for agents whose policies name none (else the first). Read once, at the start. "
        "Without it no journal is kept.",
    )
    pod_ip: str = Field(
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
        description="Seconds that archiving the volume of one agent may take, after which the archive says that it is "
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
        "the operator needs no right on `pods/log`, and archives say that they are missing.",
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

    @field_validator("pod_ip")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value)) if value else ""

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

    @field_validator("prometheus_addresses")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(normal(address) for address in value)

    @field_validator("prometheus_ca_file", "prometheus_token_file", "archive_file")
    @classmethod
    def _files(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file: mount it, or leave the variable out")
        return value

    @field_validator("dns_cidrs")
    @classmethod
    def _cidrs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for cidr in value:
            ipaddress.ip_network(cidr)
        return value

    @field_validator("api_endpoints")
    @classmethod
    def _endpoints(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for endpoint in value:
            parse_endpoint(endpoint)
        return value

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

    @property
    def dns_namespace_selector(self) -> dict[str, str]:
        """`dns_namespace_labels` as a map."""
        return _labels(self.dns_namespace_labels)

    @property
    def dns_pod_selector(self) -> dict[str, str]:
        """`dns_pod_labels` as a map."""
        return _labels(self.dns_pod_labels)

    @property
    def api_addresses(self) -> tuple[tuple[str, int], ...]:
        """`api_endpoints` as pairs of address and port; empty: follow the EndpointSlice."""
        return tuple(parse_endpoint(endpoint) for endpoint in self.api_endpoints)


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs)


def parse_endpoint(text: str) -> tuple[str, int]:
    """`10.0.0.1:6443` or `[fd00::1]:6443` as address and port; ValueError says what is wrong with it."""
    host, _, port = text.rpartition(":")
    address = str(ipaddress.ip_address(host.strip("[]"))) if host else ""
    if not address or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text!r} is not an address and port such as 10.0.0.1:6443 or [fd00::1]:6443")
    return address, int(port)


def load() -> Settings:
    """The settings of this process; exits with the name of each wrong variable and what is allowed."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"  {PREFIX}{str(entry['loc'][0]).upper()}: {entry['msg']} (is {entry['input']!r})"
            if entry["loc"]
            else f"  {entry['msg']}"
            for entry in error.errors()
        ]
        sys.exit("The environment has settings that cannot be used (docs/settings.md):\n" + "\n".join(lines))
