"""The index of archives is rebuilt from the store: as in a new cluster with the old bucket, with the chart's rights."""

import shutil
from collections.abc import Iterator

import pytest

from aiagent_operator.api.tombstone import Order
from aiagent_operator.core import texts
from aiagent_operator.core.archive import archivekey, layout, retention, tombstone
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.runtime.archive import purging
from support import agents, archiverecords, archives, chart
from support.archivefolder import ArchiveFolder
from support.importing import Desk, said
from support.operator import Installation
from support.workplace import OPERATOR_USER, Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def desk(vacant: Workplace, installed: Installation) -> Iterator[Desk]:
    # A store of the test's own, in which no other test leaves anything.
    folder = ArchiveFolder(installed.archive.path.parent / vacant.name("imported"))
    with installed.alone(archive_file=str(folder.described())):
        desk = Desk(vacant, folder)
        yield desk
        for name in desk.names:
            archiverecords.clear(desk.admin, name)


def test_records_that_are_gone_come_back_as_they_were_and_others_are_left_alone(desk: Desk) -> None:
    (_, gone), (_, stays), (uid, damaged) = desk.leave("one"), desk.leave("two"), desk.leave("three")
    before = {name: desk.record(name) for name in (gone, stays, damaged)}
    for name in (gone, damaged):
        archiverecords.clear(desk.admin, name)
    file = desk.folder.path / "archives" / uid / damaged / layout.RIGHTS
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content[:-2] + b"\n")
    file.chmod(0o440)

    trial = desk.rebuild("--dry-run")
    assert trial.code == 1, trial.screen
    assert f"to be made: local: archives/{before[gone]['spec']['agent']['uid']}/{gone}" in trial.out  # type: ignore[index]
    assert desk.record(gone) is None

    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert "refused: local: " in answer.out
    assert f"{layout.RIGHTS}: OtherSize" in answer.out
    assert "1 made, 1 there already, 1 refused" in answer.out
    assert said(desk.record(gone)) == said(before[gone])
    assert desk.record(stays) == before[stays]
    assert desk.record(damaged) is None

    file.chmod(0o600)
    file.write_bytes(content)
    file.chmod(0o440)
    answer = desk.rebuild("--store", "local")
    assert answer.code == 0, answer.screen
    assert said(desk.record(damaged)) == said(before[damaged])
    mark = desk.place.plane.audit_mark()
    answer = desk.rebuild()
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "3 there already")
    wrote = [e.uri for e in desk.place.plane.audit(mark, user=OPERATOR_USER) if e.mutating]
    assert [uri for uri in wrote if "agentarchives" in uri] == []


def test_one_that_was_cut_off_before_it_said_so_is_completed(desk: Desk) -> None:
    _, name = desk.leave("triage")
    before = desk.record(name)
    assert before is not None
    archiverecords.clear(desk.admin, name)
    operator = desk.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    bare = {key: before[key] for key in ("apiVersion", "kind", "spec")}
    operator.create({**bare, "metadata": {"name": name, "labels": before["metadata"]["labels"]}})
    answer = desk.rebuild()
    assert answer.code == 0, answer.screen
    assert said(desk.record(name)) == said(before)


def test_one_of_another_archive_is_disputed_and_stays(desk: Desk) -> None:
    _, name = desk.leave("triage")
    before = desk.record(name)
    assert before is not None
    archiverecords.clear(desk.admin, name)
    other = {**before["spec"], "manifest": {**before["spec"]["manifest"], "digest": f"sha256:{'0' * 64}"}}
    operator = desk.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    made = operator.create({**archiverecords.record(name), "spec": other})
    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert f"AgentArchive {name} is of the manifest sha256:{'0' * 64}" in answer.out
    found = desk.record(name)
    assert found is not None
    assert (found["metadata"]["uid"], found["spec"]) == (made["metadata"]["uid"], made["spec"])
    # Nobody has said that it was read back.
    assert "phase" not in found["status"]


def test_a_planted_archive_does_not_come_in(desk: Desk) -> None:
    """Whole and well-formed, and signed by nobody, or by somebody else."""
    where = layout.Layout(archives.UID, archives.ARCHIVE)
    desk.names.append(archives.ARCHIVE)
    planted = desk.folder.path / where.prefix
    for path, data in archives.archived().without(layout.CERTIFICATE).files.items():
        file = planted / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o440)
    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert f"refused: local: {where.prefix}" in answer.out
    assert desk.record(archives.ARCHIVE) is None
    # The example's name is not one that the operator gives.
    assert desk.rebuild("--uncertified").code == 1
    assert desk.record(archives.ARCHIVE) is None


