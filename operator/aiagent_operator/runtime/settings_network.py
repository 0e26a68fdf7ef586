"""Settings of what is around the operator and its agents: the cluster's DNS, the API server, and Prometheus."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from aiagent_operator.runtime.settings_values import Cidrs, Endpoints, File, Ports, Selector, Urls, parse_endpoint


class NetworkSettings(BaseSettings):
    """The part of the settings that is about the network."""

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
    dns_cidrs: Cidrs = Field(
        default=("169.254.20.10/32",),
        description="Addresses outside the pod network that answer DNS, as CIDR separated by commas: by default the "
        "node-local DNS cache. Each is one more way out for agents, on `dns_ports` only. `none` allows none.",
    )
    api_endpoints: Endpoints = Field(
        default=(),
        description="Addresses of the API server that agents may reach, `ip:port` separated by commas. By default they "
        "are read from the EndpointSlice `kubernetes` in `default`, and followed. Set it where pods reach the API "
        "server under other addresses than those, as behind some cloud load balancers.",
    )
    prometheus_addresses: Urls = Field(
        default=(),
        description="Prometheus servers that evaluations may ask, URLs separated by commas, the first by default. "
        "Authors of agents choose among these and name no others, since the operator asks from inside its own network. "
        "Empty: none is asked, and evaluations by Prometheus are in error.",
    )
    prometheus_ca_file: File = Field(
        default=None,
        description="File with the certificates, in PEM, that are trusted for https instead of the system's. Read "
        "once, at the start.",
    )
    prometheus_token_file: File = Field(
        default=None,
        description="File with a bearer token for Prometheus, sent over https only and read anew for each question. "
        "Every server in `prometheus_addresses` gets it.",
    )

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
