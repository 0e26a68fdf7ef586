"""Where the parts of an archive are. Paths of items are relative to the archive's prefix; keys are those of the store.

Written in this order: items, `manifest.json`, `sha256sums`, then `certificate.json`, which is about the manifest. Later
and at most once each: `erasure.json` and `tombstone.json`. Where there is no archive, since the agent was abandoned:
`abandoned.json`, then `abandoned.certificate.json`. Nothing is written twice, so a store may lock every object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from aiagent_operator.core.archive.errors import PathError
from aiagent_operator.core.archive.names import check_path, part
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.strict_json import quoted

ROOT: Final = "archives"
KEPT: Final = "records"

SPEC: Final = "spec.json"
RIGHTS: Final = "rights.jsonl"
JOURNAL: Final = "journal.jsonl"
KPIS: Final = "kpis.jsonl"
MEMORY: Final = "memory.tar"
ESCALATIONS: Final = "escalations.jsonl"
LOGS: Final = "logs"
HANDBOOK: Final = "handbook"
DECISIONS: Final = "decisions"
DECISION_LOG: Final = "decisions.tar"
"""The decision log where it was on a volume; where it was in a store, its files are in DECISIONS."""

ACTIONS: Final = "actions"

SUMS: Final = "sha256sums"
MANIFEST: Final = "manifest.json"
CERTIFICATE: Final = "certificate.json"
ERASURE: Final = "erasure.json"
TOMBSTONE: Final = "tombstone.json"
ABANDONED: Final = "abandoned.json"
ABANDONED_CERTIFICATE: Final = "abandoned.certificate.json"

RESERVED: Final = frozenset({SUMS, MANIFEST, CERTIFICATE, ERASURE, TOMBSTONE, ABANDONED, ABANDONED_CERTIFICATE})
"""Files that are about the archive, and no items of it."""

RELEASE: Final = frozenset({ABANDONED, ABANDONED_CERTIFICATE})
"""Files that say that there is no archive: its agent was released without one."""

RECORDS: Final = (ACTIONS, "evaluations", "revisions")
"""Folders of what is kept while the agent is still at work."""

CAPTURED: Final = "captured"
"""Folder beside these: what has been captured of an agent that leaves, and is in its archive's folder already."""

ENCRYPTED: Final = ".age"
"""Ends the path of an encrypted item, so that people see by which tool it is read."""

_ATTEMPT: Final = re.compile(r"[0-9a-f]{32}")
_, _EVALUATIONS, _REVISIONS = RECORDS
_MOST_REVISIONS: Final = 2**31 - 1
_MEDIA_TYPES: Final = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".log": "text/plain",
    ".tar": "application/x-tar",
    ENCRYPTED: "application/age",
}


class Folder(Protocol):
    """A folder of a store, in which files have paths."""

    @property
    def prefix(self) -> str:
        """Key of the folder, without a slash at the end."""

    def key(self, path: str) -> str:
        """Key in the store of a file of the folder. Raises PathError for an unsafe path."""
        check_path(path)
        return f"{self.prefix}/{path}"

    def path(self, key: str) -> str:
        """The path of a file within the folder by its key. Raises PathError for keys outside, and unsafe paths."""
        inside, path = key[: len(self.prefix) + 1], key[len(self.prefix) + 1 :]
        if inside != f"{self.prefix}/":
            raise PathError(f"the key {quoted(key, 200)} is not in {self.prefix}: it is of another archive")
        check_path(path)
        return path


@dataclass(frozen=True, slots=True)
class Layout(Folder):
    """The place of one archive in its store."""

    agent_uid: str
    archive: str

    @property
    def prefix(self) -> str:
        """Key of the archive's folder, without a slash at the end."""
        return f"{ROOT}/{part(self.agent_uid)}/{part(self.archive)}"


@dataclass(frozen=True, slots=True)
class Place(Folder):
    """A folder that is known by its key."""

    root: str

    @property
    def prefix(self) -> str:
        """Key of the folder, without a slash at the end."""
        return self.root


def at(prefix: str) -> Folder:
    """The place of an archive by what its AgentArchive says. Raises PathError for an unsafe one."""
    check_path(prefix)
    return Place(prefix)


