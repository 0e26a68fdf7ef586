"""The agent's network: nothing comes in; out go DNS, the API server, and the connections that are declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.connections import Connection, Egress
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True)
class DnsPeers:
    """Where the cluster's DNS is. The defaults fit kubeadm, kind and the managed clusters that run CoreDNS or kube-dns.

    namespace_labels, pod_labels: select the DNS pods. ports: those the pods listen on (OpenShift: 5353), since network
    policies see traffic after the Service's translation. cidrs: further addresses, such as a node-local cache.
    """

    namespace_labels: tuple[tuple[str, str], ...] = (("kubernetes.io/metadata.name", "kube-system"),)
    pod_labels: tuple[tuple[str, str], ...] = (("k8s-app", "kube-dns"),)
    cidrs: tuple[str, ...] = ()
    ports: tuple[int, ...] = (53,)


def build(
    agent: AgentIdentity, connections: Iterable[Connection], api_endpoints: Iterable[Endpoint], dns: DnsPeers
) -> Desired:
    """The NetworkPolicy of the agent's pods. `api_endpoints`: addresses and ports of the API servers."""
    pods = {meta.LABEL_AGENT_UID: agent.uid}
    return limited(agent, meta.account_name(agent.name), pods, connections, dns, also=_api_servers(api_endpoints))


def limited(
    agent: AgentIdentity,
    name: str,
    pods: Mapping[str, str],
    connections: Iterable[Connection],
    dns: DnsPeers,
    *,
    also: Iterable[Manifest] = (),
) -> Desired:
    """A NetworkPolicy that belongs to the agent, for pods with these labels. `also`: further egress rules."""
    manifest = common.header(ChildKind.NETWORK_POLICY, agent, agent.namespace, name)
    egress = {connection.egress for connection in connections if connection.egress}
    manifest["spec"] = {
        "podSelector": {"matchLabels": dict(pods)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [
            _dns(dns),
            *also,
            *map(_declared, sorted(egress, key=lambda e: (e.cidr, e.port, e.protocol))),
        ],
    }
    return common.desired(manifest, owned(manifest))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels and the whole spec."""
    return common.owned_digest(live, live.get("spec"))


def _dns(dns: DnsPeers) -> Manifest:
    pods: Manifest = {
        "namespaceSelector": {"matchLabels": dict(dns.namespace_labels)},
        "podSelector": {"matchLabels": dict(dns.pod_labels)},
    }
    ports = [{"port": port, "protocol": protocol} for port in dns.ports for protocol in ("UDP", "TCP")]
    return {"ports": ports, "to": [pods, *map(_block, dns.cidrs)]}


def _api_servers(endpoints: Iterable[Endpoint]) -> list[Manifest]:
    """One rule per port, sorted: endpoints come in any order, and an order is no difference."""
    by_port: dict[int, set[str]] = {}
    for address, port in endpoints:
        by_port.setdefault(port, set()).add(address)
    return [
        {
            "ports": [{"port": port, "protocol": "TCP"}],
            "to": [_block(f"{address}/{ip_address(address).max_prefixlen}") for address in sorted(by_port[port])],
        }
        for port in sorted(by_port)
    ]


def _declared(egress: Egress) -> Manifest:
    return {"ports": [{"port": egress.port, "protocol": egress.protocol.value}], "to": [_block(egress.cidr)]}


def _block(cidr: str) -> Manifest:
    return {"ipBlock": {"cidr": cidr}}
