"""What became of a verification, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiagent_operator.api.tombstone import Tombstone
from aiagent_operator.cli import journal, output
from aiagent_operator.cli.archive.checking import Outcome
from aiagent_operator.core import texts
from aiagent_operator.core.archive import layout, told
from aiagent_operator.core.archive.findings import MOST_UNLISTED, Finding

Names = Mapping[str, str]
"""Files with public keys, by the ids of the keys."""


def say(outcome: Outcome, keys: Names, *, wide: bool) -> None:
    """One archive on some lines: the answer, what is wrong, and what holds; `wide` names each whole item."""
    about, report = outcome.about, outcome.report
    what = f": {about.archive} of AIAgent {about.agent.namespace}/{about.agent.name}" if about else ""
    output.say(f"{_word(outcome)}: {output.plain(outcome.place)}{output.plain(what)}")
    for finding in outcome.findings:
        output.say(f"  {output.plain(finding)}")
    if report is None or about is None:
        return
    if (more := report.unlisted - MOST_UNLISTED) > 0:
        output.say(f"  and {output.counted(more, 'file')} more that the manifest does not know")
    for name, text in _fields(outcome, keys):
        output.say(f"  {name + ':':14}{output.plain(text)}")
    if wide and report.whole:
        sizes = {item.path: item for item in about.items}
        rows = [(path, sizes[path].size, sizes[path].digest) for path in report.whole]
        output.table(("ITEM", "SIZE", "DIGEST"), rows, indent=2)


def _word(outcome: Outcome) -> str:
    if outcome.stands and outcome.report and outcome.report.purged:
        return "purged"
    return "whole" if outcome.whole else "not whole"


def _fields(outcome: Outcome, keys: Names) -> Iterator[tuple[str, str]]:
    report, about = outcome.report, outcome.about
    if report is None or about is None:
        return
    yield "manifest", report.manifest
    if report.purged:
        yield "purged", destroyed(report.purged)
    else:
        size = sum(item.size for item in about.items)
        yield "items", f"{len(report.whole)} of {len(about.items)} are what the manifest says ({size} bytes in all)"
    if report.erased:
        yield "erased", destroyed(report.erased)
    wrong = {finding.path for finding in outcome.findings}
    if report.signed_by:
        yield "certificate", f"signed by {texts.some(keys[key] for key in report.signed_by)}"
    elif layout.CERTIFICATE not in wrong:
        yield "certificate", "about this manifest; who signed it was not checked"
    if not report.purged:
        yield "journal", _journal(outcome)


def _journal(outcome: Outcome) -> str:
    about = outcome.about
    if about is None:
        return ""
    if outcome.journal:
        return journal.judged(outcome.journal.records, about.agent.uid, outcome.journal.head, outcome.journal.fault)
    gap = next((gap for gap in about.not_captured if gap.path == layout.JOURNAL), None)
    if gap:
        return f"not captured: {gap.reason}: {gap.message}"
    item = told.item(about)
    return "encrypted, and so not followed" if item and item.encrypted else "not read"


def destroyed(stone: Tombstone) -> str:
    """When, on whose order and why something was destroyed."""
    order = stone.order
    by = f"by AgentAction {order.name} of {order.by}" if order else "when its retention had ended"
    return f"{texts.moment(stone.at)}, {by}: {stone.reason}"


def to_wire(outcome: Outcome) -> dict[str, Any]:
    """For -o json and yaml."""
    about, report = outcome.about, outcome.report
    found: dict[str, Any] = {
        "place": text(outcome.place),
        "whole": outcome.whole,
        "findings": [_finding(each) for each in outcome.findings],
    }
    if report is None or about is None:
        return found
    found |= {
        "archive": about.archive,
        "agent": about.agent.model_dump(mode="json", by_alias=True),
        "manifest": report.manifest,
        "items": len(about.items),
        "wholeItems": list(report.whole),
        "unlisted": report.unlisted,
        "signedBy": list(report.signed_by),
    }
    if (chain := outcome.journal) is not None:
        head = {"sequence": chain.head.sequence, "digest": chain.head.digest}
        found["journal"] = {"whole": not chain.fault, "records": chain.records, "head": head}
    for name, stone in (("purged", report.purged), ("erased", report.erased)):
        if stone:
            found[name] = stone.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"items"})
    return found


def _finding(finding: Finding) -> dict[str, str]:
    return {"path": text(finding.path), "fault": finding.fault.value, "message": finding.message}


def text(name: str) -> str:
    """A file's name, of which bytes that are no UTF-8 are escaped."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")
