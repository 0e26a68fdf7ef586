"""What a successor inherits: when the Job that fetches it is made, and that it gets all of it, or nothing."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api import handover
from aiagent_operator.api.succession import Volume
from aiagent_operator.capture.inherit import Task, run
from aiagent_operator.capture.send import SendError
from aiagent_operator.capture.unpack import UnsafeError
from aiagent_operator.core import onboarding
from aiagent_operator.core.archive import layout, manifest, sending, wire
from aiagent_operator.core.children import inheritance, memory, observe
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Plan, Room
from aiagent_operator.core.runs.facts import PodFacts, Said
from aiagent_operator.core.succession import Family, Kin
from aiagent_operator.runtime.archive import bundle
from aiagent_operator.runtime.archive.bundle import Source
from aiagent_operator.runtime.intake.callers import Account, Caller
from aiagent_operator.runtime.intake.endpoint import Endpoint, Gift, RefusedError
from support import archives
from support.agents import permission
from support.archive import directory
from support.archivefiles import PLACE, WHOLE, put
from support.archives import IDENTITY as KEY
from support.archives import Archived
from support.decisions import HOME, IDENTITY, after, kinds, observed, said

DIGEST = wire.digest(WHOLE.manifest)
OLD = Kin("old", "u-old", successor="triage", archive="home.old.1", digest=DIGEST, leaves=True)
OUTLET = Intake("https://10.1.2.3:8443/v1/inheritance", "PEM", "op@sha256:1", deadline=3600)
ASKED = Volume(claim_name="facts")
SPEC = {"succession": {"predecessorRef": {"name": "old"}, "volume": {"claimName": "facts"}}}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def heir(
    children: Mapping[ObjectKey, Child] | None = None,
    *,
    pods: tuple[PodFacts, ...] | None = None,
    outlet: Intake | None = OUTLET,
    at: float = 0,
    **facts: Any,
) -> Observed:
    now = BEGAN + timedelta(seconds=at)
    given: dict[str, Any] = {
        "journal": Room(free=True),
        "family": Family(OLD),
        "intake": outlet,
        "time": now.isoformat().replace("+00:00", "Z"),
        "spec": SPEC,
        **facts,
    }
    o = observed(permission("refund"), **given)
    return replace(o, children=children or {}, pods={} if pods is None else {_job(o).key: pods})


def _job(o: Observed, digest: str = DIGEST) -> Any:
    return inheritance.job(IDENTITY, ASKED, memory.owner(ASKED, o.raw_spec), OUTLET, digest)


JOB = _job(observed(spec=SPEC))


def live(**status: Any) -> Manifest:
    metadata = {**JOB.manifest["metadata"], "uid": "j1", "resourceVersion": "1"}
    return {**JOB.manifest, "metadata": metadata, "status": {"startTime": "2026-01-01T00:00:00Z", **status}}


def ended(kind: str) -> Manifest:
    last = {"type": kind, "status": "True", "reason": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return live(conditions=[last])


def at_work(job: Manifest | None = None) -> dict[ObjectKey, Child]:
    return after({}, onboarding.decide(heir())) | {JOB.key: observe(ChildKind.JOB, job or live())}


def ends(message: str) -> tuple[PodFacts, ...]:
    return (PodFacts("p", BEGAN, succeeded=True, finished=BEGAN, message=message),)


def test_account_and_network_come_first_then_the_job_and_nothing_else() -> None:
    assert onboarding.decide(heir(outlet=None)).needs_outlet
    plan = onboarding.decide(heir())
    assert kinds(plan) == [("create", "NetworkPolicy", HOME), ("create", "ServiceAccount", HOME)]
    children = after({}, plan)
    plan = onboarding.decide(heir(children))
    assert kinds(plan) == [("create", "Job", HOME)]
    assert said(plan, "Ready")[:2] == (False, "WaitingForHandover")
    children = after(children, plan)
    assert onboarding.decide(heir(children)).needs_pods == {JOB.key}
    plan = onboarding.decide(heir(children, pods=(PodFacts("p", BEGAN, running=True),)))
    assert not plan.writes
    assert "its volume is being filled" in said(plan, "Ready")[2]
    assert "succession" not in plan.status


def test_it_has_taken_over_once_the_job_says_what_it_has_and_then_the_job_goes() -> None:
    children = at_work(ended("Complete"))
    plan = onboarding.decide(heir(children, pods=ends(json.dumps({"digest": DIGEST}))))
    taken = plan.status["succession"]
    assert (taken["digest"], taken["claimName"]) == (DIGEST, "facts")
    # It is said before anything of it goes, and before anything is given.
    assert plan.first["succession"] == taken
    assert kinds(plan) == [("delete", "Job", HOME)]
    children = after(children, plan)
    plan = onboarding.decide(heir(children, status={"succession": taken}))
    gone = {write.key.name for write in plan.writes if write.body is None}
    assert gone == {handover.account_name("triage")}
    assert {"ServiceAccount", "Role"} <= {write.key.kind.value for write in plan.writes if write.body}


@pytest.mark.parametrize("message", ["{}", "no JSON", "[]", json.dumps({"digest": "sha256:other"}), '{"digest": null}'])
def test_a_job_that_does_not_say_that_it_has_this_very_archive_has_not(message: str) -> None:
    plan = onboarding.decide(heir(at_work(ended("Complete")), pods=ends(message)))
    assert "succession" not in plan.status
    assert said(plan, "Ready")[1] == "SuccessionInvalid"
    assert "does not say that it has" in said(plan, "Ready")[2]


def test_one_that_failed_says_why_and_is_tried_anew_after_a_pause() -> None:
    failed = (PodFacts("p", BEGAN, finished=BEGAN, message="the volume has inherited/ already", why="Error"),)
    plan = onboarding.decide(heir(at_work(ended("Failed")), pods=failed, at=10))
    assert "the volume has inherited/ already" in said(plan, "Ready")[2]
    assert not plan.writes
    assert plan.requeue_after == 290
    plan = onboarding.decide(heir(at_work(ended("Failed")), pods=failed, at=301))
    assert kinds(plan) == [("delete", "Job", HOME)]


def test_a_pod_that_does_not_start_is_said() -> None:
    held = (PodFacts("p", BEGAN, held=Said("Unschedulable", 'persistentvolumeclaim "facts" not found')),)
    plan = onboarding.decide(heir(at_work(), pods=held))
    assert 'persistentvolumeclaim "facts" not found' in said(plan, "Ready")[2]


def test_the_job_of_another_leader_goes_first() -> None:
    other = replace(OUTLET, url="https://10.9.9.9:8443/v1/inheritance")
    plan = onboarding.decide(heir(at_work(), outlet=other))
    assert kinds(plan) == [("delete", "Job", HOME)]


def test_without_an_address_of_the_operator_it_says_so() -> None:
    plan = onboarding.decide(heir(outlet=Intake(problem="it takes no volumes (value archive.memory)")))
    assert "archive.memory" in said(plan, "Ready")[2]
    assert not plan.writes


@pytest.mark.parametrize("family", [Family(replace(OLD, successor="")), Family(None)])
def test_what_delivers_goes_where_nothing_is_handed_over_any_more(family: Family) -> None:
    children = at_work()
    plan = onboarding.decide(heir(children, family=family))
    assert kinds(plan) == [("delete", "Job", HOME)]
    plan = onboarding.decide(heir(after(children, plan), family=family))
    assert kinds(plan) == [("delete", "NetworkPolicy", HOME), ("delete", "ServiceAccount", HOME)]


def test_who_works_already_gets_it_beside_its_work() -> None:
    plan = onboarding.decide(heir(status={"hiredAs": "support"}))
    names = {(write.key.kind.value, write.key.name) for write in plan.writes}
    assert {("ServiceAccount", "aiagent.triage"), ("ServiceAccount", "aiagent.triage.handover")} <= names


WORKS = {"status": {"hiredAs": "support"}}


def failing(plan: Plan) -> tuple[bool | None, str, str] | None:
    return next(
        ((v.status, v.reason.value, v.message) for v in plan.verdicts if v.type.value == "HandoverFailed"), None
    )


def test_who_works_already_says_that_its_delivery_failed_and_is_ready_all_the_same() -> None:
    failed = (PodFacts("p", BEGAN, finished=BEGAN, message="the volume has inherited/ already", why="Error"),)
    job = at_work(ended("Failed"))
    plan = onboarding.decide(heir(job, pods=failed, at=10, **WORKS))
    (status, reason, text) = failing(plan) or (None, "", "")
    assert (status, reason) == (True, "SuccessionInvalid")
    for part in (JOB.key.name, "the volume has inherited/ already", "mend that", "300 s", "once that Job is deleted"):
        assert part in text, part
    ready = said(plan, "Ready")
    assert ready[1] not in ("SuccessionInvalid", "WaitingForHandover")
    assert plan.requeue_after == 290
    # While it goes well, or where it is over, nothing is said; and what is not hired says it by Ready.
    assert failing(onboarding.decide(heir(at_work(), pods=(PodFacts("p", BEGAN, running=True),), **WORKS))) is None
    assert failing(onboarding.decide(heir(job, pods=failed, at=10))) is None
    done = onboarding.decide(heir(at_work(ended("Complete")), pods=ends(json.dumps({"digest": DIGEST})), **WORKS))
    assert failing(done) is None


def test_who_works_already_says_that_nobody_names_it() -> None:
    plan = onboarding.decide(heir(family=Family(replace(OLD, successor="")), **WORKS))
    assert "sets its spec.retirement.successorRef.name to triage" in (failing(plan) or (None, "", ""))[2]


def test_a_claim_that_is_named_later_is_filled_too() -> None:
    taken = {"predecessor": {"name": "old", "uid": "u-old"}, "archive": "home.old.1", "digest": DIGEST, "time": "t"}
    plan = onboarding.decide(heir(status={"succession": taken, "hiredAs": "support"}))
    assert "aiagent.triage.handover" in {write.key.name for write in plan.writes}
    done = {**taken, "claimName": "facts"}
    plan = onboarding.decide(heir(status={"succession": done, "hiredAs": "support"}))
    assert "aiagent.triage.handover" not in {write.key.name for write in plan.writes}


def test_the_job_knows_the_operator_and_nothing_else() -> None:
    pod = JOB.manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {each["name"] for each in container["env"]} == {
        "WORKFORCE_ARCHIVE_DIGEST", "WORKFORCE_UPLOAD_URL", "WORKFORCE_UPLOAD_CERTIFICATE"
    }  # fmt: skip
    assert KEY not in json.dumps(JOB.manifest)
    assert [mount["readOnly"] for mount in container["volumeMounts"]] == [False, True]
    network = inheritance.network(IDENTITY, OUTLET).manifest["spec"]
    assert network["egress"][0]["to"] == [{"ipBlock": {"cidr": "10.1.2.3/32"}}]
    assert len(JOB.manifest["metadata"]["name"]) <= 63


# From the store into the volume.

ACCOUNT = Account(HOME, handover.account_name("triage"))
CALLER = Caller(ACCOUNT, "p", "p1")
Pieces = Callable[[], AsyncGenerator[bytes, None]]


def token(account: Account = ACCOUNT) -> str:
    claims = {"aud": [sending.AUDIENCE], "sub": f"system:serviceaccount:{account.namespace}:{account.name}"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@dataclass
class Giver:
    """Gives these pieces to the one account."""

    pieces: Pieces
    refuses: bool = False

    def waits(self, account: Account) -> bool:
        return account == ACCOUNT

    async def gift(self, caller: Caller) -> Gift:
        if self.refuses:
            raise RefusedError(403, "no archive is to be handed over to this agent")
        return Gift("AIAgent home/triage", self.pieces())


class NoDesk:
    """Takes nothing in."""

    def waits(self, account: Account) -> bool:
        return False

    async def place(self, caller: Caller) -> Any:
        raise AssertionError

    async def took(self, *_: Any) -> None:
        raise AssertionError

    def failed(self, *_: Any) -> None:
        raise AssertionError


@asynccontextmanager
async def giving(folder: Path, archived: Archived = WHOLE, giver: Giver | None = None) -> AsyncIterator[Task]:
    """The task of a Job that fetches this archive into the folder `volume`."""
    put(folder / "store" / PLACE, archived)
    (folder / "volume").mkdir(exist_ok=True)
    (folder / "token").write_text(token())
    store = directory(folder / "store")
    data = archived.manifest
    source = Source(store, layout.at(PLACE), data, manifest.read(data))

    async def review(_: str) -> Caller | None:
        return CALLER

    gives = giver or Giver(lambda: bundle.stream(source, KEY))
    endpoint = Endpoint(NoDesk(), review, address="127.0.0.1", port=0, giver=gives)
    await endpoint.start()
    try:
        yield Task(folder / "volume", wire.digest(data), endpoint.gives, endpoint.certificate, folder / "token")
    finally:
        await endpoint.stop()
        await store.close()


async def test_the_successor_gets_the_archive_s_files_and_the_memory_unpacked(tmp_path: Path) -> None:
    async with giving(tmp_path) as task:
        found = await asyncio.to_thread(run, task)
        again = await asyncio.to_thread(run, task)
    assert found["digest"] == again["digest"] == DIGEST
    there = tmp_path / "volume" / handover.FOLDER
    files = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert files == {
        "bundle/certificate.json", "bundle/journal.jsonl", "bundle/manifest.json", "bundle/revisions/1.json",
        "bundle/rights.jsonl", "bundle/sha256sums", "bundle/spec.json", "memory/notes.md",
    }  # fmt: skip
    assert (there / "bundle" / "spec.json").read_bytes() == WHOLE.files["spec.json"]
    assert wire.digest((there / "bundle" / "manifest.json").read_bytes()) == DIGEST
    with tarfile.open(fileobj=io.BytesIO(_plain(WHOLE.files["memory.tar.age"]))) as tar:
        notes = tar.extractfile("memory/notes.md")
        assert notes is not None
        assert (there / "memory" / "notes.md").read_bytes() == notes.read()
    assert [path.name for path in (tmp_path / "volume").iterdir()] == [handover.FOLDER]


def _plain(data: bytes) -> bytes:
    from aiagent_operator.core.archive import payload  # noqa: PLC0415

    plain = bytearray()
    payload.decrypt([data], plain.extend, KEY, payload.encryption(KEY))
    return bytes(plain)


# More than any of those who pass it on holds at once.
LARGE = bytes(range(256)) * 20_001


async def test_what_is_personal_is_decrypted_but_for_logs(tmp_path: Path) -> None:
    more = dict(
        [
            archives.encrypted(layout.ESCALATIONS, b"open\n"),
            archives.encrypted(layout.log("p", "app"), b"said\n"),
            archives.encrypted(layout.decision("one"), b"decided\n"),
            archives.encrypted(layout.decision("none"), b""),
            archives.encrypted(layout.DECISION_LOG, LARGE),
        ]
    )
    async with giving(tmp_path, archives.archived(more=more)) as task:
        await asyncio.to_thread(run, task)
    there = tmp_path / "volume" / handover.FOLDER / "bundle"
    assert (there / "escalations.jsonl").read_bytes() == b"open\n"
    assert (there / "decisions" / "one").read_bytes() == b"decided\n"
    assert (there / "decisions" / "none").read_bytes() == b""
    assert (there / "decisions.tar").read_bytes() == LARGE
    assert not list(there.rglob("*.log*"))


async def test_a_personal_file_that_is_not_as_long_as_it_says_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = archives.archived(more=dict([archives.encrypted(layout.DECISION_LOG, LARGE)]))
    for other in (1, -1):
        with monkeypatch.context() as patched:
            patched.setattr(bundle.payload, "plain_size", lambda *_, other=other: len(LARGE) + other)
            async with giving(tmp_path / str(other), whole) as task:
                with pytest.raises((SendError, UnsafeError)):
                    await asyncio.to_thread(run, task)
        assert not (tmp_path / str(other) / "volume" / handover.FOLDER).exists()


@pytest.mark.parametrize("path", ["spec.json", "memory.tar.age"])
async def test_of_an_archive_that_was_altered_nothing_comes(tmp_path: Path, path: str) -> None:
    data = WHOLE.files[path]
    async with giving(tmp_path, WHOLE.with_file(path, data[:-1] + bytes([data[-1] ^ 1]))) as task:
        with pytest.raises((SendError, UnsafeError)):
            await asyncio.to_thread(run, task)
    assert not (tmp_path / "volume" / handover.FOLDER).exists()


async def test_an_attempt_that_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    staging = tmp_path / "volume" / f".{handover.FOLDER}"
    staging.mkdir(parents=True)
    (staging / "half").write_text("x")
    async with giving(tmp_path) as task:
        await asyncio.to_thread(run, task)
    assert not (tmp_path / "volume" / handover.FOLDER / "half").exists()


async def test_a_stream_that_ends_early_is_not_taken_for_whole(tmp_path: Path) -> None:
    async def half() -> AsyncGenerator[bytes, None]:
        data = b"".join([piece async for piece in bundle.stream(source, KEY)])
        yield data[: len(data) // 2 // 512 * 512]
        raise OSError("the volume of the store is gone")

    async with giving(tmp_path) as task:
        store = directory(tmp_path / "store")
        source = Source(store, layout.at(PLACE), WHOLE.manifest, manifest.read(WHOLE.manifest))
    async with giving(tmp_path, giver=Giver(half)) as task:
        with pytest.raises((SendError, UnsafeError)):
            await asyncio.to_thread(run, task)
    await store.close()
    assert not (tmp_path / "volume" / handover.FOLDER).exists()


async def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    there = tmp_path / "volume" / handover.FOLDER
    async with giving(tmp_path) as task:
        there.symlink_to("/etc")
        with pytest.raises(UnsafeError, match="name an empty claim"):
            await asyncio.to_thread(run, task)
        there.unlink()
        there.mkdir()
        (there / "mine").write_text("x")
        with pytest.raises(UnsafeError, match="name an empty claim"):
            await asyncio.to_thread(run, task)
    assert [path.name for path in there.iterdir()] == ["mine"]


async def test_the_manifest_is_the_one_that_was_agreed_on(tmp_path: Path) -> None:
    async with giving(tmp_path) as task:
        with pytest.raises(UnsafeError, match="its manifest is not"):
            await asyncio.to_thread(run, replace(task, digest=f"sha256:{'0' * 64}"))


async def test_who_is_not_waited_for_gets_nothing(tmp_path: Path) -> None:
    async with giving(tmp_path) as task:
        (tmp_path / "token").write_text(token(Account(HOME, "aiagent.triage.memory")))
        with pytest.raises(SendError, match=r"\(403\)"):
            await asyncio.to_thread(run, task)
        (tmp_path / "token").write_text("x")
        with pytest.raises(SendError, match=r"\(401\)"):
            await asyncio.to_thread(run, task)
    async with giving(tmp_path, giver=Giver(lambda: bundle.stream(None, ""), refuses=True)) as task:  # type: ignore[arg-type]
        (tmp_path / "token").write_text(token())
        with pytest.raises(SendError, match="no archive is to be handed over"):
            await asyncio.to_thread(run, task)


def test_a_plan_that_takes_rights_away_waits_for_no_delivery() -> None:
    children = after({}, onboarding.decide(observed(permission("refund"))))
    plan: Plan = onboarding.decide(heir(children, outlet=None, status={"hiredAs": "support"}, missing_role=True))
    assert not plan.needs_outlet or not plan.revokes
