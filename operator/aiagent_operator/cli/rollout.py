"""`rollout status`: which revision serves, which takes over, by which step, and how many pods of each are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

import typer

from aiagent_operator.api.conditions import TRANSIENT, Reason, Type
from aiagent_operator.cli import evaluations, options, output, view, waiting
from aiagent_operator.cli.errors import CliError, ExitCode, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.revisions import Standing

_WAITS: Final = frozenset(reason.value for reason in TRANSIENT)

Watch = Annotated[bool, typer.Option("--watch", "-w", help="Follow it until it is done, and print what changes.")]
Timeout = Annotated[float, typer.Option("--timeout", help="With --watch: seconds to wait at most.", min=0)]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Follow an agent from one revision to another.")


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of a Deployment: asked for, and ready."""

    asked: int
    ready: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an agent is: lines to print, whether it is done, and whether waiting changes nothing."""

    lines: tuple[str, ...]
    done: bool = False
    over: bool = False


@app.command()
def status(
    name: options.AgentName,
    *,
    watch: Watch = False,
    timeout: Timeout = 600.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Say which revision serves, and how far the one is that takes over. Exit code 0 once what the spec asks for serves
    with all its pods, 1 before."""
    cluster = Cluster.connect(kubeconfig, context)
    place = namespace or cluster.namespace
    said: tuple[str, ...] = ()
    version: str = ""
    pods: Mapping[int, Pods] | None = None
    for _ in waiting.looks(timeout if watch else 0):
        agent = read_agent(cluster, place, name)
        if agent["metadata"]["resourceVersion"] != version:
            # The operator counts pods in the agent's status, so that none come or go without it.
            version = agent["metadata"]["resourceVersion"]
            pods = _deployments(cluster, agent)
        found = progress(agent, pods, evaluations.of_rollout(evaluations.of(cluster, agent)))
        for line in found.lines:
            if line not in said:
                output.say(output.plain(line))
        said = found.lines
        if found.done:
            return
        if found.over or not watch:
            raise typer.Exit(ExitCode.NEGATIVE)
    raise CliError(
        f"AIAgent {place}/{name} is not done after {timeout:g} s: `kubectl aiagent describe {name}` says what it waits "
        "for; --timeout waits longer",
        ExitCode.NEGATIVE,
    )


def progress(agent: Object, deployments: Mapping[int, Pods] | None, measured: Iterable[str] = ()) -> Progress:
    """How far the agent is. `deployments` has the pods by number of the revision; None where they cannot be read, or
    where the work is adopted, and has no Deployment for each revision. `measured`: what evaluations of its rollout
    say."""
    metadata = agent["metadata"]
    if metadata.get("deletionTimestamp"):
        return Progress((f"AIAgent {metadata['namespace']}/{metadata['name']} is being deleted",), over=True)
    if view.stale(agent):
        return Progress(("Waiting for the operator to act on the present spec",))
    now = Standing.of(agent)
    lines = list(_revisions(agent, now, deployments))
    if now.held_back:
        held = now.held_back
        lines.append(
            f"Revision {held}, which the spec asks for, is held back by a rollback: change the spec, or order "
            f"`kubectl aiagent rollback {metadata['name']} --to-revision {held} --reason WHY`"
        )
        return Progress(tuple(lines), over=not now.takes_over)
    accepted = view.condition(agent, Type.REVISION_ACCEPTED)
    if accepted and accepted.get("reason") not in _WAITS:
        # Rejected, or a person is waited for: what serves goes on serving.
        return Progress((*lines, accepted.get("message", "")), over=True)
    work, ready = view.condition(agent, Type.WORKLOAD_READY), view.condition(agent, Type.READY)
    stepwise = _step(agent, now)
    lines += [stepwise, *measured] if stepwise else []
    counted = not stepwise and bool(deployments) and now.takes_over and work.get("reason") == Reason.PROGRESSING.value
    if work.get("status") != "True":
        # That pods are waited for has been said with their number.
        lines += [] if counted else [work.get("message") or "Waiting for the operator to look at the work"]
    elif ready.get("reason") in _WAITS:
        lines.append(ready.get("message", ""))
    elif now.serves and not now.takes_over:
        return Progress(tuple(lines), done=True)
    return Progress(tuple(lines))


def _revisions(agent: Object, now: Standing, deployments: Mapping[int, Pods] | None) -> Iterator[str]:
    """A line for the revision that serves, and one for that which takes over."""
    status, known = agent.get("status") or {}, deployments or {}
    wanted = agent["spec"]["workload"].get("replicas", 1)
    for number in (now.serves, now.takes_over):
        if not number:
            continue
        pods = ""
        if found := known.get(number):
            # What serves gives pods up one by one; what takes over must have all, unless steps say how many.
            asked = wanted if number == now.takes_over and not _step(agent, now) else found.asked
            pods = f": {found.ready} of {asked} pods ready"
        elif deployments is None and not now.takes_over and status.get("replicas") is not None:
            pods = f": {status.get('readyReplicas', 0)} of {status['replicas']} pods ready"
        yield f"Revision {number} {now.word(number)}{pods}"


def _step(agent: Object, now: Standing) -> str:
    """How far the rollout is by its steps; empty where it has none."""
    kept = (agent.get("status") or {}).get("rollout") or {}
    if not now.takes_over or kept.get("revision") != now.takes_over or "steps" not in kept:
        return ""
    if kept.get("abortedAt"):
        return f"Revision {now.takes_over} is given up: {kept.get('reason', '')}"
    # Steps are counted from 0, in status and messages alike: the number of the one under way is how many are over.
    passed = (
        "All steps are passed over" if kept.get("full") else f"{kept.get('step', 0)} of {kept['steps']} steps are over"
    )
    return f"{passed}, {kept.get('weight', 0)} % is in effect, and it waits for {kept.get('waitsFor')}"


def _deployments(cluster: Cluster, agent: Object) -> Mapping[int, Pods] | None:
    """Pods of the revisions that serve and take over, from their Deployments; None where these cannot be told."""
    now, metadata = Standing.of(agent), agent["metadata"]
    if not agent["spec"]["workload"].get("template"):
        return None
    found = {}
    for number in filter(None, (now.serves, now.takes_over)):
        name = f"{metadata['name']}-{number}"
        where = f"/apis/apps/v1/namespaces/{quote(metadata['namespace'], safe='')}/deployments/{quote(name, safe='')}"
        try:
            live = cluster.get(where, what=f"Deployment {metadata['namespace']}/{name}")
        except RefusedError as error:
            if error.status == 403:
                return None  # the agent's conditions say it in sum
            if error.status != 404:
                raise
        else:
            found[number] = Pods(live["spec"].get("replicas", 0), (live.get("status") or {}).get("readyReplicas", 0))
    return found
