"""The certificate of decommission: made of what was proved, signed, and held against the manifest that it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from aiagent_operator.api import meta
from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.decommission import (
    Answer,
    Approval,
    Asked,
    Decommission,
    Digests,
    Place,
    Removed,
    RevokedRight,
    Right,
    Statement,
    Subject,
)
from aiagent_operator.core.archive import envelope, layout, manifest, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.children import role
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.asked import Asking
from aiagent_operator.core.untrusted import line

LIMIT: Final = 32 * 1024**2
"""Bytes of a statement that are read."""

_LONGEST_REASON: Final = 1024
# What the RBAC authorizer gives as its reason (plugin/pkg/auth/authorizer/rbac).
_BINDING: Final = re.compile(r'allowed by ((?:Cluster)?RoleBinding) "([^"]{1,512})"')


@dataclass(frozen=True, slots=True)
class Ended:
    """What is certified beside what the manifest says.

    `asked`: one question for each right that the agent held. `removed`: its bindings and its account, seen gone.
    `location` is where the archive's prefix is, as a URI; `verified_at` when all of it was read back.
    """

    completed_at: datetime
    asked: tuple[Asking, ...]
    removed: tuple[Removed, ...]
    approvals: tuple[Approval, ...]
    location: str
    verified_at: datetime


def issue(manifest_data: bytes, ended: Ended, key: envelope.PrivateKey) -> bytes:
    """The bytes of `certificate.json`.

    Raises ArchiveError where it would say something untrue: a right that is still held through a binding of the
    agent's own or through nobody knows what, an answer from before the revocation, or an archive not read back.
    """
    return envelope.sign(statement(manifest_data, ended), key)


def statement(manifest_data: bytes, ended: Ended) -> bytes:
    """The bytes of the statement that is signed. Raises ArchiveError as `issue` does."""
    about = manifest.read(manifest_data)
    name = f"the certificate of {about.archive}"
    try:
        made = Statement(
            subject=(
                Subject(
                    name=layout.Layout(about.agent.uid, about.archive).key(layout.MANIFEST),
                    digest=Digests(sha256=wire.digest(manifest_data).removeprefix(wire.PREFIX)),
                ),
            ),
            predicate=Decommission(
                agent=about.agent,
                reason=about.reason,
                mode=about.mode,
                completed_at=ended.completed_at,
                asked=_as_whom(about),
                rights=tuple(sorted(map(_revoked, ended.asked), key=_order)),
                removed=ended.removed,
                approvals=ended.approvals,
                archive=_place(about, ended),
                not_captured=about.not_captured,
                journal=about.journal,
            ),
        )
    except ValidationError as error:
        raise ArchiveError(f"{name} cannot be made: {wire.faults(error)}: correct it") from error
    if fault := next(_faults(made.predicate, about), ""):
        raise ArchiveError(f"{name} would not be true: {fault}")
    data = wire.written(made)
    read(data, name)
    return data


def read(data: bytes, what: str = layout.CERTIFICATE) -> Statement:
    """The statement in the payload of a certificate; `what` names it in errors. Raises ArchiveError."""
    return wire.read(data, Statement, f"the payload of {what}", limit=LIMIT)


def named(found: Statement) -> str:
    """The digest of the manifest that a statement is about."""
    return wire.PREFIX + found.subject[0].digest.sha256


def faults(found: Statement, about: Manifest, digest: str) -> Iterator[str]:
    """What is wrong with a statement that should be about this manifest, whose bytes have this digest."""
    if (other := named(found)) != digest:
        yield f"it is about a manifest with the digest {other}, and this one has {digest}: get the certificate of this"
        return
    predicate = found.predicate
    for field, certified, archived in (
        ("agent", predicate.agent, about.agent),
        ("reason", predicate.reason, about.reason),
        ("mode", predicate.mode, about.mode),
        ("notCaptured", predicate.not_captured, about.not_captured),
        ("journal", predicate.journal, about.journal),
    ):
        if certified != archived:
            yield f"its {field} is not that of the manifest: do not trust it"
    yield from _faults(predicate, about)


def _faults(predicate: Decommission, about: Manifest) -> Iterator[str]:
    """What a certificate says that cannot be: also of one that carries a good signature."""
    expected = _as_whom(about)
    if predicate.asked != expected:
        yield f"the API server was not asked as {expected.user} with all its groups, so its answers prove nothing"
    account = ("ServiceAccount", about.agent.namespace, meta.account_name(about.agent.name))
    if predicate.rights and account not in {(each.kind, each.namespace, each.name) for each in predicate.removed}:
        yield f"removed has no {' '.join(account)}, whose rights these were: see that it is gone, and name it"
    size = sum(item.size for item in about.items)
    if (predicate.archive.items, predicate.archive.size) != (len(about.items), size):
        yield f"archive has another number of items or bytes than the manifest, which has {len(about.items)} and {size}"
    agent = AgentIdentity(about.agent.namespace, about.agent.name, about.agent.uid)
    for index, each in enumerate(predicate.rights):
        yield from _untrue(each, agent, f"rights.{index} ({each.right.verb} {each.right.resource})")
    for field, at in (("archive.verifiedAt", predicate.archive.verified_at), *_times(predicate)):
        if at > predicate.completed_at:
            yield f"{field} is after completedAt: certify what is done"
    if predicate.archive.verified_at < about.created:
        yield "archive.verifiedAt is before the archive was sealed: read it back after that"


def _untrue(revoked: RevokedRight, agent: AgentIdentity, where: str) -> Iterator[str]:
    namespace, residual = revoked.right.namespace, revoked.residual
    if revoked.answer.at < revoked.revoked_at:
        yield f"{where} was asked for before it was revoked: ask again"
    if revoked.answer.allowed != (residual is not None):
        yield f"{where} is allowed if and only if something lets it through: revoke it, or name the binding"
    if residual == f'RoleBinding "{role.name_in(agent, namespace)}/{namespace}"':
        yield f"{where} is still allowed by {residual}, which is the agent's own: delete it, and ask again"


def _times(predicate: Decommission) -> Iterator[tuple[str, datetime]]:
    for index, right in enumerate(predicate.rights):
        yield f"rights.{index}.answer.at", right.answer.at
    for index, gone in enumerate(predicate.removed):
        yield f"removed.{index}.goneAt", gone.gone_at


def _as_whom(about: Manifest) -> Asked:
    agent = about.agent
    return Asked(user=meta.username(agent.namespace, agent.name), groups=meta.user_groups(agent.namespace))


def _place(about: Manifest, ended: Ended) -> Place:
    return Place(
        location=ended.location,
        items=len(about.items),
        size=sum(item.size for item in about.items),
        verified_at=ended.verified_at,
    )


def _revoked(asking: Asking) -> RevokedRight:
    return RevokedRight(
        right=Right(
            namespace=asking.namespace,
            api_group=asking.right.group,
            resource=asking.right.resource,
            verb=asking.right.verb,
            name=asking.right.name,
        ),
        revoked_at=asking.revoked_at,
        answer=Answer(at=asking.asked_at, allowed=asking.allowed, reason=line(asking.reason, _LONGEST_REASON)),
        residual=_residual(asking),
    )


def _residual(asking: Asking) -> str | None:
    """What lets a right through to the agent's name: the binding, else what another authorizer gave as its reason."""
    if not asking.allowed:
        return None
    found = _BINDING.search(asking.reason)
    return line(f'{found[1]} "{found[2]}"' if found else asking.reason, _LONGEST_REASON) or None


def _order(revoked: RevokedRight) -> tuple[str, ...]:
    right = revoked.right
    return right.namespace, right.api_group, right.resource, right.verb, right.name or ""
