"""A signed envelope: DSSE v1 (https://github.com/secure-systems-lab/dsse), by one key that the administrator gives.

What is signed is the envelope's pre-authentication encoding, `DSSEv1 <length> <type> <length> <payload>`, so that bytes
of one type are never taken for those of another. Keys are PEM files: Ed25519 (RFC 8032) or ECDSA on P-256 with SHA-256
(FIPS 186-5). Whom a signature is of is decided by trying the keys given: the key id in an envelope is not signed, and
so is a hint and no more (DSSE, protocol.md).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import Field, StringConstraints
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from aiagent_operator.api.fields import Model
from aiagent_operator.core.archive import wire
from aiagent_operator.core.archive.errors import KeyFileError, SignatureError

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
"""Of every payload here (in-toto attestation framework v1, envelope layer)."""

LIMIT: Final = 48 * 1024**2
"""Bytes of an envelope that are read."""

_MOST_SIGNATURES: Final = 16
_LONGEST_SIGNATURE: Final = 1024
_LONGEST_PEM: Final = 16_384
_KINDS: Final = "give an Ed25519 or an ECDSA P-256 key as PEM"
_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs."""

    signer: CryptoSigner

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(self.signer.public_key)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies."""

    key: SSlibKey

    @property
    def key_id(self) -> str:
        """64 hex digits, made from the key (securesystemslib): the same wherever the key is."""
        return str(self.key.keyid)


class _Signature(Model):
    keyid: Annotated[str, StringConstraints(max_length=1024)] = ""
    sig: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_SIGNATURE)]


class _Envelope(Model):
    payload: str
    payload_type: Annotated[str, StringConstraints(max_length=256)]
    signatures: Annotated[tuple[_Signature, ...], Field(min_length=1, max_length=_MOST_SIGNATURES)]


@dataclass(frozen=True, slots=True)
class Opened:
    """The payload of an envelope, and the ids of those of the given keys that have signed it."""

    payload: bytes
    signed_by: tuple[str, ...]


def private_key(pem: bytes, what: str = "the signing key") -> PrivateKey:
    """The key in a PEM file (PKCS #8, or SEC 1 for ECDSA); `what` names it in errors. Raises KeyFileError."""
    _check_pem(pem, what)
    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise KeyFileError(f"{what} has a password: give it without one, in a Secret") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{what} is no private key: {_KINDS}") from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError(f"{what} is of another kind ({type(key).__name__}): {_KINDS}")
    _check_curve(key, what)
    return PrivateKey(CryptoSigner(key))


def public_key(pem: bytes, what: str = "the public key") -> PublicKey:
    """The key in a PEM file (SubjectPublicKeyInfo, RFC 5280); `what` names it in errors. Raises KeyFileError."""
    _check_pem(pem, what)
    if _PRIVATE.search(pem):
        raise KeyFileError(f"{what} is a private key: give the public one, `openssl pkey -in FILE -pubout`")
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{what} is no public key: {_KINDS}") from error
    if not isinstance(key, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey):
        raise KeyFileError(f"{what} is of another kind ({type(key).__name__}): {_KINDS}")
    _check_curve(key, what)
    return PublicKey(SSlibKey.from_crypto(key))


def sign(payload: bytes, key: PrivateKey) -> bytes:
    """The bytes of an envelope with the payload, signed by the key. Ed25519 gives the same bytes each time."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    signature = envelope.sign(key.signer)
    return wire.written(
        _Envelope(
            payload=base64.b64encode(payload).decode(),
            payload_type=PAYLOAD_TYPE,
            signatures=(_Signature(keyid=signature.keyid, sig=base64.b64encode(_raw(signature)).decode()),),
        )
    )


def opened(data: bytes, keys: Iterable[PublicKey], what: str) -> Opened:
    """The payload of the envelope, and which of the keys have signed it: perhaps none, which the caller has to judge.

    `what` names the file in errors. Raises ArchiveError for bytes that are no envelope of ours.
    """
    found = wire.read(data, _Envelope, what, limit=LIMIT)
    if found.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f'{what} has another payloadType than "{PAYLOAD_TYPE}": get the certificate itself')
    payload = _decoded(found.payload, f"payload of {what}")
    encoded = Envelope(payload, found.payload_type, {}).pae()
    signatures = [_decoded(each.sig, f"signatures.{n}.sig of {what}") for n, each in enumerate(found.signatures)]
    signed = {key.key_id for key in keys for signature in signatures if _holds(key, signature, encoded)}
    return Opened(payload, tuple(sorted(signed)))


def verified(data: bytes, keys: Iterable[PublicKey], what: str) -> Opened:
    """The payload of an envelope that at least one of the keys has signed. Raises SignatureError where none has."""
    known = tuple(keys)
    found = opened(data, known, what)
    if not found.signed_by:
        raise SignatureError(
            f"{what} is signed by none of the {len(known)} keys given: it is forged, altered, or signed with another "
            "key; give the public key that belongs to it"
        )
    return found


def _holds(key: PublicKey, signature: bytes, encoded: bytes) -> bool:
    try:
        key.key.verify_signature(Signature(key.key_id, signature.hex()), encoded)
    except UnverifiedSignatureError:
        return False
    return True


def _raw(signature: Signature) -> bytes:
    return bytes.fromhex(signature.signature)


def _decoded(text: str, what: str) -> bytes:
    """Standard base64 or the one for URLs: a DSSE reader must take both."""
    try:
        return base64.b64decode(text, altchars=b"-_" if {"-", "_"} & set(text) else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"{what} is no base64: get an undamaged copy") from error


def _check_pem(pem: bytes, what: str) -> None:
    if len(pem) > _LONGEST_PEM:
        raise KeyFileError(f"{what} has {len(pem)} bytes, and at most {_LONGEST_PEM} are read: {_KINDS}")


def _check_curve(key: object, what: str) -> None:
    curve = getattr(key, "curve", None)
    if curve is not None and not isinstance(curve, ec.SECP256R1):
        raise KeyFileError(f"{what} is on the curve {curve.name}: {_KINDS}")
