"""`get`: agents at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Type
from aiagent_operator.cli import names as completion
from aiagent_operator.cli import options, output, view
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, Object, agents_path, read_agent
from aiagent_operator.cli.output import Format

_COLUMNS = ("NAME", "ROLE", "READY", "REASON", "PHASE", "GRANTED", "ACCOUNTABLE", "AGE")
_WIDE = ("REVISION", "PURPOSE", "MESSAGE")


def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of AIAgents; all where none is given.", show_default=False, autocompletion=completion.agents
        ),
    ] = None,
    *,
    namespace: options.Namespace = None,
    all_namespaces: options.AllNamespaces = False,
    selector: options.Selector = "",
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """List agents: role, readiness and why, rights granted, who is accountable."""
    if names and (all_namespaces or selector):
        flag = "--all-namespaces" if all_namespaces else "--selector"
        raise CliError(f"{flag} lists agents, so no NAME goes with it: leave one of the two out", ExitCode.USAGE)
    cluster = Cluster.connect(kubeconfig, context)
    place = namespace or cluster.namespace
    if names:
        found = [read_agent(cluster, place, name) for name in names]
    else:
        where = None if all_namespaces else place
        what = "AIAgents of all namespaces" if all_namespaces else f"AIAgents in namespace {place}"
        found = [
            {"apiVersion": meta.API_VERSION, "kind": "AIAgent", **item}
            for item in cluster.list(agents_path(where), what=what, selector=selector)
        ]
    _show(found, form, one=len(names or ()) == 1, namespaced=all_namespaces)
    if not found and not form.structured:
        output.note("No agents found" if all_namespaces else f"No agents found in namespace {place}.")


def _show(found: list[Object], form: Format, *, one: bool, namespaced: bool) -> None:
    if form.structured:
        shown = [output.without_managed_fields(agent) for agent in found]
        output.dump(shown[0] if one else {"apiVersion": "v1", "kind": "List", "items": shown}, form)
    elif form is Format.NAME:
        for agent in found:
            output.say(f"aiagent.{meta.GROUP}/{agent['metadata']['name']}")
    elif found:
        wide = form is Format.WIDE
        headers = (("NAMESPACE",) if namespaced else ()) + _COLUMNS + (_WIDE if wide else ())
        output.table(headers, [_row(agent, namespaced=namespaced, wide=wide) for agent in found])


def _row(agent: Mapping[str, Any], *, namespaced: bool, wide: bool) -> list[Any]:
    metadata, spec, status = agent["metadata"], agent["spec"], agent.get("status") or {}
    ready = view.condition(agent, Type.READY)
    row = [
        metadata["name"],
        (spec.get("roleRef") or {}).get("name"),
        ready.get("status", "Unknown"),
        ready.get("reason"),
        status.get("phase"),
        status.get("granted"),
        status.get("accountable"),
        view.age(metadata.get("creationTimestamp")),
    ]
    revision = (status.get("revision") or {}).get("stable")
    extra = [revision, spec.get("purpose"), ready.get("message")] if wide else []
    return ([metadata["namespace"]] if namespaced else []) + row + extra
