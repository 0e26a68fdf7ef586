"""Archives for tests: one agent that has left, its files as they were stored, its manifest and its certificate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from aiagent_operator.api.archive import (
    ArchivedAgent,
    Gap,
    GapReason,
    JournalHead,
    LeaveReason,
    Lineage,
    Mode,
    Relative,
)
from aiagent_operator.api.decommission import Approval, Removed
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, payload, retention, wire
from aiagent_operator.core.archive.certificate import Ended
from aiagent_operator.core.archive.manifest import Leaving, Stored
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.journal import head
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.asked import Asking
from aiagent_operator.core.rights.rules import Right
from support import journals

UID = "5b6a0b9c-0c0e-4f5e-9a51-6d1f6a7f2f10"
ARCHIVE = "triage-20261122t100000z"
SEALED = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
DONE = SEALED + timedelta(minutes=5)

# Of RFC 8032, 7.1, test 1, as PKCS #8: a key that everybody knows signs the same bytes in every run.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
# The key of the examples, and of nothing else: it never changes, so that they stay the same.
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

AGENT = ArchivedAgent(
    namespace="crm",
    name="triage",
    uid=UID,
    role="customer-support",
    accountable=wire.digest(b"User product-owner@corp.example"),
)
CLAIMS = (
    Claim("AIAgent crm/triage spec.retirement.retention", timedelta(hours=52560)),
    Claim("AgentPolicy eu", timedelta(hours=26280)),
)
RECORDS = journals.sealed(journals.EXAMPLE, AgentIdentity(AGENT.namespace, AGENT.name, AGENT.uid))
HEAD = JournalHead(sequence=len(RECORDS), digest=head.digest(RECORDS[-1][1]))
REVISION = b'{"kind":"AgentRevision","spec":{"number":1}}\n'
FILES: Mapping[str, bytes] = {
    layout.SPEC: b'{"kind":"AIAgent","metadata":{"name":"triage"}}\n',
    layout.revision(1): REVISION,
    layout.evaluation("triage-1-eval-held-out"): b'{"kind":"AgentEvaluation","status":{"phase":"Successful"}}\n',
    layout.action(
        "3c1d2b7e-5b1f-4d0a-8a55-0a4f6c1f2e11", "suspend-triage"
    ): b'{"kind":"AgentAction","spec":{"action":"Suspend"}}\n',
    layout.RIGHTS: b'{"at":"2026-01-05T08:00:00Z","namespace":"crm","verbs":["get","list"],"resources":["tickets"]}\n',
    layout.JOURNAL: b"".join(raw + b"\n" for _, raw in RECORDS),
    layout.KPIS: b'{"name":"resolved","at":"2026-11-22T09:00:00Z","value":"0.93"}\n',
}
GAPS = (Gap(path=layout.MEMORY, reason=GapReason.FORBIDDEN, message="PersistentVolumeClaim crm/triage: no right"),)


def pem(key: Any) -> bytes:
    """A private key as a PEM file."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def public_pem(key: Any) -> bytes:
    """The public part of a private key as a PEM file."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
P256 = ec.derive_private_key(int.from_bytes(SEED) % 2**255, ec.SECP256R1())
SIGNER = envelope.private_key(pem(ED25519))
KEYS = (SIGNER.public,)


@dataclass(frozen=True)
class Archived:
    """An archive as it lies in its folder: the files by their paths, those about it too."""

    files: dict[str, bytes]

    @property
    def manifest(self) -> bytes:
        """The bytes of its manifest."""
        return self.files[layout.MANIFEST]

    def without(self, *paths: str) -> Archived:
        """The same, with some files removed."""
        return Archived({path: data for path, data in self.files.items() if path not in paths})

    def with_file(self, path: str, data: bytes) -> Archived:
        """The same, with one file added or replaced."""
        return Archived({**self.files, path: data})


def stored(files: Mapping[str, bytes] = FILES) -> list[Stored]:
    """The files as what was put into the store."""
    return [Stored(path, hashlib.sha256(data).hexdigest(), len(data)) for path, data in files.items()]


def encrypted(path: str, plain: bytes, identity: str = IDENTITY) -> tuple[Stored, bytes]:
    """A personal file as it was put into the store, and its bytes there."""
    how, pieces = payload.encryption(identity), bytearray()
    payload.encrypt([plain], pieces.extend, how)
    data = bytes(pieces)
    file = Stored(layout.encrypted(path), hashlib.sha256(data).hexdigest(), len(data), personal=True, encrypted=how)
    return file, data


def leaving(**changes: Any) -> Leaving:
    """The agent that left."""
    relative = Relative(namespace="crm", name="triage-v2", uid="0f0e0d0c-0b0a-4908-8706-050403020100")
    made = Leaving(AGENT, LeaveReason.REPLACED, Mode.PLANNED, Lineage(successor=relative), HEAD)
    return replace(made, **changes)


def ended(**changes: Any) -> Ended:
    """What is certified of it: one right that is gone, and one that reaches its name through a group."""
    revoked, asked = SEALED + timedelta(minutes=2), SEALED + timedelta(minutes=3)
    reason = 'RBAC: allowed by RoleBinding "everyone-reads/crm" of ClusterRole "view" to Group "system:authenticated"'
    made = Ended(
        completed_at=DONE,
        asked=(
            Asking("crm", Right("crm.example", "tickets", "get"), revoked, asked, allowed=True, reason=reason),
            Asking("crm", Right("crm.example", "refunds", "create"), revoked, asked, allowed=False),
        ),
        removed=(
            Removed(kind="RoleBinding", namespace="crm", name="aiagent.triage", gone_at=revoked),
            Removed(kind="ServiceAccount", namespace="crm", name="aiagent.triage", uid="a1", gone_at=revoked),
        ),
        approvals=(
            Approval(
                name="triage-offboard",
                uid="b2",
                function="Security",
                by="security@corp.example",
                at=SEALED - timedelta(hours=1),
                digest=wire.digest(b"what was shown"),
            ),
        ),
        location="s3://archives-eu/workforce/",
        verified_at=SEALED + timedelta(minutes=1),
    )
    return replace(made, **changes)


def archived(
    files: Mapping[str, bytes] = FILES, *, more: Mapping[Stored, bytes] | None = None, gaps: tuple[Gap, ...] = GAPS
) -> Archived:
    """A whole archive: items, sums, manifest and certificate."""
    more = more or {}
    items = [*stored(files), *more]
    data = manifest.seal(ARCHIVE, leaving(), items, gaps, retention.decide(CLAIMS, SEALED))
    found = {**files, **{file.path: content for file, content in more.items()}}
    found[layout.SUMS] = manifest.sums(manifest.read(data))
    found[layout.MANIFEST] = data
    found[layout.CERTIFICATE] = certificate.issue(data, ended(), SIGNER)
    return Archived(found)


FOLDER = Path(__file__).with_name("archived")
"""Files that the age of its specification's authors (age 1.1.1) has encrypted to the key above."""


def example() -> Archived:
    """The archive that docs/archives.md shows."""
    how = payload.encryption(IDENTITY)
    files = {path: FILES[path] for path in (layout.SPEC, layout.revision(1), layout.RIGHTS, layout.JOURNAL)}
    personal = {
        layout.encrypted(layout.MEMORY): (FOLDER / "memory.tar.age").read_bytes(),
        layout.encrypted(layout.log("triage-1-7d9f6c5b8-x2x9q", "app")): (FOLDER / "app.log.age").read_bytes(),
    }
    more = {replace(file, personal=True, encrypted=how): personal[file.path] for file in stored(personal)}
    gap = manifest.gap("decisions", GapReason.DEADLINE_EXCEEDED, "it could not be copied within 120 s")
    return archived(files, more=more, gaps=(gap,))
