"""Two agents of which one inherits with an archive store, and what comes to lie there."""

from __future__ import annotations

import subprocess
from typing import Any

import orjson

from aiagent_operator.core import bequests
from aiagent_operator.core.archive import layout, wire
from aiagent_operator.core.objects import AgentIdentity
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Object
from support.workplace import Workplace

STORE = "inheritances"
TEXT = "Answer what people ask, and nothing else."


def heir(store: str = STORE) -> dict[str, Any]:
    """For the spec of who comes."""
    return {"succession": {"predecessorRef": {"name": "triage"}, "store": store}}


def two(place: Workplace, *, retirement: Any = None, **into: Any) -> tuple[str, str]:
    """An agent at work, and one that is to come after it: their UIDs."""
    role = place.new_role()
    after = {"retirement": {"successorRef": {"name": "triage-v2"}, **(retirement or {})}}
    place.employ("triage", role, permission("refund"), handbook={"instructions": {"inline": TEXT}}, **after)
    old = place.until_ready("triage")["metadata"]["uid"]
    place.employ("triage-v2", role, permission("refund"), **(into or heir()))
    new = place.until_reason("triage-v2", "Ready", "WaitingForHandover")["metadata"]["uid"]
    return old, new


def delivered(place: Workplace, vault: ArchiveFolder) -> dict[str, bytes]:
    """What lies in the store for the successor, by its path in its folder; empty where nothing does."""
    below = vault.path / bequests.of(place.namespace) / "triage-v2"
    folders = list(below.iterdir()) if below.exists() else []
    assert len(folders) <= 1
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def whole(place: Workplace, vault: ArchiveFolder, old: str) -> Object:
    """The status of who came, after a check that all that it says is there."""
    status: Object = place.get("triage-v2")["status"]["succession"]
    files, where = delivered(place, vault), status["delivery"]
    agent = AgentIdentity(place.namespace, "triage-v2", "")
    assert (where["store"], where["path"]) == (STORE, bequests.folder(agent, status["archive"]))
    assert where["digest"] == wire.digest(files[bequests.MANIFEST])
    told = orjson.loads(files[bequests.MANIFEST])
    assert (told["digest"], told["predecessor"]["uid"]) == (status["digest"], old)
    listed = {each["path"]: each["digest"] for each in told["files"]}
    assert listed == {path: wire.digest(data) for path, data in files.items() if "/" in path or path == layout.MEMORY}
    assert wire.digest(files[f"bundle/{layout.MANIFEST}"]) == status["digest"]
    subprocess.run(
        ["sha256sum", "--check", "--quiet", bequests.SUMS],
        cwd=vault.path / where["path"],
        check=True,
    )
    books = [data for path, data in files.items() if path.startswith("bundle/handbook/")]
    assert [TEXT in orjson.loads(book)["instructions.md"] for book in books] == [True]
    assert not [path for path in files if "/logs/" in path or path.endswith(layout.ENCRYPTED)]
    return status
