"""The certificate of decommission and its envelope: what is signed, by whom, and what is never certified."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import meta
from aiagent_operator.api.decommission import Removed, Statement
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, wire
from aiagent_operator.core.archive.errors import ArchiveError, KeyFileError, SignatureError
from aiagent_operator.core.rights.asked import Asking
from aiagent_operator.core.rights.rules import Right
from support import archives
from support.archives import DONE, ED25519, P256, SEALED, SIGNER, ended

WHOLE = archives.archived()
ABOUT = manifest.read(WHOLE.manifest)
SECOND = timedelta(seconds=1)
KINDS = pytest.mark.parametrize("key", [ED25519, P256], ids=["Ed25519", "P-256"])


def made(**changes: Any) -> Statement:
    return certificate.read(certificate.statement(WHOLE.manifest, ended(**changes)))


def test_it_is_an_intoto_statement_about_the_manifest() -> None:
    content = json.loads(certificate.statement(WHOLE.manifest, ended()))
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == "https://workforce.dev/decommission/v1"
    (subject,) = content["subject"]
    assert subject["name"] == f"archives/{archives.UID}/{archives.ARCHIVE}/manifest.json"
    assert f"sha256:{subject['digest']['sha256']}" == wire.digest(WHOLE.manifest)


def test_it_says_every_right_and_by_which_binding_one_still_reaches_the_name() -> None:
    gone, through = made().predicate.rights
    assert (gone.right.verb, gone.answer.allowed, gone.residual) == ("create", False, None)
    assert (through.right.verb, through.answer.allowed) == ("get", True)
    assert through.residual == 'RoleBinding "everyone-reads/crm"'
    assert made().predicate.asked.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:crm",
        "system:authenticated",
    )


def test_it_says_who_agreed_where_the_archive_is_what_is_missing_and_where_the_journal_ends() -> None:
    predicate = made().predicate
    assert [approval.by for approval in predicate.approvals] == ["security@corp.example"]
    assert (predicate.archive.location, predicate.archive.items) == ("s3://archives-eu/workforce/", len(ABOUT.items))
    assert predicate.archive.size == sum(item.size for item in ABOUT.items)
    assert predicate.not_captured == ABOUT.not_captured
    assert predicate.journal == ABOUT.journal


@given(st.permutations(ended().asked))
def test_the_same_answers_in_any_order_are_the_same_bytes(asked: list[Asking]) -> None:
    assert certificate.issue(WHOLE.manifest, ended(asked=tuple(asked)), SIGNER) == WHOLE.files[layout.CERTIFICATE]


def asking(**changes: Any) -> tuple[Asking, ...]:
    first, second = ended().asked
    return (replace(first, **changes), second)


OWN = (
    'RBAC: allowed by RoleBinding "aiagent.triage/crm" of Role "aiagent.triage" to ServiceAccount "aiagent.triage/crm"'
)
UNTRUE: dict[str, tuple[dict[str, Any], str]] = {
    "a right through the agent's own binding": ({"asked": asking(reason=OWN)}, "which is the agent's own: delete it"),
    "a right through nobody knows what": ({"asked": asking(reason="")}, "revoke it, or name the binding"),
    "an answer from before": ({"asked": asking(asked_at=SEALED)}, "was asked for before it was revoked"),
    "an answer from after": ({"asked": asking(asked_at=DONE + SECOND)}, r"rights\.1\.answer\.at is after completedAt"),
    "an account that nobody saw gone": (
        {"removed": (Removed(kind="RoleBinding", namespace="crm", name="aiagent.triage", gone_at=SEALED),)},
        "removed has no ServiceAccount crm aiagent.triage",
    ),
    "read back before it was sealed": ({"verified_at": SEALED - SECOND}, "read it back after that"),
    "read back after all": ({"verified_at": DONE + SECOND}, "archive.verifiedAt is after completedAt"),
    "nowhere": ({"location": ""}, r"location"),
}


@pytest.mark.parametrize(("changes", "message"), UNTRUE.values(), ids=UNTRUE)
def test_what_is_not_true_is_not_certified(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        certificate.issue(WHOLE.manifest, ended(**changes), SIGNER)


def test_the_binding_in_another_namespace_is_known_by_the_hash_in_its_name() -> None:
    name = meta.foreign_name("triage", archives.UID)
    mine = asking(namespace="shop", reason=f'RBAC: allowed by RoleBinding "{name}/shop" of Role "{name}" to ...')
    with pytest.raises(ArchiveError, match="which is the agent's own"):
        certificate.issue(WHOLE.manifest, ended(asked=mine), SIGNER)
    others = asking(namespace="shop", reason='RBAC: allowed by RoleBinding "aiagent.triage/shop" of Role "x" to ...')
    assert 'RoleBinding "aiagent.triage/shop"' in {right.residual for right in made(asked=others).predicate.rights}


def test_what_another_authorizer_says_is_named_as_it_is_on_one_line() -> None:
    first, _ = sorted(
        made(asked=asking(reason="webhook:\n\x1byes")).predicate.rights, key=lambda each: not each.residual
    )
    assert first.residual == "webhook: \\u001byes"
    assert first.answer.reason == "webhook: \\u001byes"


def test_an_agent_without_rights_needs_no_account() -> None:
    assert made(asked=(), removed=()).predicate.rights == ()


def test_as_many_rights_as_an_agent_may_hold_can_be_certified() -> None:
    moment = SEALED + SECOND
    asked = tuple(Asking(f"ns-{n}", Right("g", "r", "get"), moment, moment, allowed=False) for n in range(512))
    data = certificate.issue(WHOLE.manifest, ended(asked=asked), SIGNER)
    assert len(certificate.read(envelope.verified(data, archives.KEYS, "it").payload).predicate.rights) == 512


OTHERS: dict[str, dict[str, Any]] = {
    "agent": {"agent": {**json.loads(WHOLE.manifest)["agent"], "name": "other"}},
    "reason": {"reason": "Incident"},
    "mode": {"mode": "Emergency"},
    "notCaptured": {"notCaptured": []},
    "journal": {"journal": {"sequence": 40, "digest": "sha256:" + "0" * 64}},
}


@pytest.mark.parametrize("field", OTHERS)
def test_also_with_a_good_signature_it_has_to_agree_with_the_manifest(field: str) -> None:
    content = json.loads(certificate.statement(WHOLE.manifest, ended()))
    content["predicate"].update(OTHERS[field])
    found = certificate.read(json.dumps(content).encode())
    expected = f"its {field} is not that of the manifest: do not trust it"
    assert expected in set(certificate.faults(found, ABOUT, wire.digest(WHOLE.manifest)))


@pytest.mark.parametrize(
    ("residual", "message"),
    [
        ('RoleBinding "aiagent.triage/crm"', "which is the agent's own"),
        (None, "if and only if something lets it through"),
    ],
)
def test_also_with_a_good_signature_it_has_to_be_true(residual: str | None, message: str) -> None:
    content = json.loads(certificate.statement(WHOLE.manifest, ended()))
    content["predicate"]["rights"][1]["residual"] = residual
    found = certificate.read(json.dumps(content).encode())
    (fault,) = certificate.faults(found, ABOUT, wire.digest(WHOLE.manifest))
    assert message in fault


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("asked", {"user": "system:serviceaccount:crm:aiagent.triage", "groups": ["system:authenticated"]}, "all its"),
        ("asked", {"user": "somebody", "groups": list(meta.user_groups("crm"))}, "was not asked as system:service"),
        ("archive", {**made().predicate.archive.model_dump(mode="json", by_alias=True), "items": 6}, "has 7 and"),
        ("archive", {**made().predicate.archive.model_dump(mode="json", by_alias=True), "size": 1}, "has 7 and"),
    ],
)
def test_who_was_asked_and_what_was_archived_have_to_be_those_of_the_manifest(
    field: str, value: dict[str, Any], message: str
) -> None:
    content = json.loads(certificate.statement(WHOLE.manifest, ended()))
    content["predicate"][field] = value
    (fault,) = certificate.faults(certificate.read(json.dumps(content).encode()), ABOUT, wire.digest(WHOLE.manifest))
    assert message in fault


def test_one_that_is_about_another_manifest_says_which() -> None:
    (fault,) = certificate.faults(made(), ABOUT, "sha256:" + "0" * 64)
    assert fault.startswith(f"it is about a manifest with the digest {wire.digest(WHOLE.manifest)}")


STATEMENTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "of another type": lambda content: content.update(_type="https://in-toto.io/Statement/v0.1"),
    "of another predicate": lambda content: content.update(predicateType="https://slsa.dev/provenance/v1"),
    "about nothing": lambda content: content.update(subject=[]),
    "about two things": lambda content: content.update(subject=content["subject"] * 2),
    "without a digest": lambda content: content["subject"][0].pop("digest"),
    "without a predicate": lambda content: content.pop("predicate"),
    "with rights as text": lambda content: content["predicate"].update(rights="all"),
}


@pytest.mark.parametrize("change", STATEMENTS.values(), ids=STATEMENTS)
def test_statements_of_another_kind_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(certificate.statement(WHOLE.manifest, ended()))
    change(content)
    with pytest.raises(ArchiveError, match=r"the payload of certificate\.json cannot be read"):
        certificate.read(json.dumps(content).encode())


@KINDS
def test_what_a_key_signs_its_public_part_alone_verifies(key: Any) -> None:
    public = envelope.public_key(archives.public_pem(key))
    data = envelope.sign(b'{"a": 1}', envelope.private_key(archives.pem(key)))
    assert envelope.verified(data, [public], "it") == envelope.Opened(b'{"a": 1}', (public.key_id,))


@KINDS
def test_openssl_verifies_the_signature_over_the_encoding_of_the_specification(key: Any, tmp_path: Path) -> None:
    payload = WHOLE.manifest
    found = json.loads(envelope.sign(payload, envelope.private_key(archives.pem(key))))
    assert base64.b64decode(found["payload"]) == payload
    kind = b"application/vnd.in-toto+json"
    (tmp_path / "pae").write_bytes(b"DSSEv1 28 %s %d %s" % (kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(found["signatures"][0]["sig"]))
    (tmp_path / "key").write_bytes(archives.public_pem(key))
    raw = ["pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "pae", "-sigfile", "sig"]
    dgst = ["dgst", "-sha256", "-verify", "key", "-signature", "sig", "pae"]
    command = ["openssl", *(raw if key is ED25519 else dgst)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "pae").write_bytes(b"DSSEv1 28 %s %d %s " % (kind, len(payload), payload))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_the_example_of_the_dsse_specification_has_its_encoding() -> None:
    found = envelope.Envelope(b"hello world", "http://example.com/HelloWorld", {})
    assert found.pae() == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def enveloped(**changes: Any) -> bytes:
    return json.dumps({**json.loads(WHOLE.files[layout.CERTIFICATE]), **changes}).encode()


def test_the_key_id_in_an_envelope_is_a_hint_that_nothing_is_decided_by() -> None:
    (signature,) = json.loads(WHOLE.files[layout.CERTIFICATE])["signatures"]
    for keyid in ("", "somebody", None):
        entry = {"sig": signature["sig"]} if keyid is None else {"sig": signature["sig"], "keyid": keyid}
        found = envelope.verified(enveloped(signatures=[entry]), archives.KEYS, "it")
        assert found.signed_by == (archives.KEYS[0].key_id,)


def test_one_good_signature_among_others_is_enough_and_names_its_key() -> None:
    other = json.loads(envelope.sign(b"other", envelope.private_key(archives.pem(P256))))["signatures"]
    mine = json.loads(WHOLE.files[layout.CERTIFICATE])["signatures"]
    public = envelope.public_key(archives.public_pem(P256))
    found = envelope.verified(enveloped(signatures=[*other, *mine]), [public, *archives.KEYS], "it")
    assert found.signed_by == (archives.KEYS[0].key_id,)


FORGED: dict[str, tuple[bytes, str]] = {
    "another payload": (enveloped(payload="e30="), "signed by none of the 1 keys given"),
    "another type": (enveloped(payloadType="text/plain"), "another payloadType"),
    "no signature": (enveloped(signatures=[]), "signatures: "),
    "too many signatures": (enveloped(signatures=[{"sig": "AA=="}] * 17), "signatures: "),
    "a signature that is none": (enveloped(signatures=[{"sig": "AAAA"}]), "signed by none"),
    "a signature that is no base64": (enveloped(signatures=[{"sig": "%"}]), r"signatures\.0\.sig of it is no base64"),
    "a signature as a number": (enveloped(signatures=[{"sig": 1}]), r"signatures\.0\.sig: "),
    "a payload that is no base64": (enveloped(payload="e3"), "payload of it is no base64"),
    "a payload that is no ASCII": (enveloped(payload="é"), "payload of it is no base64"),
    "no envelope": (b"{}", "payload: Field required"),
    "no JSON": (b"-----BEGIN", "it is not JSON"),
}


@pytest.mark.parametrize(("data", "message"), FORGED.values(), ids=FORGED)
def test_forged_envelopes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        envelope.verified(data, archives.KEYS, "it")


def test_without_a_key_nothing_is_verified() -> None:
    with pytest.raises(SignatureError, match="none of the 0 keys"):
        envelope.verified(WHOLE.files[layout.CERTIFICATE], (), "it")


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_a_signature_is_good_for_one_payload_only(one: bytes, other: bytes) -> None:
    content = json.loads(envelope.sign(one, SIGNER))
    content["payload"] = base64.b64encode(other).decode()
    found = envelope.opened(json.dumps(content).encode(), archives.KEYS, "it")
    assert bool(found.signed_by) == (one == other)


def test_base64_for_urls_is_read_too() -> None:
    payload = bytes(range(256))
    content = json.loads(envelope.sign(payload, SIGNER))
    content["payload"] = base64.urlsafe_b64encode(payload).decode()
    assert envelope.verified(json.dumps(content).encode(), archives.KEYS, "it").payload == payload


def locked() -> bytes:
    encryption = serialization.BestAvailableEncryption(b"x")
    return ED25519.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


P384 = ec.derive_private_key(7, ec.SECP384R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # Small, since it is refused anyway.
PRIVATE = {
    "a password": (locked, "the key has a password"),
    "another curve": (lambda: archives.pem(P384), "the key is on the curve secp384r1"),
    "RSA": (lambda: archives.pem(RSA), "the key is of another kind"),
    "Ed448": (lambda: archives.pem(ed448.Ed448PrivateKey.generate()), "the key is of another kind"),
    "a public key": (lambda: archives.public_pem(ED25519), "the key is no private key"),
    "nothing": (lambda: b"", "the key is no private key"),
    "too much": (lambda: b"x" * 20_000, "the key has 20000 bytes"),
}
PUBLIC = {
    "a private key": (lambda: archives.pem(ED25519), "the key is a private key: give the public one"),
    "another curve": (lambda: archives.public_pem(P384), "the key is on the curve secp384r1"),
    "RSA": (lambda: archives.public_pem(RSA), "the key is of another kind"),
    "nothing": (lambda: b"", "the key is no public key"),
    "too much": (lambda: b"x" * 20_000, "the key has 20000 bytes"),
}


@pytest.mark.parametrize(("pem", "message"), PRIVATE.values(), ids=PRIVATE)
def test_keys_that_cannot_sign_are_refused(pem: Callable[[], bytes], message: str) -> None:
    with pytest.raises(KeyFileError, match=message) as caught:
        envelope.private_key(pem(), "the key")
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize(("pem", "message"), PUBLIC.values(), ids=PUBLIC)
def test_keys_that_cannot_verify_are_refused(pem: Callable[[], bytes], message: str) -> None:
    with pytest.raises(KeyFileError, match=message):
        envelope.public_key(pem(), "the key")
