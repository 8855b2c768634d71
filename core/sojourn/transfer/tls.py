"""Mutual TLS between two processes that know each other's certificate, and nothing else.

Each makes a key in memory, which never leaves it, and a certificate that signs itself. Published through a channel
that both trust, the certificate is pinned: no authority, no name and no other certificate is accepted.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sojourn.errors import InvalidInput

# Clocks of two clusters differ, and the key lives no longer than its process: dates are not what protects it.
_BEFORE = timedelta(days=365)
_AFTER = timedelta(days=3650)


# What is spoken once TLS has proved who is there (sealed.py).
_PROTOCOL = "sojourn-sealed/1"


class WrongCertificate(OSError):
    """The other side has a certificate, and it is not the one that was published for it."""


class WrongVersion(OSError):
    """The other side is the right one, and speaks another protocol."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its certificate (PEM)."""

    certificate: str
    key: bytes = field(repr=False)


def make_identity(name: str, now: datetime | None = None) -> Identity:
    """A new P-256 key and a certificate for it that says `name` (for people; nobody checks it)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def server_context(me: Identity, peer: str) -> ssl.SSLContext:
    """For the side that listens; `peer` is the other's certificate (PEM). Raises InvalidInput if that is none."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, me, peer)
    # Nobody resumes a session, and tickets would lie between the handshake and what follows it.
    context.num_tickets = 0
    return context


def client_context(me: Identity, peer: str) -> ssl.SSLContext:
    """For the side that dials."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, me, peer)


def check_pinned(connection: ssl.SSLSocket, peer: str) -> None:
    """Raise WrongCertificate unless the other side of an open connection has the very certificate `peer` (PEM)."""
    if connection.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(peer):
        raise WrongCertificate("the other side has not the certificate that was published for it")


def check_version(connection: ssl.SSLSocket) -> None:
    """Raise WrongVersion unless both sides speak the same protocol behind the handshake."""
    if connection.selected_alpn_protocol() != _PROTOCOL:
        raise WrongVersion(
            f"the other side's mover does not speak {_PROTOCOL}: it is of another version; upgrade the older cluster"
        )


def _context(protocol: int, me: Identity, peer: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([_PROTOCOL])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # The certificate is trusted itself, not as an authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=peer)
        ssl.PEM_cert_to_DER_cert(peer)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(f"the peer's certificate is not readable: {error}") from error
    _load_key(context, me)
    return context


def _load_key(context: ssl.SSLContext, me: Identity) -> None:
    # The ssl module loads keys from files only; this one is memory.
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, me.key + me.certificate.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
