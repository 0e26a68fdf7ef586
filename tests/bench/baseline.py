"""The watches alone: `python -m bench.baseline KUBECONFIG AGENTS CHILDREN` says `done` when it has seen them all.

The agents come through kopf to a handler that counts them; the children's lists are read page by page and decoded.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import orjson
import uvloop
import yaml

from aiagent_operator.api import meta
from bench import agents
from support.kubetransport import Access

_PAGE = 500


async def parents(access: Access, authority: Path, count: int, seen_all: asyncio.Event, stop: asyncio.Event) -> None:
    """kopf, whose handler tells when it was called for that many agents."""
    seen: set[str] = set()
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=access.server, ca_path=str(authority), scheme="Bearer", token=access.token)

    @kopf.on.event(meta.GROUP, meta.VERSION, "aiagents", registry=registry)
    async def seen_one(uid: str, **_: Any) -> None:
        seen.add(uid)
        if len(seen) >= count:
            seen_all.set()

    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = _PAGE
    await kopf.operator(registry=registry, settings=settings, standalone=True, clusterwide=True, stop_flag=stop)


def _authority(kubeconfig: Path) -> Path:
    """The authority's certificate as a file of its own, as kopf wants it."""
    config = yaml.safe_load(kubeconfig.read_text())
    path = kubeconfig.with_suffix(".ca")
    path.write_bytes(_decoded(config))
    return path


def _decoded(config: dict[str, Any]) -> bytes:
    return base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])


async def children(access: Access, count: int) -> None:
    """Every kind of child at the same time, page after page."""
    headers = {"Authorization": f"Bearer {access.token}", "Accept": "application/json"}
    connector = aiohttp.TCPConnector(ssl=access.context if access.context is not None else True)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        numbers = await asyncio.gather(*(_list(session, access.server, kind) for kind in agents.KINDS))
    if sum(numbers) < count:
        raise SystemExit(f"{sum(numbers)} children listed, {count} expected")


async def _list(session: aiohttp.ClientSession, server: str, kind: str) -> int:
    path = agents.COLLECTIONS[kind].replace("/namespaces/{}", "")
    params = {"labelSelector": meta.LABEL_AGENT_UID, "limit": str(_PAGE)}
    number = 0
    while True:
        async with session.get(server + path, params=params) as answer:
            answer.raise_for_status()
            page = orjson.loads(await answer.read())
        number += len(page["items"])
        token = page["metadata"].get("continue")
        if not token:
            return number
        params["continue"] = token


async def both(access: Access, authority: Path, agents_count: int, children_count: int) -> None:
    """Both at the same time in one event loop, as an operator does it."""
    stop = asyncio.Event()
    watching = asyncio.create_task(parents(access, authority, agents_count, seen_all := asyncio.Event(), stop))
    await asyncio.gather(children(access, children_count), seen_all.wait())
    print("done", flush=True)
    stop.set()
    await watching


def main() -> None:
    """As the command line says."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        kubeconfig = Path(sys.argv[1])
        runner.run(both(Access.read(kubeconfig), _authority(kubeconfig), int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    main()
