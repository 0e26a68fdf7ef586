"""Archives as folders for the command `kubectl aiagent archive`, and what the command says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from aiagent_operator.api.archive import JournalHead
from aiagent_operator.cli.app import app
from aiagent_operator.core.archive import certificate, layout, manifest, retention
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.archive.tombstone import Destruction
from support import archives
from support.archives import CLAIMS, DONE, SEALED, Archived

WHOLE = archives.example()
JOURNAL = archives.FILES[layout.JOURNAL]
WHY = Destruction(DONE, "its retention has ended", retention.decide(CLAIMS, SEALED))
PLACE = layout.Layout(archives.UID, archives.ARCHIVE).prefix


def put(folder: Path, archived: Archived = WHOLE) -> Path:
    """The files of an archive in this folder."""
    for path, data in archived.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def key(folder: Path, name: str = "workforce.pub", of: Any = archives.ED25519) -> Path:
    """A file with the public key."""
    (folder / name).write_bytes(archives.public_pem(of))
    return folder / name


def run(*arguments: object) -> Result:
    """What `kubectl aiagent archive` does with these arguments."""
    env = {"NO_COLOR": "1", "KUBECONFIG": None}
    return CliRunner().invoke(app, ["archive", *map(str, arguments)], env=env, catch_exceptions=False)


def found(path: object, *arguments: object) -> dict[str, Any]:
    """The one archive that `archive verify -o json` tells of; the exit code has to be that of what it says."""
    result = run("verify", path, "-o", "json", *arguments)
    report = json.loads(result.stdout)
    assert result.exit_code == (0 if report["whole"] else 1)
    (only,) = report["archives"]
    assert only["whole"] == report["whole"]
    return dict(only)


def faults(report: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What is wrong with which file."""
    return {(each["path"], each["fault"]) for each in report["findings"]}


def sealed(files: Mapping[str, bytes], items: Iterable[Stored], **changes: Any) -> Archived:
    """An archive that was sealed and certified with these items; `changes` are those of whoever left."""
    kept = retention.decide(CLAIMS, SEALED)
    data = manifest.seal(archives.ARCHIVE, archives.leaving(**changes), items, (), kept)
    made = {**files, layout.SUMS: manifest.sums(manifest.read(data)), layout.MANIFEST: data}
    return Archived({**made, layout.CERTIFICATE: certificate.issue(data, archives.ended(), archives.SIGNER)})


def telling(journal: bytes, head: JournalHead) -> Archived:
    """An archive that was sealed with this journal."""
    files = {**archives.FILES, layout.JOURNAL: journal}
    return sealed(files, archives.stored(files), journal=head)
