"""`kubectl aiagent offboard` and `rehire`: orders by which agents leave, and may come again."""

from __future__ import annotations

from typing import Annotated

import typer

from aiagent_operator.api.agentaction import Action
from aiagent_operator.api.archive import LeaveReason, Mode
from aiagent_operator.cli import options, output
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, Object, path
from aiagent_operator.cli.order import Name, Selector, Timeout, Wait, agents_of, give


def offboard(
    name: Name = None,
    *,
    selector: Selector = "",
    why: Annotated[LeaveReason, typer.Option("--why", help="Why it leaves, in one word; it stands in its archive.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words; shown with the order and the agent.")],
    emergency: Annotated[
        bool, typer.Option("--emergency", help="End its rights first, and let its pods finish nothing.")
    ] = False,
    notice: Annotated[
        str, typer.Option("--notice", help="Begin so long after the order.", metavar="DURATION", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")] = False,
    wait: Wait = True,
    timeout: Timeout = 900.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Let an agent go: its pods end, then its rights, and it is archived. It stays out for as long as the order exists.

    An order with --notice is not waited for. Its spec is not changed; its author deletes it.
    """
    if dry_run and (selector or not wait):
        raise CliError("--dry-run is about one agent, and waits for the answer: give its NAME", ExitCode.USAGE)
    how: Object = {"reason": why.value, "mode": (Mode.EMERGENCY if emergency else Mode.PLANNED).value}
    how |= {"noticePeriod": notice} if notice else {}
    how |= {"dryRun": True} if dry_run else {}
    about = agents_of(name, selector) | {"offboarding": how}
    cluster = Cluster.connect(kubeconfig, context)
    home = namespace or cluster.namespace
    order = give(cluster, Action.OFFBOARD, about, reason, home, wait=wait and not notice, timeout=timeout)
    if dry_run:
        _show(cluster.get(path("agentactions", home, order), what=f"AgentAction {home}/{order}"))


def rehire(
    name: Name = None,
    *,
    selector: Selector = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the order.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is applied anew, and hired.")] = False,
    timeout: Timeout = 900.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """End the orders that keep an agent out. It is hired anew once its AIAgent is applied anew, as another identity."""
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.REHIRE, agents_of(name, selector), reason, namespace, wait=wait, timeout=timeout)


def abandon(
    name: options.AgentName,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the record of the agent.")],
    order_in: Annotated[
        str,
        typer.Option(
            "--order-in",
            help="Give the order in this namespace, where that of the agent is being deleted.",
            metavar="NAMESPACE",
            show_default=False,
        ),
    ] = "",
    wait: Wait = True,
    timeout: Timeout = 300.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Release an agent that leaves and cannot be archived, once its rights are proved gone. What it was is lost.

    It is refused before the time that the agent's condition Ready names.
    """
    cluster = Cluster.connect(kubeconfig, context)
    home = namespace or cluster.namespace
    about: Object = {"agentRef": {"name": name} | ({"namespace": home} if order_in else {})}
    give(cluster, Action.ABANDON, about, reason, order_in or home, wait=wait, timeout=timeout)


def _show(order: Object) -> None:
    found = order["status"]["preview"]
    kept = found.get("retainedUntil")
    asked = " and ".join(found.get("retainedFor") or ())
    rows = [
        ("Rights:", f"{found['rights']} in {found['namespaces']} namespaces would end"),
        ("Pods:", f"{found['pods']} would end"),
        ("Archive:", f"{found['files']} files of {found['size']} bytes, beside what its pods and volumes hold"
         if kept else "none: there is no archive store"),
        *([("Kept until:", f"{kept}, as {asked} asks")] if kept else []),
        *[("Named by:", f"AIAgent {each['name']}, as its {each['namesIt'].lower()}")
          for each in found.get("dependents") or ()],
    ]  # fmt: skip
    width = max(len(label) for label, _ in rows) + 2
    for label, text in rows:
        output.say(f"{label:<{width}}{text}")