@dataclass(frozen=True, slots=True)
class Kept(Folder):
    """The place of what is kept of one agent while it is at work, for its archive."""

    agent_uid: str

    @property
    def prefix(self) -> str:
        """Key of the folder, without a slash at the end."""
        return f"{KEPT}/{part(self.agent_uid)}"


def revision(number: int) -> str:
    """Path of a revision. Raises PathError for a number that no revision has."""
    if not 1 <= number <= _MOST_REVISIONS:
        raise PathError(f"no revision has the number {number}: numbers are 1 to {_MOST_REVISIONS}")
    return f"{_REVISIONS}/{number}.json"


def evaluation(name: str) -> str:
    """Path of an AgentEvaluation."""
    return f"{_EVALUATIONS}/{part(name)}.json"


def action(uid: str, name: str) -> str:
    """Path of an AgentAction, of which several may have had one name, one after the other."""
    return f"{ACTIONS}/{part(uid)}/{part(name)}.json"


def ordered(path: str) -> str | None:
    """UID of the AgentAction that has this path; None where it is of something else."""
    folder, _, rest = path.partition("/")
    return rest.split("/")[0] if folder == ACTIONS else None


def log(pod: str, container: str) -> str:
    """Path of a container's log."""
    return f"{LOGS}/{part(pod)}/{part(container)}.log"


def handbook(version: str) -> str:
    """Path of a handbook that the agent had; `version` names its ConfigMap."""
    return f"{HANDBOOK}/{part(version)}.json"


def rest(path: str) -> str:
    """Path of what is missing at the end of an item, by the item's path: it is no item, but a gap may name it."""
    return f"{path}.rest"


def captured(path: str) -> str:
    """Path of the note that says what became of an item: whether it was captured, and by which attempt, or why not."""
    return f"{CAPTURED}/{part(item(path))}.json"


def decision(name: str) -> str:
    """Path of one file of the decision log, by its path or key where it was.

    It is one part, in which slashes are written `_2f`: an object store may have both `a` and `a/b`, a directory not.
    """
    return f"{DECISIONS}/{part(name)}"


def decisions_of(agent: AgentIdentity) -> str:
    """Where in a store the decision log of an agent at work lies: a folder of its own, which no author chooses."""
    return f"{DECISIONS}/{agent.namespace}/{agent.name}"


def encrypted(path: str) -> str:
    """Path of the item when it is encrypted."""
    return f"{path}{ENCRYPTED}"


def item(path: str) -> str:
    """The item that a file holds, whether or not it is encrypted, and by which attempt it was written."""
    return plain(path).removesuffix(ENCRYPTED)


def plain(path: str) -> str:
    """The path without the folder of an attempt.

    What is streamed into a store gets a folder of 32 random hex digits for each attempt, so that none overwrites
    another: `logs/<pod>/<attempt>/<container>.log.age` for `logs/<pod>/<container>.log.age`.
    """
    *folders, leaf = path.split("/")
    return "/".join((*folders[: -1 if is_attempt(path) else None], leaf))


def is_attempt(path: str) -> bool:
    """Whether the file was written by one attempt of perhaps many, and so is in a folder of its own."""
    folders = path.split("/")[:-1]
    return bool(folders) and _ATTEMPT.fullmatch(folders[-1]) is not None


def media_type(path: str) -> str:
    """Media type of an item by the ending of its path; of what is not known, plain bytes (RFC 2046, 4.5.1)."""
    return next((kind for ending, kind in _MEDIA_TYPES.items() if path.endswith(ending)), "application/octet-stream")


def is_item(path: str) -> bool:
    """Whether the operator gives items such a path: of what else is in the folder it is not the author."""
    try:
        check_path(path)
    except PathError:
        return False
    found = item(path)
    alone = (SPEC, RIGHTS, JOURNAL, KPIS, MEMORY, DECISION_LOG, ESCALATIONS)
    folder, _, rest = found.partition("/")
    return found in alone or (bool(rest) and folder in (*RECORDS, LOGS, HANDBOOK, DECISIONS))


def is_payload(path: str) -> bool:
    """Whether an item is what people have said to the agent, or it to them, and so holds personal data.

    That is its memory, what it was told to do, what it has decided, what it has passed on, and what it has logged. It
    has to be encrypted.
    """
    found = item(path)
    return found in (MEMORY, DECISION_LOG, ESCALATIONS) or found.split("/")[0] in (LOGS, HANDBOOK, DECISIONS)
