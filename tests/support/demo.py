"""`make demo`: a cluster, the operator and the sample agents; then what each agent may do, as the API server says.

Runs until Ctrl-C and leaves nothing running. With --once it ends by itself, with 0 where all is as it should be.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from support import chart, rights
from support.cluster import Cluster, NamedCluster
from support.kube import ApiError, Kube, Object, WaitTimeout
from support.localcluster import ControlPlane, LocalClusterError
from support.operator import OperatorProcess

API = "workforce.dev/v1alpha1"
SAMPLES = chart.ROOT / "manifests" / "samples"
READY_SECONDS = 180.0
GONE_SECONDS = 120.0
# What others refer to goes first; agents go last, when all that they name is there.
ORDER = ("Namespace", "CustomResourceDefinition", "ClusterRole", "ServiceAccount", "AgentRole", "AgentPolicy")
OUT = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Run the demo; the exit code is the verdict."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end with the verdict instead of waiting for Ctrl-C")
    arguments = parser.parse_args()
    # SIGINT too: a shell that starts this in the background has it ignored.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        with contextlib.ExitStack() as stack:
            return run(stack, once=arguments.once)
    except KeyboardInterrupt:
        step("stopped; nothing is left running")
        return 0 if not arguments.once else 130
    except (LocalClusterError, ApiError, WaitTimeout, OSError) as error:
        OUT.print(f"[bold red]The demo failed:[/] {escape(str(error))}")
        return 1


def run(stack: contextlib.ExitStack, *, once: bool) -> int:
    """All steps, in order; `stack` undoes them."""
    cluster = stack.enter_context(find_cluster())
    admin = cluster.admin
    step("installing the kinds, the operator's rights and the admission policies (manifests/install.yaml)")
    chart.install(admin, from_manifest=True)
    operator = stack.enter_context(start_operator(cluster))
    agents = stack.enter_context(samples(cluster))
    ready = await_ready(admin, agents, operator)
    good = report(admin, agents) and ready
    if once:
        verdict = "[bold green]as it should be[/]" if good else "[bold red]not as it should be[/]"
        step(f"verdict: all is {verdict}" if good else f"verdict: {verdict}")
        return 0 if good else 1
    how_to_go_on(cluster, agents)
    stay(operator)
    return 0


def step(text: str) -> None:
    """Say what happens now."""
    OUT.print(f"[bold]==>[/] {text}", soft_wrap=True)


@contextlib.contextmanager
def find_cluster() -> Iterator[Cluster]:
    """The cluster that KUBECONFIG names, else a local control plane."""
    named = os.environ.get("KUBECONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise LocalClusterError(f"KUBECONFIG names {named}, which is no file; correct it, or unset it")
        cluster = NamedCluster(path)
        step(f"using the cluster at {cluster.server}, which KUBECONFIG names")
        try:
            yield cluster
        finally:
            cluster.close()
        return
    step("starting a control plane on this machine (its first build takes minutes)")
    started = time.monotonic()
    with ControlPlane() as plane:
        step(f"Kubernetes {plane.admin.raw('GET', '/version')['gitVersion']} runs ({time.monotonic() - started:.0f} s)")
        yield plane


@contextlib.contextmanager
def start_operator(cluster: Cluster) -> Iterator[OperatorProcess | None]:
    """The operator as a process here, with the rights of its own account; None where the cluster runs one already."""
    if cluster.admin.find("apps/v1", "deployments", chart.ACCOUNT, namespace=chart.NAMESPACE) is not None:
        step(f"the operator is already deployed in {chart.NAMESPACE}")
        yield None
        return
    step(f"starting the operator as {chart.USERNAME}")
    kubeconfig = cluster.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT, seconds=86_400)
    folder = Path(tempfile.mkdtemp(prefix="aiagent-demo-"))
    settings = {"log_level": "INFO"}
    try:
        with OperatorProcess(kubeconfig, admin=cluster.admin, folder=folder, settings=settings) as operator:
            yield operator
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def samples(cluster: Cluster) -> Iterator[list[Object]]:
    """Apply manifests/samples; yields the agents. In a cluster that stays, they are offboarded in the end."""
    admin = cluster.admin
    # Those in folders are of agents that wait for others to leave, or for volumes.
    files = sorted(SAMPLES.glob("*.yaml"))
    if not files:
        raise LocalClusterError(f"no samples in {SAMPLES}: this clone is not complete")
    objects = [doc for file in files for doc in yaml.safe_load_all(file.read_text()) if doc]
    objects.sort(key=_rank)
    agents = [obj for obj in objects if obj["kind"] == "AIAgent"]
    step(f"applying {len(files)} files of samples, with {len(agents)} agents")
    made: list[Object] = []
    try:
        for obj in objects:
            meta = obj["metadata"]
            there = admin.find(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))
            admin.apply(obj, manager="aiagent-demo", force=True)
            if there is None:  # what was there before is not ours to remove
                made.append(obj)
            if obj["kind"] == "CustomResourceDefinition":
                name = obj["metadata"]["name"]
                admin.wait_object(
                    obj["apiVersion"], obj["kind"], name, _established, what=f"the kind {name} to be served"
                )
        yield agents
    finally:
        if not isinstance(cluster, ControlPlane):
            remove(admin, made)
            step(f"the kinds, policies and rights stay installed at {cluster.server}")


def remove(admin: Kube, made: list[Object]) -> None:
    """Delete agents first, wait until they are offboarded, and then the rest, each in the reverse order."""
    step("offboarding the sample agents and removing the samples")
    for obj in reversed(made):
        meta = obj["metadata"]
        with _already_gone():
            admin.delete(obj["apiVersion"], obj["kind"], meta["name"], namespace=meta.get("namespace"))
        if obj["kind"] == "AIAgent":
            admin.wait_gone(API, "aiagents", meta["name"], namespace=meta["namespace"], timeout=GONE_SECONDS)


def await_ready(admin: Kube, agents: list[Object], operator: OperatorProcess | None) -> bool:
    """Wait until every agent is Ready, saying of each what it waits for whenever that changes."""
    step("waiting for the agents to be Ready")
    said: dict[str, str] = {}
    deadline = time.monotonic() + READY_SECONDS
    while True:
        for agent in agents:
            name = rights.full_name(agent)
            state = _state(_read(admin, agent))
            if said.get(name) != state:
                said[name] = state
                OUT.print(f"    {name}: {escape(state)}", soft_wrap=True)
        if all(state.startswith("Ready") for state in said.values()):
            return True
        check(operator)
        if time.monotonic() > deadline:
            waiting = [name for name, state in said.items() if not state.startswith("Ready")]
            OUT.print(f"[bold red]Not Ready after {READY_SECONDS:.0f} s:[/] {', '.join(waiting)}")
            if operator is not None:
                OUT.print(escape(operator.tail()))
            return False
        time.sleep(0.2)


def report(admin: Kube, agents: list[Object]) -> bool:
    """A table per agent of what the API server lets it do; True where that is what its status says."""
    step("asking the API server what each agent may do (SubjectAccessReview)")
    found = [_read(admin, agent) for agent in agents]
    agrees = True
    for agent in found:
        if not agent.get("status", {}).get("serviceAccount"):
            agrees = False
            continue
        table = Table(title=f"{rights.full_name(agent)}: {agent['spec'].get('purpose', '')}", title_justify="left")
        for column in ("API server", "right", "because"):
            table.add_column(column, overflow="fold")
        answers = rights.ask(admin, agent, rights.questions(agent, found))
        rows: dict[tuple[bool, bool, str, str], list[str]] = {}
        for answer in sorted(answers, key=lambda item: (not item.allowed, item.right.target)):
            row = (answer.allowed, answer.agrees, answer.right.target, answer.why)
            rows.setdefault(row, []).append(answer.right.verb)
        for (allowed, true, target, why), verbs in rows.items():
            said = "[green]may[/]" if allowed else "[yellow]may not[/]"
            warning = "" if true else " [bold red](its status says otherwise)[/]"
            table.add_row(said + warning, f"[bold]{', '.join(verbs)}[/] {escape(target)}", escape(why))
        OUT.print(table)
        agrees = agrees and all(answer.agrees for answer in answers) and any(a.allowed for a in answers)
    return agrees


def how_to_go_on(cluster: Cluster, agents: list[Object]) -> None:
    """Commands to try in another terminal."""
    meta = agents[0]["metadata"]
    one = f"-n {meta['namespace']} aiagent {meta['name']}"
    step("all of it stays up until Ctrl-C. In another terminal:")
    kubectl = "kubectl"
    if isinstance(cluster, ControlPlane) and shutil.which("kubectl") is None:
        kubectl = str(cluster.kubectl)
    for line in (
        f"export KUBECONFIG={cluster.kubeconfig}",
        f"{kubectl} get aiagents -A",
        f"{kubectl} get {one} -o yaml",
        f'{kubectl} patch {one} --type merge -p \'{{"spec":{{"suspended":true}}}}\'   # takes its rights away at once',
        f"{kubectl} auth can-i --list -n {meta['namespace']}"
        f" --as system:serviceaccount:{meta['namespace']}:aiagent.{meta['name']}",
    ):
        OUT.print(f"    {line}", markup=False, soft_wrap=True)


def stay(operator: OperatorProcess | None) -> None:
    """Wait for Ctrl-C; raises where the operator ends by itself."""
    forever = threading.Event()
    while not forever.wait(1.0):
        check(operator)


def check(operator: OperatorProcess | None) -> None:
    """Raise LocalClusterError where the operator has ended by itself."""
    if operator is not None and not operator.running():
        raise LocalClusterError(f"the operator ended by itself; its log ends with\n{operator.tail()}")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _rank(obj: Object) -> int:
    if obj["kind"] == "AIAgent":
        return len(ORDER) + 1
    return ORDER.index(obj["kind"]) if obj["kind"] in ORDER else len(ORDER)


def _read(admin: Kube, agent: Object) -> Object:
    meta = agent["metadata"]
    return admin.get(API, "aiagents", meta["name"], namespace=meta["namespace"])


def _state(agent: Object) -> str:
    conditions = agent.get("status", {}).get("conditions", [])
    current = [c for c in conditions if c.get("observedGeneration", 0) == agent["metadata"]["generation"]]
    ready = next((c for c in current if c["type"] == "Ready"), None)
    if ready is None:
        return "not seen by the operator yet"
    if ready["status"] == "True":
        return f"Ready, {agent['status'].get('granted', 'no')} permissions granted"
    return f"{ready['reason']}: {ready['message']}"


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


@contextlib.contextmanager
def _already_gone() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if error.status != 404:
            raise


if __name__ == "__main__":
    sys.exit(main())
