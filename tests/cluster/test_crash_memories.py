"""The operator is killed at write after write while an agent with a memory and a decision log on its volume leaves, and
each of them is archived once; and while what it leaves is delivered into the volume of the one that comes after it.

Each operator lives a write longer than the one before it, so that the crashes come at ever other writes, until one
comes to the end. A volume that was taken, and noted in the store, is not asked for again.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api import capture, handover
from aiagent_operator.core.archive import index, wire
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.kube import wait_for
from support.memories import FOLDER, LOG, MEMORY, Node, claim
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
def test_killed_at_every_write_each_volume_is_archived_once(
    vacant: Workplace, installed: Installation, tmp_path: Path, when: When
) -> None:
    place = vacant
    folder = tmp_path / "facts"
    (folder / FOLDER).mkdir(parents=True)
    (folder / FOLDER / "22.jsonl").write_text("refunded 4711")
    (folder / "one").write_text("what people said")
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        try:
            operator.start()
            claim(place.admin, place.namespace)
            place.employ("triage", place.new_role(), permission("refund"), retirement={**LOG, **MEMORY})
            uid = place.until_ready("triage")["metadata"]["uid"]
            operator.until_idle()
            with Node(place, uid, folder, run=capture.DECISIONS).at_work(), Node(place, uid, folder).at_work():
                lives = _left(place, operator, proxy, when)
        finally:
            operator.close()
            operator.forget_lease()
    assert lives > 3, "it was not killed as it should have been"
    archive = installed.archive
    manifest = archive.verified(uid)
    volumes = sorted(item["path"].rpartition("/")[2] for item in manifest["items"] if item["path"].endswith("tar.age"))
    assert volumes == ["decisions.tar.age", "memory.tar.age"], manifest
    assert not [gap for gap in manifest["notCaptured"] if gap["path"].startswith(("memory", "decisions"))], manifest
    assert archive.told(uid)[-1] == "Terminated"
    archive.whole(uid)
    assert place.children(uid) == {}
    name = index.name(AgentIdentity(place.namespace, "triage", uid))
    assert place.admin.get(agents.API, "agentarchives", name)["status"]["phase"] == "Certified"


def _left(place: Workplace, operator: OperatorProcess, proxy: FaultProxy, when: When) -> int:
    """How many operators it took."""
    uid = place.get("triage")["metadata"]["uid"]
    held = place.rights(uid)
    assert held

    def over() -> bool:
        assert place.rights(uid) <= held
        return place.find("triage") is None

    return _lives(operator, proxy, when, lambda: place.dismiss("triage"), over)


def _lives(
    operator: OperatorProcess, proxy: FaultProxy, when: When, act: Callable[[], Any], over: Callable[[], bool]
) -> int:
    """How many operators it takes from this act until it is over, each of which lives a write longer."""
    dead = mortal(operator, proxy, 1, when)
    act()
    for lives in range(1, LIVES):

        def ended(dead: threading.Event = dead) -> bool:
            return over() or dead.is_set()

        wait_for(ended, what=f"operator {lives} to come to its {lives}th write, or the end", timeout=180)
        proxy.spare()
        if not dead.is_set():
            return lives
        operator.forget_lease()
        proxy.reset()
        operator.start(wait_ready=False)
        dead = mortal(operator, proxy, lives + 1, when)
    pytest.fail(f"{LIVES} operators do not bring it to its end")


INTO = "inheritance"


def test_killed_before_every_write_what_an_agent_leaves_is_delivered_and_nobody_is_hired_before(
    vacant: Workplace, installed: Installation, tmp_path: Path
) -> None:
    place, archive = vacant, installed.archive
    folder, volume = tmp_path / "facts", tmp_path / "volume"
    for each in (folder, volume):
        each.mkdir()
    (folder / "one").write_text("what people said")
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        try:
            operator.start()
            role = place.new_role()
            claim(place.admin, place.namespace)
            claim(place.admin, place.namespace, INTO)
            leaves = {**MEMORY, "successorRef": {"name": "triage-v2"}}
            place.employ("triage", role, permission("refund"), retirement=leaves)
            old = place.until_ready("triage")["metadata"]["uid"]
            # It waits for a predecessor of another name, so that all that is left to do is the delivery.
            place.employ("triage-v2", role, permission("refund"), succession={"predecessorRef": {"name": "nobody"}})
            new = place.until_reason("triage-v2", "Ready", "WaitingForHandover")["metadata"]["uid"]
            with Node(place, old, folder).at_work():
                place.dismiss("triage")
                place.until_reason("triage", "Ready", "WaitingForSuccessor", "does not ask for it")
            operator.until_idle()
            asked = {"predecessorRef": {"name": "triage"}, "volume": {"claimName": INTO}}

            def over() -> bool:
                _nothing_before(place, new)
                return place.find("triage") is None and place.is_ready("triage-v2")

            with Node(place, new, volume, run=handover.RUN, claim=INTO).at_work():
                lives = _lives(operator, proxy, When.BEFORE, lambda: place.change("triage-v2", succession=asked), over)
            proxy.reset()
            operator.until_idle()
        finally:
            operator.close()
            operator.forget_lease()
    assert lives > 6, "it was not killed as it should have been"
    assert [path.name for path in volume.iterdir()] == [handover.FOLDER]
    assert (volume / handover.FOLDER / "memory" / "one").read_text() == "what people said"
    manifest = (volume / handover.FOLDER / "bundle" / "manifest.json").read_bytes()
    assert manifest == archive.archived(old)["manifest.json"]
    taken = place.get("triage-v2")["status"]["succession"]
    assert (taken["digest"], taken["claimName"]) == (wire.digest(manifest), INTO)
    assert not [name for _, _, name in place.children(new) if "handover" in name]
    told = archive.told(new)
    assert (told.count("HandedOver"), told.count("Hired")) == (1, 1)
    archive.whole(new, place.get("triage-v2")["status"])


def _nothing_before(place: Workplace, uid: str) -> None:
    """A right is bound, or work runs, only where the status says already what was delivered."""
    given = {kind for kind, _, _ in place.children(uid)} & {"RoleBinding", "Deployment"}
    if given:
        taken = place.get("triage-v2")["status"].get("succession") or {}
        assert taken.get("claimName") == INTO, given
