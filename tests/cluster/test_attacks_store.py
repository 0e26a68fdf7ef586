"""What somebody tries who can write to the archive store, and can do nothing in the cluster."""

import shutil
from pathlib import Path

import orjson
import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.archive import index, layout
from aiagent_operator.core.journal.event import seal
from aiagent_operator.core.journal.head import START
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.journals import event
from support.kube import Object
from support.operator import Installation
from support.terminal import Terminal
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

PLURAL = "agentarchives"
OFTEN = {"archive_verification_interval": "2", "archive_proof_interval": "1"}
SECRET = "what no archive may tell"


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def left(place: Workplace, name: str) -> tuple[str, str]:
    """An agent that was employed and has left: its UID, and the name of its archive."""
    place.employ(name, place.new_role(name), permission("refund"))
    uid = place.until_ready(name)["metadata"]["uid"]
    place.dismiss(name)
    place.until_gone(name)
    return uid, index.name(AgentIdentity(place.namespace, name, uid))


def until_altered(place: Workplace, name: str, *texts: str) -> None:
    """Wait until an AgentArchive says that what is in the store is not what was sealed."""

    def found(record: Object) -> bool:
        told = agents.condition(record, "Verified") or {}
        return told.get("reason") == "Altered" and all(text in told["message"] for text in texts)

    place.admin.wait_object(meta.API_VERSION, PLURAL, name, found, what=f"{name} to be found altered: {texts}")


def until_whole(place: Workplace, *names: str) -> None:
    for name in names:
        place.admin.wait_object(
            meta.API_VERSION,
            PLURAL,
            name,
            lambda record: (agents.condition(record, "Verified") or {}).get("reason") == "ReadBack",
            what=f"{name} to be whole",
        )


def writable(path: Path) -> Path:
    for each in [path, *path.rglob("*")]:
        if not each.is_symlink():
            each.chmod(0o700 if each.is_dir() else 0o600)
    return path


def test_changing_what_was_archived(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder, tmp_path: Path
) -> None:
    place = vacant
    with installed.alone(**OFTEN):
        (one, first), (other, second) = left(place, "one"), left(place, "two")
        until_whole(place, first, second)
        here, there = archive.path / "archives" / one / first, archive.path / "archives" / other / second

        # Two whole archives change places: each is whole, and signed.
        writable(here.parent), writable(there.parent)
        shutil.move(here, tmp_path / "aside")
        shutil.move(there, here)
        shutil.move(tmp_path / "aside", there)
        until_altered(place, first, "manifest.json")
        until_altered(place, second, "manifest.json")
        shutil.move(here, tmp_path / "aside")
        shutil.move(there, here)
        shutil.move(tmp_path / "aside", there)
        until_whole(place, first, second)

        # A manifest that knows nothing of a file, and is otherwise as it was.
        manifest = here / layout.MANIFEST
        sealed = manifest.read_bytes()
        forged = orjson.loads(sealed)
        forged["items"] = [item for item in forged["items"] if not item["path"].startswith("revisions/")]
        manifest.write_bytes(orjson.dumps(forged, option=orjson.OPT_SORT_KEYS))
        until_altered(place, first, "manifest.json")
        manifest.write_bytes(sealed)
        until_whole(place, first)

        # A link to what the operator can read, in the place of a file; then a whole folder.
        (tmp_path / "secret").write_text(SECRET)
        spec = here / layout.SPEC
        kept = spec.read_bytes()
        spec.unlink()
        spec.symlink_to(tmp_path / "secret")
        until_altered(place, first, "spec.json")
        spec.unlink()
        spec.write_bytes(kept)
        writable(spec)
        until_whole(place, first)
        shutil.move(here / "revisions", tmp_path / "revisions")
        (here / "revisions").symlink_to(tmp_path / "revisions")
        until_altered(place, first, "revisions")
        told = orjson.dumps(place.admin.get(meta.API_VERSION, PLURAL, first)).decode()
        assert SECRET not in told

        # All of it is gone: the record stays, and says so.
        shutil.rmtree(there)
        until_altered(place, second, "manifest.json")


def test_removing_a_right_from_the_journal_before_the_agent_leaves(
    place: Workplace, archive: ArchiveFolder, terminal: Terminal
) -> None:
    """What it held is known from the journal. So whoever changes that is named in the archive, beside what it says."""
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_settled("triage")
    folder = writable(archive.path / "journal" / uid)
    (file,) = [path for path in folder.glob("*.json") if b"agent.Granted" in path.read_bytes()]
    file.write_bytes(file.read_bytes().replace(b'"create"', b'"delete"'))

    place.dismiss("triage")
    place.until_gone("triage")

    (gap,) = archive.verified(uid)["notCaptured"]
    assert (gap["path"], gap["reason"]) == ("journal", "Unreadable")
    assert "Altered" in gap["message"]
    assert f"{file.name}: the record has" in gap["message"]
    record = place.admin.get(meta.API_VERSION, PLURAL, index.name(AgentIdentity(place.namespace, "triage", uid)))
    assert [each["path"] for each in record["spec"]["notCaptured"]] == ["journal"]
    # It is archived as it is, and the command finds the same.
    said = terminal.run(f"kubectl-aiagent archive verify {archive.path / 'archives' / uid}")
    assert said.code == 1
    assert "NotTrue" in said.out
    assert "journal.jsonl" in said.out


def test_a_journal_that_somebody_writes_for_an_agent_to_come(place: Workplace, archive: ArchiveFolder) -> None:
    """Nobody knows a UID before; so once it is known, by a record of another agent under the next name."""
    place.employ("triage", place.new_role())
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_settled("triage")
    head = len(archive.entries(uid))
    other = AgentIdentity("crm", "billing", "9d8e7f60-1a2b-4c3d-8e4f-5a6b7c8d9e0f")
    raw, _ = seal(other, START, event("a"))
    (writable(archive.path / "journal" / uid) / f"{head + 1:012d}.json").write_bytes(raw)

    place.change("triage", handbook={"instructions": {"inline": "Be brief."}})
    place.until_settled("triage")

    told = archive.told(uid)
    assert told[head] == "Evaluated", "what is there stays: nothing is overwritten"
    assert "Forked" in told
    assert told.index("Forked") > head
    assert "Revised" in told[head:]
