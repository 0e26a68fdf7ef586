"""The operator is killed at write after write while an agent with a memory leaves, and its volume is archived once.

Each operator lives a write longer than the one before it, so that the crashes come at ever other writes, until one
comes to the end. A volume that was taken, and noted in the store, is not asked for again.
"""

import threading
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.kube import wait_for
from support.memories import MEMORY, Node, claim
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, When
from support.workplace import Workplace

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1200)]

LIVES = 30


def mortal(operator: OperatorProcess, proxy: FaultProxy, number: int, when: When) -> threading.Event:
    """The operator dies at the write with this number, counted from now."""
    dead = threading.Event()

    def kill(_: Any) -> None:
        operator.kill9()
        dead.set()

    proxy.reset()
    proxy.crash_at(number, when, kill)
    return dead


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
def test_killed_at_every_write_a_memory_is_archived_once(
    vacant: Workplace, installed: Installation, tmp_path: Path, when: When
) -> None:
    place = vacant
    folder = tmp_path / "facts"
    folder.mkdir()
    (folder / "one").write_text("what people said")
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        try:
            operator.start()
            claim(place.admin, place.namespace)
            place.employ("triage", place.new_role(), permission("refund"), retirement=MEMORY)
            uid = place.until_ready("triage")["metadata"]["uid"]
            operator.until_idle()
            node = Node(place, uid, folder)
            with node.at_work():
                lives = _left(place, operator, proxy, when)
        finally:
            operator.close()
            operator.forget_lease()
    assert lives > 3, "it was not killed as it should have been"
    archive = installed.archive
    manifest = archive.verified(uid)
    memories = [item for item in manifest["items"] if item["path"].endswith("memory.tar.age")]
    assert len(memories) == 1, manifest
    assert not [gap for gap in manifest["notCaptured"] if gap["path"].startswith("memory")], manifest
    assert archive.told(uid)[-1] == "Terminated"
    archive.whole(uid)
    assert place.children(uid) == {}
    name = index.name(AgentIdentity(place.namespace, "triage", uid))
    assert place.admin.get(agents.API, "agentarchives", name)["status"]["phase"] == "Certified"


def _left(place: Workplace, operator: OperatorProcess, proxy: FaultProxy, when: When) -> int:
    """How many operators it took."""
    held = place.rights(place.get("triage")["metadata"]["uid"])
    assert held
    uid = place.get("triage")["metadata"]["uid"]
    dead = mortal(operator, proxy, 1, when)
    place.dismiss("triage")
    for lives in range(1, LIVES):

        def over(dead: threading.Event = dead) -> bool:
            assert place.rights(uid) <= held
            return dead.is_set() or place.find("triage") is None

        wait_for(over, what=f"operator {lives} to come to its {lives}th write, or the agent to be gone", timeout=180)
        if not dead.is_set():
            return lives
        operator.forget_lease()
        proxy.reset()
        operator.start(wait_ready=False)
        dead = mortal(operator, proxy, lives + 1, when)
    pytest.fail(f"{LIVES} operators do not have it archived")
