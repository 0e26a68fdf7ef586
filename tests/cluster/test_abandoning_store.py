"""Of an agent that was released without an archive its store keeps a record, as soon as it can be written again."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aiagent_operator.core.archive import index, layout
from aiagent_operator.core.objects import AgentIdentity
from support import agents, archiverecords, storeproxy
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import here, new_policy
from support.importing import Desk, said
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import When
from support.s3server import REGION, S3Server
from support.storeoperations import About, Fate
from support.workplace import OPERATOR_USER, Workplace

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

RECORDED = "archives/<uid>/<archive>/abandoned"
FILES = (layout.ABANDONED, layout.ABANDONED_CERTIFICATE)


class Given:
    """An agent that is given up, while its archive cannot be sealed: a manifest of somebody else's is in its place."""

    def __init__(self, place: Workplace, archive: ArchiveFolder, name: str) -> None:
        self.place, self.archive, self.name = place, archive, name
        retired = {"retention": "1s"}
        place.employ(name, place.new_role(name), permission("refund"), retirement=retired)
        self.uid = str(place.until_ready(name)["metadata"]["uid"])
        self.archived = index.name(AgentIdentity(place.namespace, name, self.uid))
        self.top = archive.path / layout.ROOT / self.uid / self.archived
        self.top.mkdir(parents=True, exist_ok=True)
        (self.top / layout.MANIFEST).write_text("{}\n")

    def leave(self) -> None:
        """It leaves, and may be given up."""
        self.place.dismiss(self.name)
        self.place.until_reason(self.name, "Ready", "Offboarding", "somebody else has written it")
        threading.Event().wait(2.5)

    def give_up(self) -> None:
        """Order that."""
        self.place.order("Abandon", f"give-up-{self.name}", self.name)

    def is_gone(self) -> bool:
        """Whether it has gone, and the store has the record of that."""
        record = self.place.admin.find(agents.API, archiverecords.PLURAL, self.archived) or {}
        read = (agents.condition(record, "Verified") or {}).get("status") == "True"
        return read and self.place.is_ordered(f"give-up-{self.name}", "Complete")

    def record(self) -> Object:
        """Its AgentArchive."""
        return self.place.admin.get(agents.API, archiverecords.PLURAL, self.archived)

    def until(self, status: str, reason: str, text: str) -> Object:
        """Wait until the AgentArchive says this of the record in the store."""

        def says(found: Object) -> bool:
            verified = agents.condition(found, "Verified") or {}
            return (verified.get("status"), verified.get("reason")) == (status, reason) and text in verified["message"]

        what = f"{self.archived} to be {reason}: {text}"
        return self.place.admin.wait_object(agents.API, archiverecords.PLURAL, self.archived, says, what=what)


def given_up(place: Workplace, archive: ArchiveFolder, name: str = "triage") -> Given:
    """One that has gone, and whose record is in the store."""
    new_policy(place, "soon", here(place), archive={"abandonAfter": "1s"})
    one = Given(place, archive, name)
    one.leave()
    one.give_up()
    wait_for(one.is_gone, what=f"{name} to be released, and that to be on record")
    (one.top / layout.MANIFEST).unlink()
    return one


def recorded(archive: ArchiveFolder, one: Given) -> set[str]:
    """Which files of the record are in the store, beside what attempts to archive the agent have left."""
    return archive.archived(one.uid).keys() & set(FILES)


