"""The same in a bucket of a real S3-compatible server, with a memory of several parts, whoever dies on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.core import bequests
from aiagent_operator.core.archive import layout
from support import storeproxy
from support.archivefolder import ArchiveFolder
from support.bequests import STORE, delivered, two, whole
from support.kube import wait_for
from support.memories import MEMORY, Node, claim
from support.operator import Installation, OperatorProcess
from support.proxy import When
from support.s3server import REGION, S3Server
from support.storeoperations import About, Fate, is_read
from support.workplace import Workplace

pytestmark = [pytest.mark.cluster, pytest.mark.crash, pytest.mark.timeout(900)]

LIVES = 60
# More than a part, so that it is sent in several.
MEMORY_BYTES = 17 * 1024**2


def test_killed_at_every_operation_on_the_bucket_it_is_delivered_whole(
    vacant: Workplace, installed: Installation, tmp_path: Path
) -> None:
    place, facts = vacant, tmp_path / "facts"
    facts.mkdir()
    (facts / "one").write_bytes(os.urandom(MEMORY_BYTES))
    with S3Server() as server, storeproxy.beside(server.endpoint) as proxy:
        bucket = ArchiveFolder(tmp_path / "described", STORE, server.data / server.bucket())
        store = {"name": STORE, "url": f"s3://{bucket.path.name}", "region": REGION, "endpoint": proxy.url}
        store |= {"credentialsDir": str(server.secret(tmp_path / "secret")), "timeout": "2s"}
        file = installed.archive.described({**store, "handovers": True})
        operator = installed.alone(archive_file=str(file), archive_proof_interval="1")
        try:
            operator.start()
            claim(place.admin, place.namespace)
            old, new = two(place, retirement=MEMORY)
            about = About((f"{bequests.of(place.namespace)}/",))
            fate = Fate(operator, proxy, about, When.AFTER, lambda operation: not is_read(operation))
            with Node(place, old, facts).at_work():
                _delivered(place, bucket, operator, new, fate)
            proxy.heal()
            operator.wait_ready()
            operator.until_idle()
        finally:
            proxy.heal()
            operator.close()
            operator.forget_lease()
        whole(place, bucket, old)
        memory = delivered(place, bucket)[layout.MEMORY]
    assert len(memory) > MEMORY_BYTES
    verbs = [each.partition(" ")[0] for each in fate.died_at]
    assert {"PUT", "BEGIN", "PART", "COMPLETE"} <= set(verbs), fate.died_at
    assert [each for each in fate.died_at if each.endswith(f"/{bequests.MANIFEST}")], "the last one too"


def _delivered(place: Workplace, bucket: ArchiveFolder, operator: OperatorProcess, new: str, fate: Fate) -> None:
    """Has it delivered by as many operators as that takes."""

    def arrived() -> bool:
        hired = any(kind == "RoleBinding" for kind, _, _ in place.children(new))
        assert not hired or bequests.MANIFEST in delivered(place, bucket)
        return place.find("triage") is None and place.is_ready("triage-v2")

    act: Callable[[], Any] = lambda: place.dismiss("triage")  # noqa: E731
    for _ in range(LIVES):
        dead = fate.awaits()
        act()
        wait_for(lambda dead=dead: dead.is_set() or arrived(), what="its end, or a death", timeout=180)  # type: ignore[misc]
        if not dead.is_set():
            return
        operator.forget_lease()
        operator.start(wait_ready=False)
        act = lambda: None  # noqa: E731
    pytest.fail(f"{LIVES} operators do not deliver it")
