"""`python -m aiagent_operator.capture.inherit` fetches a predecessor's archive into its successor's volume.

All of it comes into a folder beside, is compared with the archive's manifest, and gets its name at last: whoever sees
the folder `inherited` sees all. Whoever is cut off is followed by one who begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

from aiagent_operator.api import capture, handover
from aiagent_operator.capture.job import UntoldError, leave, told
from aiagent_operator.capture.receive import Receiving
from aiagent_operator.capture.send import SendError
from aiagent_operator.capture.tree import ROOT, SKIPPED
from aiagent_operator.capture.unpack import Unpacking, UnsafeError
from aiagent_operator.core.archive import layout, manifest, wire
from aiagent_operator.core.archive.errors import ArchiveError

_PIECE: Final = 256 * 1024
_STAGING: Final = f".{handover.FOLDER}"
_MANIFEST: Final = f"{handover.BUNDLE}/{layout.MANIFEST}"


@dataclass(frozen=True, slots=True)
class Task:
    """Where the volume is, which archive is fetched, and from where."""

    volume: Path
    digest: str
    url: str
    certificate: str
    token_file: Path

    @classmethod
    def told(cls, env: Mapping[str, str]) -> Self:
        """The task as the Job's environment tells it. Raises UntoldError."""
        digest, url, certificate = told(env, handover.ENV_DIGEST, capture.ENV_URL, capture.ENV_CERTIFICATE)
        volume = Path(env.get(capture.ENV_VOLUME, capture.VOLUME_MOUNT))
        return cls(volume, digest, url, certificate, Path(env.get(capture.ENV_TOKEN, capture.TOKEN_FILE)))


def run(task: Task) -> dict[str, Any]:
    """Fetches it. Returns what is there now. Raises SendError, UnsafeError, ArchiveError, OSError, tarfile.TarError."""
    there = task.volume / handover.FOLDER
    if there.is_symlink() or there.exists():
        # An attempt may have come to its end without being heard.
        known = there / _MANIFEST
        if not there.is_symlink() and known.is_file() and wire.digest(known.read_bytes()) == task.digest:
            return {"digest": task.digest}
        raise UnsafeError(f"the volume has {handover.FOLDER}/ already, of something else: name an empty claim")
    staging = task.volume / _STAGING
    if staging.is_symlink():
        raise UnsafeError(f"the volume has a link {_STAGING}, which nothing of this software makes: remove it")
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(mode=0o770)
    found = _fetched(task, staging)
    os.sync()
    staging.rename(there)
    os.sync()
    return found


def _fetched(task: Task, staging: Path) -> dict[str, Any]:
    token = task.token_file.read_text(encoding="ascii").strip()
    top = os.open(staging, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with Receiving(task.url, task.certificate, token) as source:
            unpacking = Unpacking(top, (handover.BUNDLE, ROOT, SKIPPED), limit=manifest.LIMIT, hashed=handover.BUNDLE)
            with tarfile.open(fileobj=cast("Any", source), mode="r|", bufsize=_PIECE) as tar:
                items = None
                for name in unpacking.members(tar):
                    if name == _MANIFEST:
                        items = _items(staging, task.digest)
                        unpacking.limit = sum(size for _, size in items.values()) + 2 * manifest.LIMIT
            source.rest()
    finally:
        os.close(top)
    if items is None:
        raise UnsafeError("it has no manifest")
    for path, (digest, _) in items.items():
        if digest and unpacking.digests.get(f"{handover.BUNDLE}/{path}") != digest:
            raise UnsafeError("a file is missing, or is not what the manifest says")
    return {"bytes": unpacking.size, "digest": task.digest, "files": unpacking.files}


def _items(staging: Path, digest: str) -> dict[str, tuple[str, int]]:
    """The archive's items: digest, where it lies there as it is delivered, and size."""
    data = (staging / _MANIFEST).read_bytes()
    if wire.digest(data) != digest:
        raise UnsafeError(f"its manifest is not {digest}")
    said = manifest.read(data, layout.MANIFEST)
    return {
        item.path: ("" if item.encrypted else item.digest.removeprefix(wire.PREFIX), item.size) for item in said.items
    }


def main() -> None:
    """Entry point. Exit status 0 once all is there, else 1; why stands in the termination message."""
    # The modes of files are those that were packed.
    os.umask(0)
    try:
        leave(json.dumps(run(Task.told(os.environ)), sort_keys=True))
    except (UntoldError, SendError, UnsafeError, ArchiveError) as error:
        leave(str(error))
        sys.exit(1)
    except tarfile.TarError:
        leave("what came from the operator is no tar: see the operator's log")
        sys.exit(1)
    except OSError as error:
        # Without the file's name, which is the agent's.
        leave(f"the volume cannot be written to: {error.strerror}")
        sys.exit(1)


if __name__ == "__main__":
    main()
