"""A throw-away certificate authority, the certificates of one control plane, and its account-signing key."""

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 30


class Authority:
    """Signs with a key that exists only in this process and in the control plane's own folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cert_file, self.key_file = folder / "ca.crt", folder / "ca.key"
        if self.key_file.exists():
            key = serialization.load_pem_private_key(self.key_file.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{self.key_file} is not an elliptic-curve key; remove the folder {folder}")
            self._key = key
            self._cert = x509.load_pem_x509_certificate(self.cert_file.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._cert = self._make_root()
        _write_key(self.key_file, self._key)
        self.cert_file.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str, hosts: Iterable[str]) -> tuple[Path, Path]:
        """Certificate and key of a server that answers under `hosts` (names or addresses)."""
        names = [_general_name(host) for host in hosts]
        return self._issue(name, [], x509.SubjectAlternativeName(names), ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, file: str, user: str, groups: Iterable[str] = ()) -> tuple[Path, Path]:
        """Certificate and key of a user, as the API server reads them: CN is the user, each O a group."""
        return self._issue(file, list(groups), None, ExtendedKeyUsageOID.CLIENT_AUTH, common_name=user)

    def signing_key(self, file: str) -> tuple[Path, Path]:
        """Public and private key that signs ServiceAccount tokens."""
        key = ec.generate_private_key(ec.SECP256R1())
        public, private = self.folder / f"{file}.pub", self.folder / f"{file}.key"
        _write_key(private, key)
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return public, private

    def _make_root(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcluster")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = _builder(name, name, self._key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _issue(
        self,
        file: str,
        groups: list[str],
        alternatives: x509.SubjectAlternativeName | None,
        usage: x509.ObjectIdentifier,
        *,
        common_name: str | None = None,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                # 64 is X.509's own bound on a common name; account names go beyond it and Go does not mind.
                x509.NameAttribute(NameOID.COMMON_NAME, common_name or file, _validate=False),
            ]
        )
        builder = _builder(subject, self._cert.subject, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        cert_file, key_file = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        _write_key(key_file, key)
        cert_file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cert_file, key_file


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks that jump back must not end a test run
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
