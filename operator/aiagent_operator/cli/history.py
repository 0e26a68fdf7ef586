"""`history`: the revisions of one agent, newest first."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.cli import options, output, revisions, view
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.output import Format
from aiagent_operator.cli.revisions import Standing

# Hexadecimal digits of a digest that are shown; the name of the handbook's ConfigMap ends in the same ones.
_DIGITS = 10


def history(
    name: options.AgentName,
    *,
    namespace: options.Namespace = None,
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """List the revisions of an agent, newest first: what made each, its model, and which of them serves."""
    cluster = Cluster.connect(kubeconfig, context)
    agent = read_agent(cluster, namespace or cluster.namespace, name)
    found = revisions.of(cluster, agent)
    if form.structured:
        items = [output.without_managed_fields(record) for record in found]
        output.dump({"apiVersion": "v1", "kind": "List", "items": items}, form)
    elif form is Format.NAME:
        for record in found:
            output.say(f"agentrevision.{meta.GROUP}/{record['metadata']['name']}")
    elif found:
        output.table(*table(agent, found, wide=form is Format.WIDE))
        if taken := (agent.get("status") or {}).get("succession"):
            before = f"AIAgent {taken['predecessor']['name']}, archived as AgentArchive {taken['archive']}"
            output.note(f"It comes after {before}, in which the revisions before these are")
    else:
        which = f"AIAgent {agent['metadata']['namespace']}/{name}"
        output.note(f"No revision of {which} is recorded yet: `kubectl aiagent describe {name}` says what it waits for")


def table(agent: Object, found: list[Object], *, wide: bool) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Headers and rows. NOW is what the agent's status says of a revision, STATE what its own does."""
    columns = ["REVISION", "STATE", "NOW", "TRIGGER", *(["IMAGES"] if wide else []), "MODEL"]
    columns += [*(["HANDBOOK"] if wide else []), "AGE", *(["WHY"] if wide else [])]
    now = Standing.of(agent)
    rows = []
    for record in found:
        spec, work = record["spec"], revisions.worked(record)
        cells = {
            "REVISION": spec["number"],
            "STATE": revisions.state(record),
            "NOW": now.word(spec["number"]),
            "TRIGGER": spec.get("trigger"),
            "IMAGES": ",".join(entry["image"] for entry in work.get("images") or ()),
            "MODEL": revisions.model(work),
            "HANDBOOK": work["handbook"]["digest"].removeprefix("sha256:")[:_DIGITS],
            "AGE": view.age(record["metadata"].get("creationTimestamp")),
            "WHY": (record.get("status") or {}).get("message"),
        }
        rows.append([cells[column] for column in columns])
    return tuple(columns), rows
