"""What an agent inherits with an archive store: where in it that comes to lie, and how far it is.

The operator puts it there itself, beside the passes: a pass says what is to be delivered, and hears what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiagent_operator.api.handover import BUNDLE, FOLDER
from aiagent_operator.api.inheritance import Delivered, Heir, Inheritance, Predecessor
from aiagent_operator.core.archive import layout, wire
from aiagent_operator.core.archive.manifest import lines
from aiagent_operator.core.archive.names import part
from aiagent_operator.core.delivering import Delivery
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.succession import Bequest, Kin

MANIFEST: Final = layout.MANIFEST
SUMS: Final = layout.SUMS


def folder(heir: AgentIdentity, archive: str) -> str:
    """Where an agent's inheritance lies in a store; no author chooses any of it."""
    return f"{of(heir.namespace)}/{part(heir.name)}/{part(archive)}"


def of(namespace: str) -> str:
    """Where the inheritances of all agents of a namespace lie."""
    return f"{FOLDER}/{part(namespace)}"


def is_of(name: str, namespace: str, archive: str) -> bool:
    """Whether an object is a part of what this archive has left to whomever."""
    home, _, rest = name.removeprefix(f"{FOLDER}/").partition("/")
    return name.startswith(f"{FOLDER}/") and home == part(namespace) and rest.split("/")[1:2] == [part(archive)]


def path(item: str) -> str:
    """Where a file of the archive lies in that folder, by its path without attempts."""
    return item if item == layout.MEMORY else f"{BUNDLE}/{item}"


def manifest(about: Kin, heir: AgentIdentity, files: Iterable[Delivered]) -> bytes:
    """The bytes of `manifest.json`: always the same for the same files."""
    return wire.written(
        Inheritance(
            archive=about.archive,
            digest=about.digest,
            predecessor=Predecessor(namespace=heir.namespace, name=about.name, uid=about.uid),
            successor=Heir(namespace=heir.namespace, name=heir.name),
            files=tuple(sorted(files, key=lambda each: each.path)),
        )
    )


def sums(files: Iterable[Delivered]) -> bytes:
    """The bytes of `sha256sums`, for `sha256sum --check` in that folder."""
    return lines((each.digest, each.path) for each in sorted(files, key=lambda each: each.path))


def look(o: Observed, its: Kin, store: str) -> Delivery:
    """How far the delivery from this predecessor into this store is; its archive is on record."""
    if o.terminating:
        return Delivery("nothing is delivered in a namespace that is being deleted")
    asked = Bequest(store, its.archive, its.digest)
    became = o.bequest
    if became is None or became.of != asked or not (became.digest or became.text):
        return Delivery(f"archive store {store} is being given it", bequest=asked, requeue_after=None)
    if became.digest:
        where = {"store": store, "path": folder(o.identity, its.archive), "digest": became.digest}
        return Delivery(done=True, into={"delivery": where})
    return Delivery(became.text, failed=became.failed, bequest=asked, requeue_after=None)
