"""How long a thousand agents take that leave at once, beside the same deletions and files, done straight."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from aiagent_operator.api import meta
from bench import agents, straight
from bench.fleet import PLAIN, Fleet
from bench.load import Client, Request
from bench.process import cpu_seconds
from bench.stats import Figure, Run
from bench.watcher import Agent, Watcher, say
from support import chart
from support.archive import directory
from support.kube import Object
from support.localcluster.audit import MUTATING

MANY = int(os.environ.get("BENCH_LEAVING", "1000"))
CONNECTIONS = 64
# Agents whose files are put at once, each file after the one before: as many as the operator's writes.
_AT_ONCE = 64
# Written, and a question.
_ASKED = "create subjectaccessreviews"
_RECORDS = f"/apis/{meta.API_VERSION}/agentarchives"


@dataclass(frozen=True)
class Left:
    """What it took the operator: seconds, CPU of its process and of the API server, and requests by what they ask for;
    and for each agent the files in the store."""

    seconds: float
    cpu: float
    server: float
    requests: Counter[str]
    files: list[list[tuple[str, bytes]]]
    records: list[Object]


def offboarded(runs: int, *, count: int = MANY, namespaces: int = 100) -> Figure:
    """Figure offboarding_1000."""
    measured: list[Run] = []
    beside: dict[str, list[float]] = {
        "cpu_ms_per_agent": [],
        "server_cpu_ms_per_agent": [],
        "straight_server_cpu_ms_per_agent": [],
        "writes_per_agent": [],
        "reads_per_agent": [],
        "files_per_agent": [],
        "straight_api_s": [],
        "store_s": [],
    }
    for number in range(runs):
        say(f"offboarding_1000: run {number + 1} of {runs}")
        with Fleet(controllers=f"{PLAIN},garbage-collector-controller") as fleet:
            template = straight.model(fleet)
            left = _operator(fleet, count, namespaces)
            api, server, store = _straight(fleet, template, left, count, namespaces)
        measured.append(Run(left.seconds, api + store))
        beside["cpu_ms_per_agent"].append(round(left.cpu / count * 1000, 1))
        beside["server_cpu_ms_per_agent"].append(round(left.server / count * 1000, 1))
        beside["straight_server_cpu_ms_per_agent"].append(round(server / count * 1000, 1))
        writes = sum(number for what, number in left.requests.items() if what.split()[0] in MUTATING and what != _ASKED)
        beside["writes_per_agent"].append(round(writes / count, 1))
        beside["reads_per_agent"].append(round((left.requests.total() - writes) / count, 1))
        beside["files_per_agent"].append(round(sum(map(len, left.files)) / count, 1))
        beside["straight_api_s"].append(round(api, 1))
        beside["store_s"].append(round(store, 1))
        say(f"  {left.seconds:.1f} s, straight {api:.1f} s and {store:.1f} s of files")
        most = ", ".join(f"{what} {number / count:.1f}" for what, number in left.requests.most_common(24))
        say(f"  for each agent: {most}")
    return Figure(
        "offboarding_1000",
        "s",
        f"the deletions of the {agents.CHILDREN} children of each by the operator's account, and of the AIAgent, and "
        "the AgentArchive with its status; then the same files created straight in a directory, one after the other "
        "for each agent, and those of the archive read again",
        tuple(measured),
        {"agents": count, "namespaces": namespaces, **beside},
    )


def _operator(fleet: Fleet, count: int, namespaces: int) -> Left:
    wanted = agents.spread(count, namespaces, "leaves")
    fleet.namespaces(where for _, where in wanted)
    operator = fleet.operator()
    fleet.onboard(operator, wanted)
    before = _files(fleet)
    server = fleet.plane.components["kube-apiserver"].pid
    used, served, mark = cpu_seconds(operator.pid), cpu_seconds(server), fleet.plane.audit_mark()
    with _Gone(fleet) as gone:
        began = time.monotonic()
        fleet.load.send(_dismissals(fleet, wanted), connections=CONNECTIONS)
        seconds = gone.wait(wanted, what="gone", operator=operator) - began
    cpu, served = cpu_seconds(operator.pid) - used, cpu_seconds(server) - served
    asked = fleet.plane.audit(mark, user=chart.USERNAME)
    requests = Counter(f"{each.verb} {each.resource}{'/' * bool(each.subresource)}{each.subresource}" for each in asked)
    records = fleet.admin.list(meta.API_VERSION, "agentarchives")
    operator.terminate()
    if len(records) < count:
        raise AssertionError(f"{count} agents have left, and there are {len(records)} AgentArchives")
    fresh = {name: data for name, data in _files(fleet).items() if name not in before}
    by_agent: dict[str, list[tuple[str, bytes]]] = {}
    for name, data in sorted(fresh.items()):
        by_agent.setdefault(name.split("/")[1], []).append((name, data))
    return Left(seconds, cpu, served, requests, list(by_agent.values()), records)


class _Gone(Watcher):
    """Agents as they go."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet.plane.kubeconfig, lambda _: True)

    def _take(self, kind: str, obj: Object) -> None:
        if kind == "DELETED":
            super()._take(kind, obj)


