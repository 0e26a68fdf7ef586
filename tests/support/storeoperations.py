"""What is done to an archive store while an agent leaves, by kinds: a verb, and where, without what differs from run to
run; and the operator's death at the first operation of a kind."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from aiagent_operator.core.archive import layout
from support.operator import OperatorProcess
from support.proxy import When
from support.storeproxy import Kill, StoreProxy

READS = ("GET", "HEAD", "LIST")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ATTEMPT = re.compile(r"[0-9a-f]{32}")
_RECORD = re.compile(r"([0-9]{12})\.json")


@dataclass(frozen=True)
class About:
    """One agent: what names of its objects have, one text or the other, and how many records its journal had before
    it was told to leave."""

    texts: tuple[str, ...]
    told: int = 0


def kind(method: str, path: str, about: About) -> str:
    """The kind of a request, with its query, where it is about the agent; else empty."""
    address, _, query = path.partition("?")
    asked = parse_qs(query, keep_blank_values=True)
    _, _, name = unquote(address).lstrip("/").partition("/")
    listed = asked.get("prefix", [""])[0]
    if not any(each in name or each in listed for each in about.texts):
        return ""
    if listed:
        return f"LIST {_place(listed, about)}"
    part = asked.get("partNumber", [""])[0]
    verb = "BEGIN" if "uploads" in asked else f"PART {part}" if part else "COMPLETE" if "uploadId" in asked else method
    return f"{verb} {_place(name, about)}"


def _place(name: str, about: About) -> str:
    parts = name.strip("/").split("/")
    if parts[0] == layout.ROOT and len(parts) > 2:
        parts[2] = "<archive>"
    if parts[0] == layout.DECISIONS:
        parts[1:3] = ["<namespace>", "<agent>"][: len(parts) - 1]
    if layout.HANDBOOK in parts and parts[-1].endswith(layout.ENCRYPTED):
        parts[-1] = "<handbook>"
    if layout.ACTIONS in parts and parts[-1].endswith(".json"):
        parts[-1] = "<order>"
    return "/".join(_part(part, before, about) for part, before in zip(parts, ("", *parts), strict=False))


def _part(part: str, before: str, about: About) -> str:
    if _UID.fullmatch(part):
        return "<uid>"
    if _ATTEMPT.fullmatch(part):
        return "<attempt>"
    if record := _RECORD.fullmatch(part):
        number = int(record[1]) - about.told
        return f"<record {number}>" if number > 0 else "<record>"
    if before == layout.LOGS:
        return "<pod>"
    if before == layout.CAPTURED:
        # A slash in the path of the item that it is about.
        return part.partition("_2f")[0]
    return part


def kinds(requests: Iterable[tuple[str, str]], about: About) -> list[str]:
    """The kinds of these requests, each once, in the order in which they came first."""
    return list(dict.fromkeys(filter(None, (kind(method, path, about) for method, path in requests))))


def is_read(operation: str) -> bool:
    """Whether an operation of this kind changes nothing."""
    return operation.partition(" ")[0] in READS


class Fate:
    """The operator dies at the first operation of each kind that is about the agent and that no other operator has died
    at, before it is passed on or after it has been carried out, where that kind is `deadly`."""

    def __init__(
        self, operator: OperatorProcess, proxy: StoreProxy, about: About, when: When, deadly: Callable[[str], bool]
    ) -> None:
        self.died_at: list[str] = []
        self._operator, self._proxy, self._about, self._when, self._deadly = operator, proxy, about, when, deadly

    def awaits(self, *only: str) -> threading.Event:
        """From now on, once; set when the operator is dead. `only`: operations of these kinds."""
        dead = threading.Event()
        met: list[str] = []

        def matches(method: str, path: str) -> bool:
            found = kind(method, path, self._about)
            if not found or not self._deadly(found) or found in self.died_at or (only and found not in only):
                return False
            met.append(found)
            return True

        def kill() -> None:
            self._operator.kill9()
            self.died_at.append(met[0])
            dead.set()

        self._proxy.heal()
        self._proxy.inject_where(Kill(kill, after=self._when is When.AFTER), matches, times=1)
        return dead