def rewrite(file: Path, data: bytes) -> None:
    file.chmod(0o600)
    file.write_bytes(data)
    file.chmod(0o440)


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def test_a_store_that_is_only_read_is_not_written_to_what_was_altered_is_found_and_nothing_purged(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    with installed.alone():
        one = given_up(vacant, archive)
    for file in FILES:
        (one.top / file).unlink()
    content = yaml.safe_load(archive.described().read_text())
    content["stores"][0]["readOnly"] = True
    often = {"archive_verification_interval": "2", "archive_proof_interval": "1", "archive_purge": "AfterRetention"}
    only_read = archive.path.with_name("only-read.yaml")
    only_read.write_text(yaml.safe_dump(content))
    with installed.alone(archive_file=str(only_read), **often):
        one.until("Unknown", "ArchiveStoreUnavailable", "is not written to: describe it without readOnly")
        assert recorded(archive, one) == set()
    with installed.alone(**often):
        one.until("True", "ReadBack", "and is signed")
        files = archive.archived(one.uid)
        assert recorded(archive, one) == set(FILES)
        rewrite(one.top / layout.ABANDONED, files[layout.ABANDONED].replace(b"Emergency", b"Planned"))
        found = one.until("False", "Altered", f"{layout.ABANDONED} holds something else: find out who wrote it")
        assert (agents.condition(found, "Ready") or {})["reason"] == "Altered"
        rewrite(one.top / layout.ABANDONED, files[layout.ABANDONED])
        found = one.until("True", "ReadBack", "and is signed")
        assert (agents.condition(found, "Ready") or {})["reason"] == "Abandoned"
        # Its retention is over, and there is no archive that could be purged.
        assert "purge" not in found["status"]


@pytest.fixture
def desk(vacant: Workplace, installed: Installation) -> Iterator[Desk]:
    folder = ArchiveFolder(installed.archive.path.parent / vacant.name("imported"))
    with installed.alone(archive_file=str(folder.described())):
        yield Desk(vacant, folder)


def test_its_agent_archive_is_made_anew_from_its_record_where_that_is_signed(desk: Desk) -> None:
    one = given_up(desk.place, desk.folder)
    before, where = one.record(), f"local: archives/{one.uid}/{one.archived}"
    whole = desk.folder.archived(one.uid)
    answer = desk.rebuild()
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "1 there already")

    # Which records are missing is said, and why.
    (one.top / layout.ABANDONED_CERTIFICATE).unlink()
    (one.top / layout.ABANDONED).unlink()
    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert f"not in the store: {where}: AgentArchive {one.archived}: abandoned.json is gone since" in answer.out

    archiverecords.clear(desk.admin, one.archived)
    rewrite_new(one, whole[layout.ABANDONED].replace(b"give-up", b"go-away"), whole[layout.ABANDONED_CERTIFICATE])
    for flags in ((), ("--uncertified",)):
        answer = desk.rebuild(*flags)
        assert answer.code == 1, answer.screen
        assert f"refused: {where}" in answer.out
        assert "abandoned.certificate.json is about another record" in answer.out
        assert desk.record(one.archived) is None

    rewrite_new(one, whole[layout.ABANDONED], whole[layout.ABANDONED_CERTIFICATE])
    answer = desk.rebuild("--dry-run")
    assert (answer.code, desk.record(one.archived)) == (0, None)
    assert f"to be made: {where}: AgentArchive {one.archived}: abandoned " in answer.out
    answer = desk.rebuild()
    assert answer.code == 0, answer.screen
    assert said(desk.record(one.archived)) == said(before)
    assert desk.record(one.archived)["spec"] == before["spec"]  # type: ignore[index]
    mark = desk.place.plane.audit_mark()
    answer = desk.rebuild()
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "1 there already")
    wrote = [e.uri for e in desk.place.plane.audit(mark, user=OPERATOR_USER) if e.mutating]
    assert [uri for uri in wrote if "agentarchives" in uri and "status" not in uri] == []


def rewrite_new(one: Given, data: bytes, signature: bytes) -> None:
    for path, content in zip(FILES, (data, signature), strict=True):
        file = one.top / path
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(0o440)


def test_what_is_not_signed_comes_back_only_where_somebody_answers_for_it(
    vacant: Workplace, installed: Installation
) -> None:
    folder = ArchiveFolder(installed.archive.path.parent / vacant.name("unsigned"))
    desk = Desk(vacant, folder)
    with installed.alone(archive_file=str(folder.described(signed=False))):
        one = given_up(vacant, folder)
        one.until("True", "ReadBack", "is not signed, since the operator has no key")
        assert recorded(folder, one) == {layout.ABANDONED}
        archiverecords.clear(vacant.admin, one.archived)
        folder.described(signed=True)
        answer = desk.rebuild()
        assert answer.code == 1, answer.screen
        assert "has no abandoned.certificate.json beside it" in answer.out
        answer = desk.rebuild("--uncertified")
        assert answer.code == 0, answer.screen
        one.until("True", "ReadBack", "is not signed")
    with installed.alone(archive_file=str(folder.described()), archive_verification_interval="2"):
        # There is a key now.
        one.until("True", "ReadBack", "and is signed")
        assert recorded(folder, one) == set(FILES)


@pytest.mark.parametrize("when", list(When))
def test_whoever_is_killed_at_a_write_to_the_store_is_followed_by_one_who_ends_it(
    vacant: Workplace, installed: Installation, tmp_path: Path, when: When
) -> None:
    place = vacant
    with S3Server() as server, storeproxy.beside(server.endpoint) as proxy:
        bucket = ArchiveFolder(tmp_path / "described", "vault", server.data / server.bucket())
        file = bucket.described_in_bucket(REGION, proxy.url, server.secret(tmp_path / "secret"))
        operator: OperatorProcess = installed.alone(archive_file=str(file), archive_proof_interval="1")
        try:
            operator.start()
            new_policy(place, "soon", here(place), archive={"abandonAfter": "1s"})
            one = Given(place, bucket, "triage")
            one.leave()
            deadly = [f"PUT {RECORDED}.json", f"PUT {RECORDED}.certificate.json"]
            fate = Fate(operator, proxy, About((one.uid,)), when, deadly.__contains__)
            dead = fate.awaits()
            one.give_up()
            for _ in deadly:
                wait_for(dead.is_set, what=f"the operator to die, after {fate.died_at}", timeout=60)
                operator.forget_lease()
                operator.start(wait_ready=False)
                dead = fate.awaits()
            wait_for(one.is_gone, what="the record to be in the store", timeout=60)
            assert fate.died_at == deadly
            proxy.heal()
            operator.wait_ready()
            operator.until_idle()
            assert recorded(bucket, one) == set(FILES)
            assert (agents.condition(one.record(), "Verified") or {})["reason"] == "ReadBack"
            mark = place.plane.audit_mark()
            operator.restart()
            operator.until_idle()
            assert [write for write in place.writes(mark) if write.resource != "agentpolicies"] == []
        finally:
            proxy.heal()
            operator.close()
            operator.forget_lease()
