"""`history`: the revisions of one agent, newest first, or all that is known of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from aiagent_operator.api import meta
from aiagent_operator.cli import names as completion
from aiagent_operator.cli import options, output, revisions, view
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.output import Format, plain
from aiagent_operator.cli.revisions import Standing

# Hexadecimal digits of a digest that are shown; the name of the handbook's ConfigMap ends in the same ones.
_DIGITS = 10


def history(
    name: options.AgentName,
    *,
    revision: Annotated[
        int | None,
        typer.Option(
            "--revision",
            help="Number of one revision: show what made it, what its training has measured and said, and why it is in "
            "its state.",
            metavar="NUMBER",
            min=1,
            max=2**31 - 1,
            show_default=False,
            autocompletion=completion.revisions,
        ),
    ] = None,
    namespace: options.Namespace = None,
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """List the revisions of an agent, newest first: what made each, its model, and which of them serves."""
    cluster = Cluster.connect(kubeconfig, context)
    agent = read_agent(cluster, namespace or cluster.namespace, name)
    found = revisions.of(cluster, agent)
    if revision is not None:
        _one(agent, revisions.pick(found, revision, agent), form)
    else:
        _list(agent, found, form)


def _list(agent: Object, found: list[Object], form: Format) -> None:
    name = agent["metadata"]["name"]
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


def _one(agent: Object, record: Object, form: Format) -> None:
    if form.structured:
        output.dump(output.without_managed_fields(record), form)
        return
    if form is Format.NAME:
        output.say(f"agentrevision.{meta.GROUP}/{record['metadata']['name']}")
        return
    for key, value in details(agent, record):
        output.say(f"{key + ':':15}{plain(value)}")
    status = record.get("status") or {}
    for key, text in (("Notes", (status.get("result") or {}).get("notes")), ("Log", status.get("log"))):
        if text:
            output.say(f"{key}:")
            for line in str(text).split("\n"):
                output.verbatim(f"  {line}")


def details(agent: Object, record: Object) -> Iterator[tuple[str, str]]:
    """What there is to say of one revision, a line each; what it has not is left out."""
    spec, status, work = record["spec"], record.get("status") or {}, revisions.worked(record)
    result, order, learned = status.get("result") or {}, spec.get("order"), spec.get("learned") or {}
    now = Standing.of(agent).word(spec["number"])
    lines = {
        "Revision": spec["number"],
        "State": ", ".join(filter(None, (revisions.state(record), now))),
        "Why": status.get("message"),
        "Trigger": f"{spec['trigger']}, by AgentAction {order['name']}" if order else spec["trigger"],
        "Parent": spec.get("parent"),
        "Made": record["metadata"].get("creationTimestamp"),
        "Trained": status.get("completionTime"),
        "Images": ", ".join(f"{each['container']}={each['image']}" for each in work.get("images") or ()),
        "Model": revisions.model(work),
        "Artifact": result.get("artifact") or learned.get("artifact"),
        "Handbook": work["handbook"]["digest"],
        "Kind": result.get("kind"),
        "Metrics": ", ".join(f"{key} {value}" for key, value in sorted((result.get("metrics") or {}).items())),
    }
    yield from ((key, str(value)) for key, value in lines.items() if value)
