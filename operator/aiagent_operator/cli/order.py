"""Commands that give orders in one's own name (`suspend`, `retrain`, `promote` and the like), and follow them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import Action, ActionPhase
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.cli import names as completion
from aiagent_operator.cli import options, output, view, waiting
from aiagent_operator.cli.errors import CliError, ExitCode, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, path

# The API server adds five characters to what it is given, and no name has more than 253.
_LONGEST_NAME: Final = 248
_OVER: Final = {ActionPhase.FAILED.value, ActionPhase.EXPIRED.value}

Name = Annotated[
    str | None,
    typer.Argument(help="Name of the AIAgent.", show_default=False, autocompletion=completion.agents),
]
Selector = Annotated[
    str,
    typer.Option(
        "--selector",
        "-l",
        help="All agents of the namespace with these labels.",
        metavar="KEY=VALUE,...",
        show_default=False,
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why; shown to whoever asks why the agent does not work.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is carried out, and say how far it is.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait at most.", min=0)]
ToRevision = Annotated[
    int | None,
    typer.Option(
        "--to-revision",
        help="Number of the revision that is to serve; else the one that served before, or, while another takes over, "
        "the one that serves.",
        metavar="NUMBER",
        min=1,
        max=2**31 - 1,
        show_default=False,
        autocompletion=completion.revisions,
    ),
]


def suspend(
    name: Name = None,
    *,
    selector: Selector = "",
    reason: Why,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Take an agent's rights away, then stop its pods, until it is resumed. Its spec is not changed."""
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.SUSPEND, agents_of(name, selector), reason, namespace, wait=wait, timeout=timeout)


def resume(
    name: Name = None,
    *,
    selector: Selector = "",
    reason: Why,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """End the orders that suspend an agent. Where its spec suspends it too, that is said, and left to its author."""
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.RESUME, agents_of(name, selector), reason, namespace, wait=wait, timeout=timeout)


def rollback(
    name: options.AgentName,
    *,
    to_revision: ToRevision = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the order and the revision.")],
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Let an earlier revision of an agent serve again. What its spec asks for is then held back, and not changed."""
    cluster = Cluster.connect(kubeconfig, context)
    about = {"agentRef": {"name": name}} | ({"revision": to_revision} if to_revision else {})
    give(cluster, Action.ROLLBACK, about, reason, namespace, wait=wait, timeout=timeout)


def promote(
    name: options.AgentName,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Pass over all steps that are left, not only over the pause.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the order.")],
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """End the pause at which the rollout of a revision stands, pass over evaluations that are Inconclusive, or let
    revisions take over in spite of what a review has found. `rollout status` says how it goes on."""
    cluster = Cluster.connect(kubeconfig, context)
    about = {"agentRef": {"name": name}} | ({"full": True} if full else {})
    give(cluster, Action.PROMOTE, about, reason, namespace, wait=wait, timeout=timeout)


def abort(
    name: options.AgentName,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the order and the revision.")],
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """End the rollout of a revision: what serves gets everything back, and the revision is rejected."""
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.ABORT, {"agentRef": {"name": name}}, reason, namespace, wait=wait, timeout=timeout)


def retrain(
    name: Name = None,
    *,
    selector: Selector = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the order.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is trained, and say how far.")] = False,
    timeout: Timeout = 86_400.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Train an agent anew without waiting for its plan. Windows and limits of its policies hold all the same."""
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.RETRAIN, agents_of(name, selector), reason, namespace, wait=wait, timeout=timeout)


def agents_of(name: str | None, selector: str) -> Object:
    """What an order says of whom it is about: one agent by its name, or several by their labels."""
    if bool(name) == bool(selector):
        raise CliError("give the NAME of one agent, or --selector for several", ExitCode.USAGE)
    if name:
        return {"agentRef": {"name": name}}
    labels = {}
    for pair in selector.split(","):
        key, equals, value = pair.strip().partition("=")
        if not equals or not key or value.startswith("=") or key.endswith("!"):
            raise CliError(f"--selector {selector}: write key=value, several separated by commas", ExitCode.USAGE)
        labels[key] = value
    return {"selector": {"matchLabels": labels}}


def give(
    cluster: Cluster, action: Action, about: Object, reason: str, namespace: str | None, *, wait: bool, timeout: float
) -> str:
    """Creates the order, whose spec says `about` what it is, and, with `wait`, follows it; NEGATIVE where it fails or
    takes longer than `timeout` seconds. Without `namespace` it is in that of the context. Returns its name."""
    home = namespace or cluster.namespace
    which = (about.get("agentRef") or about.get("archiveRef") or {}).get("name", "agents")
    body: Object = {
        "apiVersion": meta.API_VERSION,
        "kind": "AgentAction",
        "metadata": {"generateName": f"{action.value.lower()}-{which}-"[:_LONGEST_NAME], "namespace": home},
        "spec": {"action": action.value, "requestedBy": _myself(cluster), "reason": reason, **about},
    }
    order = cluster.create(path("agentactions", home), body, what=f"{action.value} of {home}/{which}")
    its = str(order["metadata"]["name"])
    output.say(f"agentaction.{meta.GROUP}/{its} created")
    if wait:
        _follow(cluster, home, its, timeout)
    return its


def _myself(cluster: Cluster) -> str:
    """The user name under which the API server knows the one who runs the command."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", body, what="your own user name")
    return str(answer["status"]["userInfo"]["username"])


def _follow(cluster: Cluster, namespace: str, name: str, seconds: float) -> None:
    what, said = f"AgentAction {namespace}/{name}", ""
    for _ in waiting.looks(seconds):
        try:
            order = cluster.get(path("agentactions", namespace, name), what=what)
        except RefusedError as error:
            if error.status == 404:
                raise CliError(f"{what} was removed before it was carried out", ExitCode.NEGATIVE) from error
            raise
        ready = view.condition(order, Type.READY)
        phase = (order.get("status") or {}).get("phase")
        text = _progress(order, ready)
        if text != said:
            said = text
            output.note(text)
        if ready.get("status") == "True":
            return
        if phase in _OVER:
            raise typer.Exit(ExitCode.NEGATIVE)
    raise CliError(f"{what} is not carried out yet; it stays, and `kubectl get agentactions` tells", ExitCode.NEGATIVE)


def _progress(order: Object, ready: Any) -> str:
    status = order.get("status") or {}
    if ready.get("reason") == Reason.PENDING.value:
        return "waiting for the operator to see the order"
    count = f"{status.get('done', 0)} of {status.get('agents', 0)}: "
    return (count if status.get("agents", 0) > 1 else "") + str(ready.get("message", ""))
