"""An archive as a person wants to know it: who left and why, what is kept and until when, and which rights ended."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api.archive import Item, Manifest, Relative
from aiagent_operator.api.decommission import Decommission, RevokedRight
from aiagent_operator.cli import output
from aiagent_operator.cli.archive.shown import Shown
from aiagent_operator.cli.archive.verdict import destroyed
from aiagent_operator.cli.sections import heading
from aiagent_operator.core import texts

OVERVIEW = ("ARCHIVE", "AGENT", "REASON", "MODE", "CREATED", "KEPT UNTIL", "PLACE")


def row(shown: Shown) -> tuple[Any, ...]:
    """The archive in one line of a table."""
    about = shown.about
    who, until = f"{about.agent.namespace}/{about.agent.name}", texts.moment(about.retention.until)
    return about.archive, who, about.reason, about.mode, texts.moment(about.created), until, shown.place


def say(shown: Shown) -> None:
    """All of it."""
    for name, value in _head(shown).items():
        if value:
            output.say(f"{name + ':':14}{output.plain(value)}")
    if shown.problems:
        heading("Not as it should be")
        for problem in shown.problems:
            output.say(f"  {output.plain(problem)}")
    _items(shown.about)
    if shown.certified:
        _certificate(shown.certified.predicate)


def _head(shown: Shown) -> dict[str, str]:
    about = shown.about
    agent, kept, journal = about.agent, about.retention, about.journal
    return {
        "Archive": about.archive,
        "Agent": f"{agent.namespace}/{agent.name} (UID {agent.uid})",
        "Role": agent.role,
        "Accountable": f"{agent.accountable} (digest of the accountable owner)",
        "Left": f"{about.reason}, {about.mode}",
        "Sealed": texts.moment(about.created),
        "Predecessor": _relative(about.lineage.predecessor),
        "Successor": _relative(about.lineage.successor),
        "Formerly": _relative(about.lineage.former),
        "Kept until": f"{texts.moment(kept.until)} ({kept.duration}), as {' and '.join(kept.sources)} asks",
        "Journal": f"{output.counted(journal.sequence, 'record')}, up to {journal.digest}" if journal else "",
        "Manifest": shown.digest,
        "Erased": destroyed(shown.erased) if shown.erased else "",
        "Purged": destroyed(shown.purged) if shown.purged else "",
        "Certificate": "" if shown.certified else "none that can be read",
    }


def _relative(relative: Relative | None) -> str:
    if relative is None:
        return ""
    archive = f", archive {relative.archive}" if relative.archive else ""
    return f"{relative.namespace}/{relative.name} (UID {relative.uid}{archive})"


def _items(about: Manifest) -> None:
    heading("Items")
    rows = [(item.path, item.size, _yes(item.personal), _key(item)) for item in about.items]
    output.table(("PATH", "BYTES", "PERSONAL", "ENCRYPTED FOR"), rows, indent=2)
    if about.not_captured:
        heading("Not captured")
        gaps = [(gap.path, gap.reason, gap.message) for gap in about.not_captured]
        output.table(("PATH", "REASON", "MESSAGE"), gaps, indent=2)


def _yes(holds: bool) -> str:
    # Not in the colours of "yes" and "no", which are good and bad.
    return "personal" if holds else ""


def _key(item: Item) -> str:
    return item.encrypted.key_id if item.encrypted else ""


def _certificate(ended: Decommission) -> None:
    heading("Certificate")
    place = ended.archive
    fields = {
        "Completed": texts.moment(ended.completed_at),
        "Read back": f"{texts.moment(place.verified_at)}, in {place.location}",
        "Asked as": f"{ended.asked.user}, with {', '.join(ended.asked.groups)}",
    }
    for name, value in fields.items():
        output.say(f"  {name + ':':14}{output.plain(value)}")
    heading("Rights that it held")
    residual = sum(each.residual is not None for each in ended.rights)
    rows = [(*_right(each), texts.moment(each.revoked_at), _now(each)) for each in ended.rights]
    output.table(("RIGHT", "IN", "REVOKED", "ASKED AGAIN"), rows, indent=2)
    output.say(f"  {output.counted(len(ended.rights), 'right')} held, all of them revoked, {residual} residual")
    heading("Removed")
    gone = [(each.kind, each.namespace, each.name, texts.moment(each.gone_at)) for each in ended.removed]
    output.table(("KIND", "NAMESPACE", "NAME", "SEEN GONE"), gone, indent=2)
    if ended.approvals:
        heading("Approved")
        rows_of = [(each.function, each.by, texts.moment(each.at), each.name) for each in ended.approvals]
        output.table(("FUNCTION", "BY", "AT", "AGENTAPPROVAL"), rows_of, indent=2)


def _right(each: RevokedRight) -> tuple[str, str]:
    right = each.right
    what = f"{right.resource}.{right.api_group}" if right.api_group else right.resource
    return f"{right.verb} {what}{f' {right.name}' if right.name else ''}", right.namespace or "all namespaces"


def _now(each: RevokedRight) -> str:
    return f"residual: {each.residual}" if each.residual else "refused"


def to_wire(shown: Shown) -> dict[str, Any]:
    """For -o json and yaml: the documents as they are."""
    models = {
        "manifest": shown.about,
        "certificate": shown.certified,
        "erasure": shown.erased,
        "tombstone": shown.purged,
    }
    documents = {
        name: model.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, model in models.items()
        if model is not None
    }
    return {"digest": shown.digest, **documents, "problems": list(shown.problems)}
