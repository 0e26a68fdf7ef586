"""The operator is killed at operation after operation on its archive store, while agents leave and are erased.

A run without a crash tells which kinds of operations there are: a verb, and a place without what differs from run to
run. Then an agent leaves while each operator dies at the first operation of a kind that none before has died at: before
it reaches the store, or after the store has carried it out and before the operator hears of that. CRASH_POINTS=each has
both for each agent, death before reads as well, and a run of its own for each kind.

At no moment may the agent have more rights than before, or any again once they are gone; in the end its archive is
whole for whoever reads it, with certificate and journal, and as complete as if nothing had happened.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from aiagent_operator.core.archive import archivekey, index, layout
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart, storeproxy
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Object, wait_for
from support.memories import MEMORY, Node, claim
from support.operator import Installation, OperatorProcess
from support.proxy import When
from support.s3server import REGION, S3Server
from support.storeoperations import About, Fate, is_read, kinds
from support.storeproxy import StoreProxy
from support.workplace import Workplace

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

EACH = os.environ.get("CRASH_POINTS") == "each"
LIVES = 80
LOGGED = ("22.jsonl", "more/23.jsonl")
# Two parts of an upload, and a little.
MEMORY_BYTES = 17 * 1024**2


@dataclass
class Rig:
    """An operator whose archive store is a bucket behind a proxy, and a place where its agents work."""

    place: Workplace
    server: S3Server
    proxy: StoreProxy
    operator: OperatorProcess
    bucket: ArchiveFolder
    role: str
    memory: Path


@dataclass
class Run:
    """One agent's end, and the erasing of its archive."""

    rig: Rig
    name: str
    uid: str
    mode: str
    held: set[tuple[str, str, str, str]]
    told: int
    remembers: bool = False

    @property
    def about(self) -> About:
        """What operations on the store are about it."""
        return About((self.uid, f"{layout.DECISIONS}/{self.rig.place.namespace}/{self.name}/"), self.told)

    @property
    def archive(self) -> str:
        """The name of its AgentArchive."""
        return index.name(AgentIdentity(self.rig.place.namespace, self.name, self.uid))

    def leave(self) -> None:
        """Order it to go."""
        how: Object = {"reason": "Business", "mode": self.mode}
        self.rig.place.order("Offboard", f"bye-{self.name}", self.name, offboarding=how)

    def has_left(self) -> bool:
        """Whether it has; at this moment it may have no right that it did not have, or had lost."""
        now = self.rig.place.rights(self.uid)
        assert now <= self.held, f"{now - self.held} came back"
        self.held &= now
        return self.rig.place.is_ordered(f"bye-{self.name}", "InForce")

    def erase(self) -> None:
        """Order what is personal to be erased."""
        self.rig.place.order("Erase", f"forget-{self.name}", archiveRef={"name": self.archive})

    def is_erased(self) -> bool:
        """Whether it is."""
        return self.rig.place.is_ordered(f"forget-{self.name}", "Complete")