def test_a_store_that_somebody_has_prepared(desk: Desk) -> None:
    """What is whole and signed, under another agent's UID and under another name; and folders that lead elsewhere."""
    uid, name = desk.leave("triage")
    archiverecords.clear(desk.admin, name)
    before = {found["metadata"]["name"] for found in desk.admin.list(agents.API, "agentarchives")}
    top = desk.folder.path / "archives"
    other = "11111111-2222-4333-8444-555555555555"
    for copy in (top / other / name, top / uid / f"{name}x"):
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copytree(top / uid / name, copy)
        desk.names.append(copy.name)

    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert f"refused: local: archives/{other}/{name}" in answer.out
    assert f"refused: local: archives/{uid}/{name}x" in answer.out
    after = {found["metadata"]["name"] for found in desk.admin.list(agents.API, "agentarchives")}
    assert after - before == {name}

    archiverecords.clear(desk.admin, name)
    (top / uid / "secrets").symlink_to("/etc")
    answer = desk.rebuild()
    # Links are not looked at, wherever they lead.
    assert (answer.code, answer.out.splitlines()[-1]) == (1, "1 made, 2 refused")
    assert "secrets" not in answer.screen


def test_what_is_purged_comes_back_as_what_it_is(desk: Desk) -> None:
    uid, name = desk.leave("triage")
    archiverecords.clear(desk.admin, name)
    files = desk.folder.archived(uid)
    why = Destruction(archives.DONE, "Its retention has ended", retention.decide((), archives.SEALED))
    top = desk.folder.path / "archives" / uid / name
    (top / layout.TOMBSTONE).write_bytes(tombstone.purged(files[layout.MANIFEST], why))
    (top / layout.TOMBSTONE).chmod(0o440)
    for path in files.keys() - purging.STAYS:
        (top / path).unlink()
    answer = desk.rebuild()
    assert answer.code == 0, answer.screen
    assert f"purged: local: archives/{uid}/{name}: AgentArchive {name}: purged 2026-11-22: Its retention" in answer.out
    found = desk.record(name)
    assert found is not None
    assert found["status"]["phase"] == "Purged"
    assert found["status"]["purge"].keys() == {"startTime", "completionTime"}
    assert found["status"]["purge"]["startTime"] == texts.moment(archives.DONE)
    told = {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]}
    assert told["Verified"] == ("Unknown", "Purged")
    assert "there already" in desk.rebuild().out


def test_what_is_erased_comes_back_as_that_once_there_is_no_key(desk: Desk) -> None:
    uid, name = desk.leave("triage")
    archiverecords.clear(desk.admin, name)
    files = desk.folder.archived(uid)
    order = Order(name="legal/forget", uid="u", by="ann")
    why = Destruction(archives.DONE, "A request", retention.decide((), archives.SEALED), order)
    top = desk.folder.path / "archives" / uid / name
    (top / layout.ERASURE).write_bytes(tombstone.erased(files[layout.MANIFEST], why))
    (top / layout.ERASURE).chmod(0o440)
    # Nobody signs that, and whoever believed it would destroy the key.
    answer = desk.rebuild()
    assert answer.code == 1, answer.screen
    assert "says that it was erased, and Secret" in answer.out
    assert desk.record(name) is None
    desk.admin.delete("v1", "secrets", archivekey.of(name), namespace=chart.NAMESPACE)
    answer = desk.rebuild()
    assert answer.code == 0, answer.screen
    found = desk.record(name)
    assert found is not None
    erasure = found["status"]["erasure"]
    assert (erasure["namespace"], erasure["order"]) == ("legal", "forget")
    assert "completionTime" in erasure
    assert (agents.condition(found, "Erased") or {})["status"] == "True"


def test_what_is_wrong_with_the_command_is_said_and_nobody_else_can_make_records(desk: Desk) -> None:
    answer = desk.rebuild("--store", "vault")
    assert (answer.code, answer.err) == (2, "error: --store vault is none of local: name one of them\n")
    answer = desk.rebuild("--key", "-", text=b"no key")
    assert answer.code == 2
    assert "--key - is no public key" in answer.err
    _, name = desk.leave("triage")
    archiverecords.clear(desk.admin, name)
    key = archives.public_pem(archives.P256) + archives.public_pem(archives.ED25519)
    admin = desk.place.installed.cluster.kubeconfig
    answer = desk.command("archive", "import", "--key", "-", kubeconfig=admin, text=key)
    assert answer.code == 3, answer.screen
    assert "only its account may make AgentArchives" in answer.err
    assert desk.record(name) is None