def _dismissals(fleet: Fleet, wanted: Sequence[Agent]) -> list[Request]:
    path = f"/apis/{meta.API_VERSION}/namespaces/{{}}/aiagents/{{}}"
    return [fleet.load.request("DELETE", path.format(where, name)) for name, where in wanted]


def _files(fleet: Fleet) -> dict[str, bytes]:
    top = fleet.archive.path
    folders = [top / name for name in ("archives", "journal", "records")]
    found = [path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(top)): path.read_bytes() for path in found}


def _straight(
    fleet: Fleet, template: straight.Template, left: Left, count: int, namespaces: int
) -> tuple[float, float, float]:
    """Seconds at the API server, its CPU meanwhile, and seconds at the store."""
    client = Client(fleet.account())
    wanted = agents.spread(count, namespaces, "straight")
    homes = sorted({where for _, where in wanted})
    fleet.namespaces(homes)
    client.send(template.requests(client, wanted), connections=CONNECTIONS)
    fleet.apply(wanted)
    requests = _deletions(fleet, client, homes) + _ends(client, wanted)
    requests += [_recorded(client, record, number) for number, record in enumerate(left.records[:count])]
    server = fleet.plane.components["kube-apiserver"].pid
    began, used = time.perf_counter(), cpu_seconds(server)
    fleet.load.send(_dismissals(fleet, wanted), connections=CONNECTIONS)
    client.send(requests, connections=CONNECTIONS)
    return time.perf_counter() - began, cpu_seconds(server) - used, _put(left.files)


def _deletions(fleet: Fleet, client: Client, homes: Sequence[str]) -> list[Request]:
    inside = set(homes)
    found = []
    for kind in agents.KINDS:
        for child in fleet.admin.list(agents.VERSIONS[kind], kind, labels=meta.LABEL_AGENT_UID):
            where = child["metadata"]["namespace"]
            if where in inside:
                path = f"{agents.COLLECTIONS[kind].format(where)}/{child['metadata']['name']}"
                found.append(client.request("DELETE", path, {"propagationPolicy": "Background"}))
    return found


def _ends(client: Client, wanted: Sequence[Agent]) -> list[Request]:
    """The finalizers of agents that are told to go."""
    path = f"/apis/{meta.API_VERSION}/namespaces/{{}}/aiagents/{{}}"
    bare, content = {"metadata": {"finalizers": None}}, "application/merge-patch+json"
    return [client.request("PATCH", path.format(where, name), bare, content=content) for name, where in wanted]


def _recorded(client: Client, record: Object, number: int) -> Request:
    """An AgentArchive like this one, and its status after it."""
    name = f"straight-{number:05d}"
    head: dict[str, Any] = {"apiVersion": record["apiVersion"], "kind": record["kind"], "metadata": {"name": name}}
    status = client.request(
        "PATCH", f"{_RECORDS}/{name}/status", {"status": record["status"]}, content="application/merge-patch+json"
    )
    return client.request("POST", _RECORDS, head | {"spec": record["spec"]}, then=status)


def _put(files: Sequence[Sequence[tuple[str, bytes]]]) -> float:
    """Seconds that it takes to create the files, and to read each file of an archive once more."""
    folder = Path(tempfile.mkdtemp(prefix="aiagent-leaving-"))

    async def put() -> float:
        store = directory(folder)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(own: Sequence[tuple[str, bytes]]) -> None:
            async with slots:
                for name, data in own:
                    await store.create(name, data)
                    if name.startswith("archives/"):
                        await store.read(name, len(data))

        began = time.perf_counter()
        await asyncio.gather(*map(one, files))
        taken = time.perf_counter() - began
        await store.close()
        return taken

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(put())
    finally:
        shutil.rmtree(folder)
