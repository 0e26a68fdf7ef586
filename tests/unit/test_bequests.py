"""What a successor inherits with an archive store: when that is asked for, where it lies, and that it is whole or
counts for nothing."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from aiagent_operator.core import bequests, onboarding
from aiagent_operator.core.archive import layout, manifest, wire
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Observed, Plan, Room
from aiagent_operator.core.succession import Became, Bequest, Family, Kin
from aiagent_operator.runtime.archive import bequeathing
from aiagent_operator.runtime.archive.bequeathing import Legacy
from aiagent_operator.runtime.archive.bundle import Source
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from support import archives
from support.agents import permission
from support.archive import directory
from support.archivefiles import PLACE, WHOLE, put
from support.archives import IDENTITY as KEY
from support.archives import Archived
from support.decisions import HOME, IDENTITY, kinds, observed, said

DIGEST = wire.digest(WHOLE.manifest)
OLD = Kin("old", "u-old", successor="triage", archive="home.old.1", digest=DIGEST, leaves=True)
SPEC = {"succession": {"predecessorRef": {"name": "old"}, "store": "vault"}}
ASKED = Bequest("vault", "home.old.1", DIGEST)
FOLDER = "inherited/home/triage/home.old.1"
DONE = {"store": "vault", "path": FOLDER, "digest": "sha256:1"}
TAKEN = {"predecessor": {"name": "old", "uid": "u-old"}, "archive": "home.old.1", "digest": DIGEST, "time": "t"}


def heir(became: Became | None = None, **facts: Any) -> Observed:
    given: dict[str, Any] = {"journal": Room(free=True), "family": Family(OLD), "spec": SPEC, **facts}
    return observed(permission("refund"), bequest=became, **given)


# Decisions.


@pytest.mark.parametrize(
    "became", [None, Became(replace(ASKED, store="other"), digest="sha256:1"), Became(replace(ASKED, digest="x"), "y")]
)
def test_it_is_asked_for_and_nobody_is_hired_before_it_is_there(became: Became | None) -> None:
    plan = onboarding.decide(heir(became))
    assert plan.bequest == ASKED
    assert not plan.writes
    assert said(plan, "Ready")[:2] == (False, "WaitingForHandover")
    assert "archive store vault is being given it" in said(plan, "Ready")[2]
    assert "succession" not in plan.status
    assert plan.requeue_after is None, "whoever delivers says when it is over"


def test_once_it_is_there_the_status_says_where_before_anything_is_given() -> None:
    plan = onboarding.decide(heir(Became(ASKED, digest="sha256:1")))
    taken = plan.status["succession"]
    assert (taken["delivery"], taken["digest"], "claimName" in taken) == (DONE, DIGEST, False)
    assert plan.first["succession"] == taken
    assert plan.bequest is None
    assert not plan.writes
    plan = onboarding.decide(heir(status={"succession": taken}))
    assert plan.bequest is None
    assert {"ServiceAccount", "Role"} <= {write.key.kind.value for write in plan.writes}


def test_what_a_person_has_to_mend_is_said_and_it_stays_asked_for() -> None:
    plan = onboarding.decide(heir(Became(ASKED, text="archive store vault takes no handovers", failed=True)))
    assert said(plan, "Ready")[:2] == (False, "SuccessionInvalid")
    assert "archive store vault takes no handovers" in said(plan, "Ready")[2]
    assert plan.bequest == ASKED
    plan = onboarding.decide(heir(Became(ASKED, text="the API server is away")))
    assert said(plan, "Ready")[:2] == (False, "WaitingForHandover")
    assert "the API server is away" in said(plan, "Ready")[2]


def failing(plan: Plan) -> bool:
    return any(verdict.type.value == "HandoverFailed" for verdict in plan.verdicts)


def test_who_works_already_works_on_and_says_what_failed() -> None:
    works = {"status": {"hiredAs": "support"}}
    plan = onboarding.decide(heir(Became(ASKED, text="full", failed=True), **works))
    assert failing(plan)
    assert plan.bequest == ASKED
    assert {"ServiceAccount", "Role"} <= {write.key.kind.value for write in plan.writes}
    assert not failing(onboarding.decide(heir(**works)))


def test_a_store_that_is_named_later_or_another_one_is_given_it_too() -> None:
    works = {"hiredAs": "support", "succession": TAKEN}
    assert onboarding.decide(heir(status=works)).bequest == ASKED
    works["succession"] = {**TAKEN, "delivery": DONE}
    assert onboarding.decide(heir(status=works)).bequest is None
    works["succession"] = {**TAKEN, "delivery": {**DONE, "store": "other"}}
    assert onboarding.decide(heir(status=works)).bequest == ASKED
    accepted = {"name": "yes", "uid": "1", "revision": 1}
    works["succession"] = {**TAKEN, "acceptance": accepted}
    plan = onboarding.decide(heir(Became(ASKED, digest="sha256:1"), status=works))
    assert plan.status["succession"]["acceptance"] == accepted


@pytest.mark.parametrize("family", [Family(None), Family(replace(OLD, successor="")), Family(replace(OLD, archive=""))])
def test_nothing_is_delivered_where_nothing_is_handed_over(family: Family) -> None:
    assert onboarding.decide(heir(family=family)).bequest is None


# Where it lies.


def test_no_name_leads_out_of_its_folder() -> None:
    assert bequests.folder(IDENTITY, "home.old.1") == FOLDER
    for name in ("../x", "..", "a/b", "", ".x"):
        found = bequests.folder(AgentIdentity(name, name, "u"), name)
        assert len(found.split("/")) == 4
        assert not any(part.startswith(".") for part in found.split("/"))
    assert bequests.path(layout.MEMORY) == "memory.tar"
    assert bequests.path("manifest.json") == "bundle/manifest.json"


@pytest.mark.parametrize(
    ("name", "mine"),
    [
        (f"{FOLDER}/memory.tar", True),
        ("inherited/home/other/home.old.1/bundle/spec.json", True),
        ("inherited/home/triage/home.old.10/memory.tar", False),
        ("inherited/home/triage/home.other.1/home.old.1", False),
        ("inherited/homer/triage/home.old.1/memory.tar", False),
        ("archives/home/triage/home.old.1/memory.tar", False),
        ("inherited/home/home.old.1/x", False),
    ],
)
def test_what_an_archive_has_left_is_known_by_its_name(name: str, *, mine: bool) -> None:
    assert bequests.is_of(name, "home", "home.old.1") is mine


# Into a store.


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[DirectoryStore]:
    (tmp_path / "vault").mkdir()
    store = directory(tmp_path / "vault")
    yield store
    await store.close()


def fine() -> None:
    """It may be given."""


def legacy(folder: Path, archived: Archived = WHOLE, **changes: Any) -> Legacy:
    put(folder / "store" / PLACE, archived)
    data = archived.manifest
    source = Source(directory(folder / "store"), layout.at(PLACE), data, manifest.read(data))
    return Legacy(**{
        "source": source, "key": KEY, "predecessor": replace(OLD, digest=wire.digest(data)), "heir": IDENTITY,
        "still": fine, **changes,
    })  # fmt: skip


def there(folder: Path) -> dict[str, bytes]:
    root = folder / "vault" / FOLDER
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def whole(folder: Path) -> dict[str, Any]:
    """The manifest, after a check with nothing but what everybody has."""
    files = there(folder)
    sums = dict(line.split("  ")[::-1] for line in files["sha256sums"].decode().splitlines())
    found: dict[str, Any] = orjson.loads(files["manifest.json"])
    listed = {each["path"]: each for each in found["files"]}
    assert sums.keys() == listed.keys() == files.keys() - {"manifest.json", "sha256sums"}
    for path, digest in sums.items():
        assert hashlib.sha256(files[path]).hexdigest() == digest
        assert (listed[path]["digest"], listed[path]["size"]) == (f"sha256:{digest}", len(files[path]))
    return found


# More than is put in one request.
LARGE = bytes(range(256)) * 20_001
MEMORY = b"remembered" * 200_000
MORE = dict(
    [
        archives.encrypted(layout.ESCALATIONS, b"open\n"),
        archives.encrypted(layout.log("p", "app"), b"said\n"),
        archives.encrypted(layout.decision("one"), b"decided\n"),
        archives.encrypted(layout.DECISION_LOG, LARGE),
        archives.encrypted(layout.MEMORY, MEMORY),
    ]
)


async def test_all_is_there_in_the_clear_but_for_logs(tmp_path: Path, vault: DirectoryStore) -> None:
    archived = archives.archived(more=MORE, gaps=())
    digest = await bequeathing.deliver(vault, legacy(tmp_path, archived))
    files, found = there(tmp_path), whole(tmp_path)
    assert digest == wire.digest(files["manifest.json"])
    plain = {path for path in archived.files if not path.endswith(layout.ENCRYPTED)}
    assert files.keys() == {f"bundle/{path}" for path in plain} | {
        "bundle/decisions.tar", "bundle/decisions/one", "bundle/escalations.jsonl", "manifest.json", "memory.tar",
        "sha256sums",
    }  # fmt: skip
    assert files["bundle/manifest.json"] == archived.manifest
    assert files["bundle/decisions.tar"] == LARGE
    assert files["bundle/decisions/one"] == b"decided\n"
    assert files["memory.tar"] == MEMORY
    assert (found["archive"], found["digest"]) == ("home.old.1", wire.digest(archived.manifest))
    assert found["predecessor"] == {"namespace": HOME, "name": "old", "uid": "u-old"}
    assert found["successor"] == {"namespace": HOME, "name": "triage"}


class KilledError(Exception):
    """Stands for the end of the process."""


class Deadly:
    """A store whose writer dies before its n-th write, or after it."""

    def __init__(self, store: DirectoryStore, number: int, *, after: bool) -> None:
        self._store, self._left, self._after, self.name = store, number, after, store.name

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("create", "fill"):
            return found

        async def counted(*args: Any) -> Any:
            self._left -= 1
            last = self._left == 0
            if last and not self._after:
                raise KilledError
            answer = await found(*args)
            if last:
                raise KilledError
            return answer

        return counted


@pytest.mark.parametrize("after", [False, True])
async def test_cut_off_at_any_write_the_next_one_completes_it(
    tmp_path: Path, vault: DirectoryStore, *, after: bool
) -> None:
    left = legacy(tmp_path, archives.archived(more=MORE, gaps=()))
    digest = await bequeathing.deliver(vault, left)
    writes = len(there(tmp_path))
    for number in range(1, writes + 1):
        await bequeathing.withdraw(vault, IDENTITY, OLD.archive)
        with pytest.raises(KilledError):
            await bequeathing.deliver(Deadly(vault, number, after=after), left)  # type: ignore[arg-type]
        assert ("manifest.json" in there(tmp_path)) is (after and number == writes)
        assert await bequeathing.deliver(vault, left) == digest
        whole(tmp_path)


@pytest.mark.parametrize("path", ["spec.json", "memory.tar.age", "decisions.tar.age"])
async def test_of_an_archive_that_was_altered_nothing_counts(tmp_path: Path, vault: DirectoryStore, path: str) -> None:
    archived = archives.archived(more=MORE, gaps=())
    data = archived.files[path]
    altered = archived.with_file(path, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Exception, match=r"is not what the manifest says|cannot be decrypted|payload"):
        await bequeathing.deliver(vault, legacy(tmp_path, altered))
    files = there(tmp_path)
    assert not {"manifest.json", "sha256sums", bequests.path(layout.item(path))} & files.keys()


@pytest.mark.parametrize("path", ["bundle/spec.json", "memory.tar", "bundle/decisions.tar", "manifest.json"])
async def test_what_a_stranger_has_put_there_is_left_and_said(tmp_path: Path, vault: DirectoryStore, path: str) -> None:
    await vault.create(f"{FOLDER}/{path}", b"mine")
    with pytest.raises(DisputedError, match="find out who wrote it"):
        await bequeathing.deliver(vault, legacy(tmp_path, archives.archived(more=MORE, gaps=())))
    assert there(tmp_path)[path] == b"mine"
    assert path == "manifest.json" or "manifest.json" not in there(tmp_path)


async def test_it_stops_where_it_may_not_be_given_any_more(tmp_path: Path, vault: DirectoryStore) -> None:
    asked, allowed = 0, 1000

    def until() -> None:
        nonlocal asked
        asked += 1
        if asked > allowed:
            raise RuntimeError("no more")

    await bequeathing.deliver(vault, legacy(tmp_path, still=until))
    for most in range(asked):
        await bequeathing.withdraw(vault, IDENTITY, "home.old.1")
        asked, allowed = 0, most
        with pytest.raises(RuntimeError, match="no more"):
            await bequeathing.deliver(vault, legacy(tmp_path, still=until))
        assert "manifest.json" not in there(tmp_path)


async def test_what_was_delivered_is_withdrawn_from_all_who_have_it(tmp_path: Path, vault: DirectoryStore) -> None:
    left = legacy(tmp_path)
    await bequeathing.deliver(vault, left)
    await bequeathing.deliver(vault, replace(left, heir=AgentIdentity(HOME, "other", "u2")))
    await bequeathing.deliver(vault, replace(left, predecessor=replace(OLD, archive="home.old.2")))
    await vault.create("archives/x/y", b"z")
    assert await bequeathing.withdraw_all(vault, HOME, "home.old.1")
    assert not await bequeathing.withdraw_all(vault, HOME, "home.old.1")
    names = {str(path.relative_to(tmp_path / "vault")) for path in (tmp_path / "vault").rglob("*") if path.is_file()}
    assert "archives/x/y" in names
    assert {name.split("/")[3] for name in names if name.startswith("inherited/")} == {"home.old.2"}


async def test_a_store_that_is_read_only_is_given_nothing(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    store = directory(tmp_path / "vault", readOnly=True)
    with pytest.raises(StoreError) as caught:
        await bequeathing.deliver(store, legacy(tmp_path))
    assert caught.value.kind is Kind.READ_ONLY
    await store.close()


async def test_a_blob_is_given_a_name_only_where_nothing_has_it(tmp_path: Path, vault: DirectoryStore) -> None:
    async def data(text: bytes) -> AsyncIterator[bytes]:
        yield text

    assert (await vault.fill("a/b", data(b"one"))).value == "Created"
    assert (await vault.fill("a/b", data(b"two"))).value == "Taken"
    assert await vault.read("a/b", 10) == b"one"


def test_a_plan_with_a_store_leaves_no_job() -> None:
    assert kinds(onboarding.decide(heir())) == []
