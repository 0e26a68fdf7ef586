"""Artifacts: files whose name is the SHA-256 of their content, so that a reference says exactly which bytes are meant.

A reference is a URI, file:///<store>/sha256-<64 hex digits>.json, or the same path without `file://`. The store is any
directory; in a cluster a PersistentVolumeClaim, or a path in the image.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from triage import model as models
from triage.errors import TriageError
from triage.model import Model

_NAME: Final = re.compile(r"sha256-([0-9a-f]{64})\.json")
_LARGEST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model and where it came from."""

    path: Path
    digest: str
    model: Model

    @property
    def uri(self) -> str:
        """The reference that names it."""
        return self.path.as_uri()

    @property
    def version(self) -> str:
        """Short name for people and for labels of metrics: the first twelve digits of the digest."""
        return self.digest[:12]


def save(model: Model, store: Path) -> Artifact:
    """Writes a model into the store, whole or not at all. A model that is there already stays as it is."""
    document = models.to_bytes(model)
    digest = hashlib.sha256(document).hexdigest()
    path = store.resolve() / f"sha256-{digest}.json"
    try:
        store.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != document:
            _write(path, document)
    except OSError as error:
        text = f"the store {store} cannot be written ({error}): name a directory this user may write to in TRIAGE_STORE"
        raise TriageError(text) from error
    return Artifact(path, digest, models.from_bytes(document, str(path)))


def load(reference: str) -> Artifact:
    """The artifact that a reference names, after its content was found to be the one of the name."""
    path = _path(reference)
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise TriageError(
            f"{reference!r} does not say which content is meant: name a file sha256-<64 hex digits>.json, "
            f"as `python -m triage.train` prints it"
        )
    try:
        if path.stat().st_size > _LARGEST:
            raise TriageError(f"{path} has more than {_LARGEST} bytes, so it is no model: name another artifact")
        document = path.read_bytes()
    except OSError as error:
        text = f"artifact {path} cannot be read ({error.strerror}): is the volume mounted, and the name right?"
        raise TriageError(text) from error
    digest = hashlib.sha256(document).hexdigest()
    if digest != named[1]:
        raise TriageError(
            f"artifact {path} was changed: its content has the SHA-256 {digest}. It is not loaded; "
            f"train again, or restore the file"
        )
    return Artifact(path.resolve(), digest, models.from_bytes(document, str(path)))


def only(folder: Path) -> Artifact:
    """The one artifact in a folder, such as that of the image; TriageError where there is none or more than one."""
    found = sorted(path for path in folder.glob("sha256-*.json") if _NAME.fullmatch(path.name))
    if len(found) != 1:
        text = f"{folder} has {len(found)} artifacts, and TRIAGE_ARTIFACT does not say which: set it to the one to use"
        raise TriageError(text)
    return load(str(found[0]))


def _path(reference: str) -> Path:
    if "://" not in reference:
        return Path(reference)
    parts = urlsplit(reference)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise TriageError(f"{reference!r} is not on this machine's file system: use file:///<path>")
    return Path(unquote(parts.path))


def _write(path: Path, document: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
