"""What an agent inherits comes into an archive store that takes handovers, in the clear, before it is hired."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import orjson
import pytest

from aiagent_operator.api import meta
from aiagent_operator.core import bequests
from aiagent_operator.core.archive import layout
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.bequests import STORE, delivered, heir, two, whole
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, When
from support.tenancy import Office, refused
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def vault(vacant: Workplace, installed: Installation) -> ArchiveFolder:
    """A store of its own for what is handed over."""
    return ArchiveFolder(installed.archive.path.parent / vacant.name("vault"), STORE)


@pytest.fixture
def own(installed: Installation, vault: ArchiveFolder) -> Iterator[OperatorProcess]:
    """An operator that has it."""
    file = installed.archive.described({**vault.store, "handovers": True})
    with installed.alone(archive_file=str(file), archive_proof_interval="1") as operator:
        yield operator


def test_it_is_hired_once_all_is_there_and_an_erasure_takes_that_too(
    vacant: Workplace, installed: Installation, vault: ArchiveFolder, own: OperatorProcess
) -> None:
    place = vacant
    old, new = two(place)
    assert place.children(new) == {}
    mark = place.plane.audit_mark()
    place.dismiss("triage")
    place.until_gone("triage")
    place.until_ready("triage-v2")
    place.until_can("triage-v2", "create", "refunds")
    said = whole(place, vault, old)
    bound = min(w.received for w in place.writes(mark) if (w.resource, w.verb) == ("rolebindings", "create"))
    manifest = vault.path / said["delivery"]["path"] / bequests.MANIFEST
    assert manifest.stat().st_mtime <= datetime.fromisoformat(bound).timestamp()
    own.until_idle()
    told = installed.archive.told(new)
    assert told.index("HandedOver") < told.index("Hired")
    found = place.admin.get(meta.API_VERSION, "agentarchives", said["archive"])
    assert found["status"]["handover"]["delivery"] == said["delivery"]
    mark = place.plane.audit_mark()
    own.restart()
    own.until_idle()
    assert place.writes(mark) == [], "what was delivered costs no write"

    place.order("Erase", "forget", archiveRef={"name": said["archive"]})
    place.until_ordered("forget", "Complete", "CarriedOut")
    assert delivered(place, vault) == {}
    assert installed.archive.archived(old), "what is not personal stays where it was archived"
    own.until_idle()
    assert delivered(place, vault) == {}, "and is not delivered again"


@pytest.mark.parametrize(
    ("store", "text"),
    [
        ("local", "archive store local takes no handovers: have its administrator set handovers to true"),
        ("nowhere", "spec.succession.store names nowhere, and there is no such archive store"),
    ],
)
def test_a_store_that_takes_none_is_said_and_nobody_is_hired_until_another_is_named(
    vacant: Workplace, installed: Installation, vault: ArchiveFolder, own: OperatorProcess, store: str, text: str
) -> None:
    place = vacant
    old, new = two(place, **heir(store))
    place.dismiss("triage")
    place.until_reason("triage-v2", "Ready", "SuccessionInvalid", text)
    assert place.children(new) == {}
    assert not (installed.archive.path / "inherited").exists()
    place.change("triage-v2", succession={"store": STORE})
    place.until_ready("triage-v2")
    place.until_gone("triage")
    whole(place, vault, old)
    own.until_idle()


def test_a_store_that_is_away_is_waited_for_and_an_altered_archive_is_delivered_to_nobody(
    vacant: Workplace, installed: Installation, vault: ArchiveFolder, own: OperatorProcess
) -> None:
    place = vacant
    old, new = two(place)
    away = vault.path.with_name("away")
    vault.path.rename(away)
    place.dismiss("triage")
    place.until("triage-v2", lambda a: "is not there" in _why(a) or STORE in _why(a), what="its store to be waited for")
    (folder,) = (installed.archive.path / "archives" / old).iterdir()
    spec = folder / layout.SPEC
    good = spec.read_bytes()
    spec.write_bytes(good.replace(b"triage", b"truage"))
    away.rename(vault.path)
    # It would be some minutes until the next try.
    own.restart()
    place.until_reason("triage-v2", "Ready", "SuccessionInvalid", layout.SPEC)
    assert bequests.MANIFEST not in delivered(place, vault)
    assert place.children(new) == {}
    assert place.find("triage") is not None, "its predecessor waits with it"

    spec.write_bytes(good)
    assert f"bundle/{layout.SPEC}" not in delivered(place, vault)
    own.restart()
    place.until_ready("triage-v2")
    place.until_gone("triage")
    whole(place, vault, old)
    own.until_idle()


def _why(agent: Object) -> str:
    return (agents.condition(agent, "Ready") or {}).get("message", "")


def test_who_works_already_says_what_failed_and_works_on(
    vacant: Workplace, vault: ArchiveFolder, own: OperatorProcess
) -> None:
    place = vacant
    role = place.new_role()
    place.employ("triage-v2", role, permission("refund"))
    place.until_ready("triage-v2")
    place.employ("triage", role, permission("refund"), retirement={"successorRef": {"name": "triage-v2"}})
    old = place.until_ready("triage")["metadata"]["uid"]
    place.change("triage-v2", **heir("nowhere"))
    place.dismiss("triage")
    place.until_reason("triage-v2", "HandoverFailed", "SuccessionInvalid", "no such archive store")
    place.until_can("triage-v2", "create", "refunds")
    place.until_ready("triage-v2")
    place.change("triage-v2", succession={"store": STORE})
    place.until_gone("triage")
    place.until("triage-v2", lambda a: "delivery" in a["status"].get("succession", {}), what="it to be delivered")
    assert "HandoverFailed" not in {c["type"] for c in place.get("triage-v2")["status"]["conditions"]}
    own.until_idle()
    assert orjson.loads(delivered(place, vault)[bequests.MANIFEST])["predecessor"]["uid"] == old


LIVES = 60


@pytest.mark.crash
@pytest.mark.timeout(900)
def test_killed_before_each_write_it_is_delivered_whole_and_nobody_is_hired_before(
    vacant: Workplace, installed: Installation, vault: ArchiveFolder
) -> None:
    place = vacant
    file = installed.archive.described({**vault.store, "handovers": True})
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()), archive_file=str(file))
        try:
            operator.start()
            old, new = two(place)
            operator.until_idle()
            lives = _through(place, vault, operator, proxy, new)
            operator.until_idle()
        finally:
            operator.close()
            operator.forget_lease()
    assert lives > 5
    whole(place, vault, old)
    assert installed.archive.told(new).count("HandedOver") == 1


def _mortal(operator: OperatorProcess, proxy: FaultProxy, number: int) -> threading.Event:
    """It dies at its write with this number; set when it is dead."""
    dead = threading.Event()

    def kill(_: object) -> None:
        operator.kill9()
        dead.set()

    proxy.crash_at(number, When.BEFORE, kill)
    return dead


def _through(place: Workplace, vault: ArchiveFolder, operator: OperatorProcess, proxy: FaultProxy, new: str) -> int:
    """How many operators it takes, each of which lives for one write more than to be there."""

    def arrived() -> bool:
        hired = any(kind == "RoleBinding" for kind, _, _ in place.children(new))
        assert not hired or bequests.MANIFEST in delivered(place, vault)
        return place.find("triage") is None and place.is_ready("triage-v2")

    act: Callable[[], Any] = lambda: place.dismiss("triage")  # noqa: E731
    proxy.reset()
    for lives in range(1, LIVES):
        dead = _mortal(operator, proxy, 2 if lives > 1 else 1)
        act()
        wait_for(lambda dead=dead: arrived() or dead.is_set(), what=f"life {lives} to end", timeout=120)  # type: ignore[misc]
        proxy.spare()
        if not dead.is_set():
            return lives
        operator.forget_lease()
        proxy.reset()
        operator.start(wait_ready=False)
        act = lambda: None  # noqa: E731
    pytest.fail(f"{LIVES} operators do not bring it to its end")


def test_who_names_a_store_holds_the_verb_inherit(office: Office) -> None:
    into = {"predecessorRef": {"name": "before"}, "store": STORE}
    verbs = "create get update patch"
    allowed = [agents.rule(verbs, "aiagents", group=meta.GROUP), agents.rule(verbs, "deployments", group="apps")]
    author = office.person(*allowed)
    with refused("author-rights", "may not inherit for aiagents/"):
        author.create(office.agent(succession=into))
    holder = office.person(*allowed, agents.rule("inherit", "aiagents", group=meta.GROUP))
    made = holder.create(office.agent(succession=into))
    # Whoever changes something else needs it as well: else an edit could be made while the one who may holds still.
    with refused("author-rights", "may not inherit for aiagents/"):
        author.patch(
            meta.API_VERSION, "aiagents", made["metadata"]["name"], {"spec": {"purpose": "Another one"}},
            namespace=made["metadata"]["namespace"],
        )  # fmt: skip
