"""Keys and certificates for tests of signatures, made in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from sojourn.signing.keys import Pem

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def new_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey, passphrase: str = "") -> Pem:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return Pem("private.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def public_pem(key: ec.EllipticCurvePrivateKey) -> Pem:
    return Pem("public.pem", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def certificate_pem(certificate: x509.Certificate) -> Pem:
    return Pem(f"{certificate.subject.rfc4514_string()}.pem", certificate.public_bytes(Encoding.PEM))


class Authority:
    """A certificate authority; `above` issues its certificate, else it does so itself."""

    def __init__(self, name: str = "root", above: Authority | None = None, since: datetime = NOON - YEAR) -> None:
        self.key = new_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.since = since
        self.certificate = (above or self).issue(self.name, self.key, is_authority=True)

    def issue(
        self,
        name: x509.Name | str,
        key: ec.EllipticCurvePrivateKey,
        *,
        is_authority: bool = False,
        until: datetime = NOON + 100 * YEAR,
        signs: bool = True,
    ) -> x509.Certificate:
        """A certificate; `signs` is whether it may be used for signatures."""
        if isinstance(name, str):
            name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=signs and not is_authority,
            key_cert_sign=is_authority,
            content_commitment=False,
            key_encipherment=not signs,
            data_encipherment=False,
            key_agreement=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
