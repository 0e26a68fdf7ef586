"""What the program is told, and what it leaves.

It leaves numbers, and no name but that of the folder that its author names: whoever reads the pod's status is not who
may read the volume.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiagent_operator.api import capture
from aiagent_operator.api.archive import Encryption
from aiagent_operator.capture.send import SendError, Sending
from aiagent_operator.capture.tree import ROOT, NoFolderError, Tree
from aiagent_operator.core.archive import payload
from aiagent_operator.core.archive.errors import PayloadError

_LONGEST = 2000


class UntoldError(Exception):
    """A variable is missing: the message names it."""


def told(env: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """The variables of these names, which the Job has to tell. Raises UntoldError."""
    if missing := [name for name in names if not env.get(name)]:
        raise UntoldError(f"{', '.join(missing)} missing: this program is run by a Job that the operator makes")
    return tuple(env[name] for name in names)


@dataclass(frozen=True, slots=True)
class Task:
    """What is packed, to which public key it is encrypted, and where it is sent to. `folder`: of the volume, all of
    which it is where it is empty; `root`: the folder of the tar."""

    volume: str
    key: str
    url: str
    certificate: str
    token_file: Path
    folder: str = ""
    root: str = ROOT

    @classmethod
    def told(cls, env: Mapping[str, str]) -> Self:
        """The task as the Job's environment tells it. Raises UntoldError."""
        key, url, certificate = told(env, capture.ENV_KEY, capture.ENV_URL, capture.ENV_CERTIFICATE)
        volume = env.get(capture.ENV_VOLUME, capture.VOLUME_MOUNT)
        token = Path(env.get(capture.ENV_TOKEN, capture.TOKEN_FILE))
        folder, root = env.get(capture.ENV_FOLDER, ""), env.get(capture.ENV_ROOT, ROOT)
        return cls(volume, key, url, certificate, token, folder, root)


def run(task: Task) -> dict[str, object]:
    """Sends the volume. Returns what was sent, by numbers. Raises NoFolderError, SendError, PayloadError, OSError."""
    tree = Tree(task.volume, task.folder, task.root)
    # Before anything is sent: the operator need not hear of a folder that is not there.
    tree.look()
    how = Encryption(algorithm=payload.ALGORITHM, key_id=task.key)
    try:
        token = task.token_file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SendError(f"the token {task.token_file} cannot be read: {error.strerror}") from error
    with Sending(task.url, task.certificate, token) as request:
        payload.encrypt(tree.pieces(), request.write, how)
        request.finish(tree.packed)
    packed = tree.packed
    skipped = {why.value: count for why, count in sorted(tree.skipped.items())}
    return {"bytes": packed.size, "files": packed.files, "skipped": skipped}


def main() -> None:
    """Entry point. Exit status 0 once the operator has all of it, capture.NO_FOLDER where that is not there, else 1;
    why stands in the termination message."""
    try:
        leave(json.dumps(run(Task.told(os.environ)), sort_keys=True))
    except NoFolderError as error:
        leave(str(error))
        sys.exit(capture.NO_FOLDER)
    except (UntoldError, SendError, PayloadError) as error:
        leave(str(error))
        sys.exit(1)
    except OSError as error:
        # Without the file's name, which is the agent's: only the volume itself can be meant.
        leave(f"the volume cannot be read: {error.strerror}")
        sys.exit(1)


def leave(text: str) -> None:
    """Leaves the text in the pod's log, and as its termination message."""
    print(text, file=sys.stderr)  # noqa: T201 - the pod's log
    path = Path(os.environ.get(capture.ENV_RESULT, capture.TERMINATION_LOG))
    path.write_text(text[:_LONGEST], encoding="utf-8")
