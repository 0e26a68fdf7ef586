"""`can-i`: what an agent may do, asked of the API server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.cli import authorizer, options, output, resources, view
from aiagent_operator.cli.authorizer import Answer, Question
from aiagent_operator.cli.errors import CliError, ExitCode, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.output import Format
from aiagent_operator.cli.resources import Resource


def can_i(
    *,
    name: options.AgentName,
    verb: Annotated[str | None, typer.Argument(help="Verb of RBAC: get, list, create ...", show_default=False)] = None,
    resource: Annotated[
        str | None,
        typer.Argument(metavar="[RESOURCE[.GROUP]]", help="Resource; group where needed.", show_default=False),
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="All that is granted, from the agent's status.")] = False,
    inside: Annotated[
        str | None, typer.Option("--in", metavar="NAMESPACE", help="Where the agent acts; else its own namespace.")
    ] = None,
    subresource: Annotated[
        str, typer.Option("--subresource", help="Subresource, such as log.", show_default=False)
    ] = "",
    resource_name: Annotated[
        str, typer.Option("--resource-name", help="Name of the one object that is asked about.", show_default=False)
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code answers.")] = False,
    namespace: options.Namespace = None,
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Ask what an agent may do: exit code 0 for yes, 1 for no. With --list, show all that is granted to it."""
    if list_all == bool(verb or resource) or (not list_all and not resource):
        raise CliError("give VERB and RESOURCE, or --list alone", ExitCode.USAGE)
    if form is Format.NAME:
        raise CliError("-o name has no meaning for can-i: use table, wide, json or yaml", ExitCode.USAGE)
    if resource and "/" in resource:
        kind, _, part = resource.partition("/")
        hint = f"write {kind} --subresource {part}, or {kind} --resource-name {part}"
        raise CliError(f"RESOURCE {resource} may mean a subresource or an object: {hint}", ExitCode.USAGE)
    cluster = Cluster.connect(kubeconfig, context)
    home = namespace or cluster.namespace
    if list_all:
        _list(read_agent(cluster, home, name), form)
        return
    for doubt in _must_exist(cluster, home, name):
        output.note(doubt, quiet=quiet)
    found = resources.resolve(cluster, resource or "")
    for doubt in _doubts(found):
        output.note(doubt, quiet=quiet)
    where = (inside or home) if found.namespaced else ""
    question = Question(verb or "", found.plural, found.group, where, resource_name, subresource)
    user, groups = meta.username(home, name), meta.user_groups(home)
    answer = authorizer.of_user(cluster, user, groups, question)
    if not quiet:
        _print(f"{home}/{name}", user, groups, question, answer=answer, form=form)
    if not answer.allowed:
        raise typer.Exit(ExitCode.NEGATIVE)


def _must_exist(cluster: Cluster, namespace: str, name: str) -> Iterator[str]:
    """A name that no agent has would be answered with a plain no, which misleads: then RefusedError."""
    try:
        read_agent(cluster, namespace, name)
    except RefusedError as error:
        if error.status != 403:
            raise
        yield (f"warning: you may not read AIAgent {namespace}/{name}, so whether it exists is not known")


def _doubts(found: Resource) -> Iterator[str]:
    if not found.known:
        yield f'warning: the API server lists no resource "{found}"; it is asked about as you typed it'
    if not found.namespaced:
        yield f'warning: "{found}" is not in namespaces; it is asked about in the whole cluster'


def _print(agent: str, user: str, groups: tuple[str, ...], question: Question, *, answer: Answer, form: Format) -> None:
    if form.structured:
        body: Object = {
            "agent": agent,
            "user": user,
            "groups": list(groups),
            "resourceAttributes": question.attributes(),
            "allowed": answer.allowed,
            "reason": answer.reason,
            "askedBy": answer.asked,
        }
        output.dump(body, form)
        return
    line = output.word("yes" if answer.allowed else "no")
    if answer.reason and (form is Format.WIDE or not answer.allowed):
        line.append(f" - {output.plain(answer.reason)}", style="")
    output.say(line)


def _list(agent: Object, form: Format) -> None:
    metadata = agent["metadata"]
    which = f"{metadata['namespace']}/{metadata['name']}"
    granted = list(_granted(agent))
    doubt = _not_in_force(agent)
    if form.structured:
        body: Object = {
            "agent": which,
            "source": "status.permissions",
            "inForce": not doubt,
            "remark": doubt,
            "permissions": granted,
        }
        output.dump(body, form)
        return
    rows = [
        (
            where,
            ",".join(_resource(group, resource) for group in rule["apiGroups"] for resource in rule["resources"]),
            ",".join(rule["verbs"]),
            ",".join(rule.get("resourceNames") or ()) or "*",
            entry["name"],
        )
        for entry in granted
        for where in entry["namespaces"]
        for rule in entry["rules"]
    ]
    if rows:
        output.table(("NAMESPACE", "RESOURCES", "VERBS", "NAMES", "PERMISSION"), rows)
    else:
        output.note(f"AIAgent {which} is granted nothing: `kubectl aiagent describe {metadata['name']}` says why")
    output.note(
        f"From status.permissions of AIAgent {which}, as the operator reports it{f'. {doubt}' if doubt else ''}. "
        "Rights that others bind to its account are not in it: ask about one with VERB and RESOURCE."
    )


def _granted(agent: Mapping[str, Any]) -> Iterator[Object]:
    """Permissions that hold somewhere; one that waits for a namespace holds in its others."""
    for entry in (agent.get("status") or {}).get("permissions") or ():
        if entry.get("state") != PermissionState.REFUSED.value and entry.get("namespaces") and entry.get("rules"):
            yield {key: entry[key] for key in ("name", "state", "namespaces", "rules")}


def _not_in_force(agent: Mapping[str, Any]) -> str:
    """Why what the status lists may not be in force now."""
    if agent["metadata"].get("deletionTimestamp"):
        return "The agent is being deleted, and its rights go first"
    if agent["spec"].get("suspended"):
        return "The agent is suspended: nothing of it is bound"
    return "The operator has not seen the present spec yet" if view.stale(agent) else ""


def _resource(group: str, resource: str) -> str:
    kind, slash, part = resource.partition("/")
    return f"{kind}.{group}{slash}{part}" if group else resource
