"""A folder that says that there is no archive: the record of an agent that was released without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api.abandoned import AbandonedRecord
from aiagent_operator.cli.archive.checking import UNREADABLE
from aiagent_operator.cli.archive.folder import Folder
from aiagent_operator.cli.archive.source import UnsafeError, read
from aiagent_operator.core import texts
from aiagent_operator.core.archive import abandoned, envelope, layout
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.findings import Fault, Finding


@dataclass(frozen=True, slots=True)
class Release:
    """The record in a folder, and its signature where there is one."""

    place: str
    data: bytes
    record: AbandonedRecord
    signature: bytes | None

    @classmethod
    def of(cls, folder: Folder) -> Release | Finding:
        """What is in the folder, or what is wrong with it."""
        found, path = folder.find(layout.RELEASE), layout.ABANDONED
        if path not in found:
            return Finding(path, Fault.MISSING, "it is not there, and its signature is: restore it from a copy")
        raw: dict[str, bytes] = {}
        try:
            for path, entry in sorted(found.items()):
                raw[path] = read(entry, envelope.LIMIT)
            data = raw[layout.ABANDONED]
            return cls(folder.place, data, abandoned.read(data), raw.get(layout.ABANDONED_CERTIFICATE))
        except UnsafeError as error:
            return Finding(path, Fault.UNSAFE, str(error))
        except OSError as error:
            return Finding(path, Fault.INCOMPLETE, UNREADABLE.format(error.strerror))
        except ArchiveError as error:
            return Finding(layout.ABANDONED, Fault.NOT_TRUE, str(error))

    def finding(self, keys: Sequence[envelope.PublicKey], *, certified: bool) -> Finding | None:
        """What is wrong with the signature. `certified`: there has to be one."""
        path = layout.ABANDONED_CERTIFICATE
        if self.signature is None:
            text = "it is not there: restore it from a copy. None was made where the operator had no key"
            return Finding(path, Fault.MISSING, text) if certified else None
        try:
            opened = envelope.opened(self.signature, keys, path)
            abandoned.check(opened.payload, self.data, path)
        except ArchiveError as error:
            return Finding(path, Fault.NOT_TRUE, str(error))
        if keys and not opened.signed_by:
            text = (
                f"none of the {len(keys)} keys given has signed it: it is forged, altered, or signed with another key; "
                "give the public key that belongs to it"
            )
            return Finding(path, Fault.NOT_SIGNED, text)
        return None

    def told(self, keys: Mapping[str, tuple[str, envelope.PublicKey]]) -> str:
        """What it says, and who has signed it: `keys` are the files with public keys, by the ids of these."""
        agent, order = self.record.agent, self.record.abandoned
        said = (
            f"no archive: AIAgent {agent.namespace}/{agent.name} was released without one at "
            f"{texts.moment(order.time)}, by AgentAction {order.namespace}/{order.order} of {order.by}: {order.reason}"
        )
        if self.signature is None:
            return f"{said}; nobody has signed that"
        given = [key for _, key in keys.values()]
        ids = envelope.opened(self.signature, given, layout.ABANDONED_CERTIFICATE).signed_by
        whose = f"signed by {texts.some(keys[each][0] for each in ids)}" if ids else "who signed that was not checked"
        return f"{said}; {whose}"

    def to_wire(self) -> dict[str, Any]:
        """For -o json and yaml."""
        return self.record.model_dump(mode="json", by_alias=True, exclude_none=True)
