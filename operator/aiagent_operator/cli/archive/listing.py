"""`archive list`: the archives of agents that have left, as the index in the cluster knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any

import typer

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Type
from aiagent_operator.cli import options, output, view
from aiagent_operator.cli.errors import CliError, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, path
from aiagent_operator.cli.output import Format

_COLUMNS = ("NAME", "AGENT", "REASON", "MODE", "PHASE", "VERIFIED", "UNTIL", "SEALED")
_WIDE = ("ROLE", "STORE", "PATH", "ITEMS", "BYTES", "MISSING", "MANIFEST")
_FORBIDDEN = 403


def listed(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names of agents that have left; all where none is given.", show_default=False),
    ] = None,
    *,
    namespace: options.Namespace = None,
    all_namespaces: options.AllNamespaces = False,
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """List the archives of agents that have left, the oldest first: why, until when they are kept, and where they are.

    This asks the cluster. AgentArchives have no namespace: it takes a right in the whole cluster to read them.
    """
    cluster = Cluster.connect(kubeconfig, context)
    place = None if all_namespaces else namespace or cluster.namespace
    found = _of(_all(cluster), place, names or ())
    where = f"namespace {place}" if place else "any namespace"
    if missing := sorted(set(names or ()) - {each["spec"]["agent"]["name"] for each in found}):
        raise CliError(
            f"no archive of an agent {missing[0]} that was in {where}: `kubectl aiagent archive list -A` lists all; an "
            "agent that is still there, or is leaving, has none yet"
        )
    _show(found, form, namespaced=all_namespaces)
    if not found and not form.structured:
        output.note(f"No archives of agents of {where}.")


def _all(cluster: Cluster) -> list[Object]:
    try:
        return list(cluster.list(path("agentarchives", None), what="AgentArchives"))
    except RefusedError as error:
        if error.status != _FORBIDDEN:
            raise
        raise RefusedError(
            "AgentArchives: you may not list them: ask an administrator for ClusterRole workforce-archives-view by a "
            "ClusterRoleBinding",
            error.status,
        ) from error


def _of(records: Collection[Object], namespace: str | None, names: Collection[str]) -> list[Object]:
    """Those of the agents, in the order in which they were sealed."""
    found = [
        {"apiVersion": meta.API_VERSION, "kind": "AgentArchive", **each}
        for each in records
        if (namespace is None or each["spec"]["agent"]["namespace"] == namespace)
        and (not names or each["spec"]["agent"]["name"] in names)
    ]
    return sorted(found, key=lambda each: (each["spec"]["created"], each["metadata"]["name"]))


def _show(found: list[Object], form: Format, *, namespaced: bool) -> None:
    if form.structured:
        items = [output.without_managed_fields(each) for each in found]
        output.dump({"apiVersion": "v1", "kind": "List", "items": items}, form)
    elif form is Format.NAME:
        for each in found:
            output.say(f"agentarchive.{meta.GROUP}/{each['metadata']['name']}")
    elif found:
        wide = form is Format.WIDE
        headers = (("NAMESPACE",) if namespaced else ()) + _COLUMNS + (_WIDE if wide else ())
        output.table(headers, [_row(each, namespaced=namespaced, wide=wide) for each in found])


def _row(record: Mapping[str, Any], *, namespaced: bool, wide: bool) -> list[Any]:
    spec, status = record["spec"], record.get("status") or {}
    agent, about = spec["agent"], spec.get("manifest") or {}
    row = [
        record["metadata"]["name"],
        agent["name"],
        spec["reason"],
        spec["mode"],
        status.get("phase"),
        view.condition(record, Type.VERIFIED).get("status", "Unknown"),
        spec["retention"]["until"],
        view.age(spec["created"]),
    ]
    gaps = len(spec.get("notCaptured") or ()) + spec.get("notCapturedMore", 0)
    more = [agent["role"], spec["store"], spec["path"]]
    more += [about.get("items"), about.get("size"), gaps, about.get("digest")]
    return ([agent["namespace"]] if namespaced else []) + row + (more if wide else [])
