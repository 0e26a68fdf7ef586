"""Reads what is in an archive, and holds it against its manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from aiagent_operator.core.archive.findings import Fault, Finding, Report
from aiagent_operator.core.archive.layout import Folder
from aiagent_operator.core.archive.verify import Verifier
from aiagent_operator.runtime.archive.store import Store

# What somebody else has put beside an archive changes nothing of it: the manifest does not know it.
_HARMLESS: Final = (Fault.LEFT_OVER, Fault.UNLISTED, Fault.UNSAFE)
# Bytes beyond which a digest is computed in a thread: 8 MiB take 5 to 30 ms.
_LARGE: Final = 256 * 1024


async def read(store: Store, where: Folder, manifest_data: bytes, *, certified: bool = False) -> Report:
    """The report on all files that are there; of those that no manifest knows nothing is read. One chunk is in memory.

    `certified` asks for a certificate. Raises ArchiveError for a manifest that cannot be read, and StoreError.
    """
    verifier = Verifier(manifest_data, certified=certified)
    async for page in store.pages(where.prefix):
        for name in page:
            path = name.removeprefix(f"{where.prefix}/")
            check = verifier.begin(path)
            if verifier.most(path) is not None:
                async for chunk in store.chunks(name):
                    if len(chunk) > _LARGE:
                        await asyncio.to_thread(check.update, chunk)
                    else:
                        check.update(chunk)
            check.close()
    return verifier.report()


def wrong(report: Report) -> list[Finding]:
    """What is not as it was sealed."""
    return [finding for finding in report.findings if finding.fault not in _HARMLESS]


def told(findings: Iterable[Finding]) -> str:
    """The first finding, and how many more there are."""
    first, *rest = findings
    return f"{first}{f' and {len(rest)} more' if rest else ''}"