@pytest.fixture(scope="module")
def rig(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("store")
    memory = folder / "facts"
    memory.mkdir()
    (memory / "one").write_bytes(os.urandom(MEMORY_BYTES))
    with S3Server() as server, storeproxy.beside(server.endpoint) as proxy:
        place = Workplace(installed)
        bucket = ArchiveFolder(folder / "described", "vault", server.data / server.bucket())
        file = bucket.described_in_bucket(REGION, proxy.url, server.secret(folder / "secret"))
        operator = installed.alone(archive_file=str(file), capture_deadline="600", archive_proof_interval="1")
        try:
            operator.start()
            claim(place.admin, place.namespace)
            yield Rig(place, server, proxy, operator, bucket, place.new_role(), memory)
        except BaseException as error:
            error.add_note(operator.tail(60))
            raise
        finally:
            proxy.heal()
            if not operator.running():
                operator.restart()
            installed.let_go(
                [a["metadata"] for a in place.admin.list(agents.API, "aiagents", namespace=place.namespace)]
            )
            operator.close()
            operator.forget_lease()
            place.clean()


def _employed(rig: Rig, name: str, mode: str, **retirement: object) -> Run:
    """An agent at work."""
    place = rig.place
    place.employ(name, rig.role, permission("refund"), retirement=retirement)
    uid = place.until_ready(name)["metadata"]["uid"]
    held = place.rights(uid)
    assert held
    rig.operator.until_idle()
    return Run(rig, name, uid, mode, held, len(rig.bucket.told(uid)))


def _planned(rig: Rig, name: str) -> Run:
    """It leaves by plan, and finishes its work. What it has decided is in the store that its own archive will be in."""
    for file in LOGGED:
        key = f"{rig.bucket.path.name}/{layout.DECISIONS}/{rig.place.namespace}/{name}/{file}"
        assert rig.server.ask("PUT", key, b"refunded 4711\n").ok
    return _employed(rig, name, "Planned", drainTimeout="10m", decisionLog={"store": rig.bucket.name})


def _emergency(rig: Rig, name: str) -> Run:
    """It loses its rights first, and its memory is archived."""
    run = _employed(rig, name, "Emergency", **MEMORY)
    run.remembers = True
    return run


SCENARIOS: dict[str, Callable[[Rig, str], Run]] = {"planned": _planned, "emergency": _emergency}
CRASHES = (
    [(when, name) for name in SCENARIOS for when in When]
    if EACH
    else [(When.AFTER, "planned"), (When.BEFORE, "emergency")]
)


@pytest.mark.parametrize(("when", "scenario"), CRASHES, ids=[f"{name}-{when.value}" for when, name in CRASHES])
def test_whoever_is_killed_at_an_operation_on_the_store_is_followed_by_one_who_ends_it(
    rig: Rig, when: When, scenario: str
) -> None:
    begin, name = SCENARIOS[scenario], f"{scenario}-{when.value.lower()}"
    undisturbed, there = _undisturbed(begin(rig, f"{name}-0"))
    wanted = [each for each in there if _deadly(each, when)]
    run = begin(rig, f"{name}-1")
    died_at = _killed_at_each(run, when)
    assert _left(run) == undisturbed
    # Who comes later need not read what another has found, nor write what a dead one had on its way beside.
    missed = {each for each in wanted if not is_read(each)} - set(died_at)
    assert not {each for each in missed if "journal/" not in each}, f"of {wanted} only {died_at}"
    assert any("journal/" in each for each in died_at)
    for number, each in enumerate(wanted if EACH else (), 2):
        run = begin(rig, f"{name}-{number}")
        assert _killed_at_each(run, when, each) == [each]
        assert _left(run) == undisturbed, f"killed {when.value} {each}"


def _deadly(operation: str, when: When) -> bool:
    """Whether an operator is to die at operations of this kind.

    A read changes nothing: who dies at it has died after the write before it. Nor does the beginning of an upload: who
    dies there has died at a part of it, and has left as little.
    """
    if is_read(operation):
        return EACH and when is When.BEFORE
    return EACH or not operation.startswith(("BEGIN", "PART 1"))


def _undisturbed(run: Run) -> tuple[Object, list[str]]:
    """What is left when nothing goes wrong, and the kinds of operations on the store until then."""
    run.rig.proxy.heal()
    run.rig.proxy.requests.clear()
    _through(run)
    return _left(run), kinds(run.rig.proxy.requests, run.about)


def _killed_at_each(run: Run, when: When, *only: str) -> list[str]:
    """The kinds of operations at which operators were killed on the way."""
    fate = Fate(run.rig.operator, run.rig.proxy, run.about, when, lambda each: _deadly(each, when))
    _through(run, lambda: fate.awaits(*only))
    return fate.died_at


def _through(run: Run, fate: Callable[[], threading.Event] = threading.Event) -> None:
    """Has the agent leave, and its archive erased, by as many operators as that takes."""
    node = Node(run.rig.place, run.uid, run.rig.memory)
    with node.at_work():
        for act, arrived in ((run.leave, run.has_left), (run.erase, run.is_erased)):
            dead = fate()
            act()
            for _ in range(LIVES):
                what = f"{run.name} to arrive, or the operator to die"
                wait_for(lambda dead=dead, arrived=arrived: dead.is_set() or arrived(), what=what, timeout=180)  # type: ignore[misc]
                if not dead.is_set():
                    break
                run.rig.operator.forget_lease()
                run.rig.operator.start(wait_ready=False)
                # Only now: what the dead one still had on its way is no operation of this one.
                dead = fate()
            else:
                pytest.fail(f"{LIVES} operators do not bring {run.name} to its end")
    run.rig.proxy.heal()
    run.rig.operator.wait_ready()
    run.rig.operator.until_idle()


def _left(run: Run) -> Object:
    """What there is of it in the end, without what differs from run to run; all of it is verified."""
    place, bucket = run.rig.place, run.rig.bucket
    agent = place.get(run.name)
    assert place.rights(run.uid) == run.held == set()
    assert place.children(run.uid) == {}
    bucket.whole(run.uid, agent["status"])
    # How far work is that takes over is told where a status says it.
    told = [each for each in bucket.told(run.uid) if each != "RolloutStarted"]
    assert not {"Recovered", "Forked"} & set(told)
    assert told[-1] == "Terminated"
    assert all(told.count(each) == 1 for each in ("Created", "OffboardingStarted", "Snapshotted", "Terminated")), told
    manifest, files = bucket.verified(run.uid), bucket.archived(run.uid)
    record = place.admin.get(agents.API, "agentarchives", run.archive)
    assert record["status"]["phase"] == "Certified"
    assert record["spec"]["manifest"]["digest"] == f"sha256:{hashlib.sha256(files[layout.MANIFEST]).hexdigest()}"
    signed = f"sha256:{hashlib.sha256(files[layout.CERTIFICATE]).hexdigest()}"
    assert record["status"]["certificate"]["digest"] == signed
    assert orjson.loads(files[layout.ERASURE])["order"]["uid"] == record["status"]["erasure"]["uid"]
    assert place.admin.find("v1", "secrets", archivekey.of(run.archive), namespace=chart.NAMESPACE) is None
    items = sorted(_plain(each["path"]) for each in manifest["items"])
    assert items.count(layout.MEMORY) == run.remembers
    return {"items": items, "missing": manifest["notCaptured"], "mode": manifest["mode"], "told": told}


def _plain(path: str) -> str:
    """An item without the names of this run's pods, orders and ConfigMaps."""
    folder, _, rest = layout.item(path).partition("/")
    return layout.item(path) if folder in (layout.DECISIONS, "revisions") or not rest else folder
