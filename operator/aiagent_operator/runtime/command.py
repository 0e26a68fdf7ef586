"""The operator's command: without arguments it runs the operator; `archive import` rebuilds the index of archives."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from aiagent_operator.core import texts
from aiagent_operator.core.archive.errors import KeyFileError
from aiagent_operator.core.untrusted import line
from aiagent_operator.runtime import settings
from aiagent_operator.runtime.archive import described
from aiagent_operator.runtime.archive.config import ConfigError
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.archive.opening import opened
from aiagent_operator.runtime.client import Api, ApiError, NoClusterError
from aiagent_operator.runtime.rebuilding import Fate, Outcome, Rebuilding
from aiagent_operator.runtime.settings import Settings

if TYPE_CHECKING:
    from aiagent_operator.core.archive.envelope import PublicKey

NAME: Final = "aiagent-operator"

_LONGEST: Final = 2000
_LONGEST_KEY: Final = 65_536
_PEM: Final = re.compile(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----\s*", re.DOTALL)
# Seconds between two words of how far it is, where nothing else is said.
_PROGRESS: Final = 10.0
_BAD: Final = frozenset({Fate.REFUSED, Fate.DISPUTED, Fate.UNRECORDED})
_QUIET: Final = frozenset({Fate.THERE, Fate.UNFINISHED})


class Exit(IntEnum):
    """Exit codes, the same as those of `kubectl aiagent`."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    UNREACHABLE = 3


class _UsageError(Exception):
    """The command cannot be carried out as it was given; the message says what to write instead."""


def main() -> None:
    """Entry point of the process; see `Exit` for the exit status of commands, and `app.main` for the operator's."""
    if len(sys.argv) > 1:
        sys.exit(run(sys.argv[1:]))
    # It takes kopf and much else, which a command does without.
    from aiagent_operator.runtime import app  # noqa: PLC0415

    app.main()


def run(arguments: Sequence[str]) -> int:
    """Carries out one command; the exit status."""
    chosen = _parser().parse_args(arguments)
    try:
        return asyncio.run(_import(chosen, settings.load()))
    except (_UsageError, ConfigError, KeyFileError) as error:
        return _failed(error, Exit.USAGE)
    except NoClusterError as error:
        return _failed(error, Exit.UNREACHABLE)
    except StoreError as error:
        return _failed(f"{error}; begin again then, what is made already is left as it is", Exit.UNREACHABLE)
    except ApiError as error:
        hint = "run it in the operator's pod: only its account may make AgentArchives" if error.status == 403 else ""
        return _failed(f"the API server: {error}; {hint or 'begin again, what is made stays'}", Exit.UNREACHABLE)


def _parser() -> argparse.ArgumentParser:
    codes = (
        "Exit codes: 0 done; 1 something is refused, disputed or not in the store; 2 wrong usage; 3 no store or no API "
        "server."
    )
    whole = argparse.ArgumentParser(NAME, description="Without a command: runs the operator.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    about = commands.add_parser("archive", help="archives of agents that left")
    verbs = about.add_subparsers(required=True, metavar="COMMAND")
    text = "Make the AgentArchives that are missing from what is in the archive stores."
    rebuild = verbs.add_parser("import", help=text, description=text, epilog=codes)
    rebuild.add_argument("--store", metavar="NAME", help="look into this store alone; else into all")
    rebuild.add_argument(
        "--key",
        metavar="FILE",
        action="append",
        default=[],
        help="PEM file with public keys that may have signed certificates, beside the operator's own; - reads them "
        "from standard input; may be given several times",
    )
    rebuild.add_argument(
        "--uncertified",
        action="store_true",
        help="take archives without a certificate too: whoever could write to the store may have put them there",
    )
    rebuild.add_argument("--dry-run", action="store_true", help="read and verify everything, and write nothing")
    return whole


async def _import(chosen: argparse.Namespace, environment: Settings) -> int:
    if environment.archive_file is None:
        raise _UsageError("AIAGENT_ARCHIVE_FILE names no archive stores: run it in the operator's pod")
    stores = described.load(environment.archive_file)
    if chosen.store is not None and chosen.store not in stores.stores:
        raise _UsageError(f"--store {chosen.store} is none of {texts.some(stores.stores)}: name one of them")
    keys = _keys(chosen.key, stores)
    if not keys and not chosen.uncertified:
        raise _UsageError("there is no key that could have signed: give --key with the public one, or --uncertified")
    counts: Counter[Fate] = Counter()
    async with await Api.connect(connections=8, timeout=environment.request_timeout) as api:
        rebuilding = Rebuilding(
            api,
            keys,
            environment.namespace,
            dry_run=chosen.dry_run,
            uncertified=chosen.uncertified,
            watched=environment.watch_namespaces,
        )
        try:
            for name in [chosen.store] if chosen.store else stores.stores:
                await _from_store(rebuilding, stores, name, counts)
            async for name, outcome in rebuilding.unrecorded([chosen.store] if chosen.store else ()):
                counts[outcome.fate] += 1
                _said(name, outcome)
        finally:
            _say(_summary(counts))
    return Exit.FINDINGS if counts.keys() & _BAD else Exit.OK


async def _from_store(rebuilding: Rebuilding, stores: Described, name: str, counts: Counter[Fate]) -> None:
    store, said = opened(stores.stores[name]), time.monotonic()
    try:
        async for outcome in rebuilding.of(store):
            counts[outcome.fate] += 1
            if outcome.fate not in _QUIET:
                _said(name, outcome)
                said = time.monotonic()
            elif time.monotonic() - said > _PROGRESS:
                _say(f"{name}: {_summary(counts)} so far", sys.stderr)
                said = time.monotonic()
    finally:
        await store.close()


def _said(store: str, outcome: Outcome) -> None:
    _say(f"{outcome.fate.value}: {store}: {outcome.place}: {outcome.text}")


def _summary(counts: Counter[Fate]) -> str:
    found = [f"{counts[fate]} {fate.value}" for fate in Fate if counts[fate]]
    return ", ".join(found) or "no archives"


def _keys(names: Sequence[str], stores: Described) -> tuple[PublicKey, ...]:
    """The operator's own keys and those given. Raises KeyFileError, _UsageError."""
    own = (stores.signing_key.public,) if stores.signing_key else ()
    return (*own, *stores.former_keys, *(key for name in names for key in _read(name)))


def _read(name: str) -> Iterator[PublicKey]:
    from aiagent_operator.core.archive.envelope import public_key  # noqa: PLC0415 (its libraries take 10 MB)

    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(_LONGEST_KEY)
    except OSError as error:
        raise _UsageError(f"--key {name} cannot be read: {error.strerror}") from error
    for pem in _PEM.findall(data) or [data]:
        yield public_key(pem, f"--key {name}")


def _failed(error: object, code: Exit) -> int:
    _say(f"error: {error}", sys.stderr)
    return code


def _say(text: str, to: TextIO | None = None) -> None:
    """A line of the answer, without what would steer a terminal: names in a store may be anybody's."""
    stream = to or sys.stdout
    stream.write(f"{line(text, _LONGEST)}\n")
    stream.flush()
