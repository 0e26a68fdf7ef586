"""Which resource people mean: `deploy`, `Deployment`, `deployments.apps`, looked up as kubectl does (discovery)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster

# Kubernetes: aggregated discovery, stable since 1.30; one request answers for all groups.
_ACCEPT: Final = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource. `known` is False where the API server does not list it, so that it is asked about as it was typed."""

    group: str
    plural: str
    namespaced: bool = True
    known: bool = True

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def resolve(cluster: Cluster, text: str) -> Resource:
    """The resource that `text` names: plural, singular, kind or short name, with or without `.group`."""
    typed, _, group = text.partition(".")
    if typed == "*":
        return Resource(group, typed)
    for resource, names in _served(cluster):
        if typed.lower() in names and (not group or resource.group == group):
            return resource
    return Resource(group, typed, known=False)


def _served(cluster: Cluster) -> Iterator[tuple[Resource, set[str]]]:
    """Resources with every name they have, the core group first, then in the API server's order of preference."""
    for path in ("/api", "/apis"):
        try:
            answer = cluster.get(path, what="the list of resources", accept=_ACCEPT)
        except CliError:
            continue  # then it is asked about as it was typed, and said so
        for group in answer.get("items") or ():
            name = group.get("metadata", {}).get("name", "")
            for version in group.get("versions") or ():
                for entry in version.get("resources") or ():
                    yield Resource(name, entry["resource"], entry.get("scope") != "Cluster"), _names(entry)


def _names(entry: dict[str, Any]) -> set[str]:
    kind = (entry.get("responseKind") or {}).get("kind", "")
    names = {entry["resource"], entry.get("singularResource", ""), kind.lower(), *(entry.get("shortNames") or ())}
    return names - {""}
