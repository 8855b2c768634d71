"""Who signs, and who is trusted: keys and certificates in PEM files.

The format allows ECDSA on the curves P-256, P-384 and P-521, each with the SHA-2 of its size, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sojourn.errors import InvalidInput
from sojourn.signing.bundle import Bundle, signed_bytes
from sojourn.signing.certificates import check_chain, check_validity, name_of
from sojourn.signing.errors import BadSignature
from sojourn.signing.statement import Statement

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_MAKE_ONE = "Make one with: openssl ecparam -name prime256v1 -genkey -noout -out private.pem"


class NeedsPassphrase(InvalidInput):
    """The private key is encrypted, and no passphrase was given."""


@dataclass(frozen=True, slots=True)
class Pem:
    """A PEM file's bytes and its name for errors."""

    source: str
    data: bytes


@dataclass(frozen=True)
class Signer:
    """A private key, and the certificates that speak for it (its own first), if it has any."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def name(self) -> str:
        """For people: the certificate's subject, or the beginning of the key's SHA-256."""
        return name_of(self.chain[0]) if self.chain else key_name(self.key.public_key())

    def sign(self, statement: Statement) -> Bundle:
        """The statement with a signature."""
        payload = statement.to_bytes()
        signature = self.key.sign(signed_bytes(payload), ec.ECDSA(_HASHES[self.key.curve.name]))
        if self.chain:
            chain = tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain)
            return Bundle(payload, signature, chain=chain)
        return Bundle(payload, signature, hint=_hint(self.key.public_key()))


@dataclass(frozen=True)
class Trust:
    """Whose signatures count: those of any of these keys, or of a certificate that one of these roots vouches for."""

    keys: tuple[ec.EllipticCurvePublicKey, ...]
    roots: tuple[x509.Certificate, ...] = ()

    def check(self, bundle: Bundle, *, now: datetime, source: str) -> str:
        """Who signed, after the signature was verified.

        Args:
            now: when certificates must be valid.
            source: names the signature in errors.

        Raises:
            BadSignature: nobody who is trusted made this signature, or it was changed.
        """
        for key in self.keys:
            if _holds(key, bundle):
                return key_name(key)
        if bundle.chain and self.roots:
            signer = check_chain(bundle.chain, self.roots, now, source)
            key = _elliptic(signer.public_key(), f"the certificate of {name_of(signer)} in {source}")
            if _holds(key, bundle):
                return name_of(signer)
            raise BadSignature(f"{source} was changed, or is not by {name_of(signer)}, whose certificate it brings")
        raise self._not_ours(bundle, source)

    def _not_ours(self, bundle: Bundle, source: str) -> BadSignature:
        trusted = ", ".join([*map(key_name, self.keys), *map(name_of, self.roots)])
        if bundle.chain and not self.roots:
            return BadSignature(
                f"{source} was made with a certificate, and only {trusted} is trusted",
                hint="Name the root of its certificate with --certificate-chain.",
            )
        if bundle.hint in map(_hint, self.keys):
            return BadSignature(f"{source} names {trusted}, and was changed after that key signed it")
        return BadSignature(
            f"{source} was made with key {bundle.hint[:16] or '(unknown)'}, and {trusted} is trusted",
            hint="Verify with the public key of who signed it; if nobody you know did, do not use this model.",
        )


def load_signer(
    key: Pem, *, passphrase: str | None = None, certificate: Pem | None = None, chain: Sequence[Pem] = (), now: datetime
) -> Signer:
    """A signer from PEM files.

    Args:
        passphrase: of the key, if it is encrypted.
        certificate: the key's; the signature brings it along.
        chain: certificates between that one and the root.
        now: a certificate that is not valid then signs nothing.

    Raises:
        NeedsPassphrase: the key is encrypted.
        InvalidInput: a file is not what it should be, or key and certificate do not belong together.
        BadSignature: the certificate is not valid now, or not one for signatures.
    """
    try:
        private = load_pem_private_key(key.data, None if passphrase is None else passphrase.encode())
    except TypeError as error:
        if passphrase is None:
            raise NeedsPassphrase(
                f"the private key in {key.source} is encrypted",
                hint="Give its passphrase in the environment variable SOJOURN_KEY_PASSPHRASE.",
            ) from error
        raise InvalidInput(
            f"the private key in {key.source} is not encrypted, and a passphrase was given for it",
            hint="Unset SOJOURN_KEY_PASSPHRASE.",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = "or the passphrase is wrong" if passphrase is not None else "in PEM"
        raise InvalidInput(f"{key.source} is no private key {wrong}: {error}", hint=_MAKE_ONE) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _wrong_kind(f"the private key in {key.source}")
    public = _elliptic(private.public_key(), f"the private key in {key.source}")
    if certificate is None:
        if chain:
            raise InvalidInput("certificates of a chain were given, and not the key's own", hint="Add --certificate.")
        return Signer(private)
    own, *others = _certificates([certificate, *chain])
    if own.public_key() != public:
        raise InvalidInput(
            f"the certificate in {certificate.source} is not that of the key in {key.source}",
            hint="Name the certificate that was issued for this key.",
        )
    check_validity(own, now, certificate.source)
    return Signer(private, (own, *others))


def load_trust(keys: Sequence[Pem] = (), roots: Sequence[Pem] = ()) -> Trust:
    """Whom PEM files of public keys and of root certificates say to trust. Raises InvalidInput."""
    public = []
    for key in keys:
        try:
            loaded = load_pem_public_key(key.data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidInput(
                f"{key.source} is no public key in PEM: {error}",
                hint="Make one of the private key with: openssl ec -in private.pem -pubout -out public.pem",
            ) from error
        public.append(_elliptic(loaded, f"the public key in {key.source}"))
    return Trust(tuple(public), tuple(_certificates(roots)))


def key_name(key: ec.EllipticCurvePublicKey) -> str:
    """A key's name for people: the beginning of its SHA-256."""
    return f"key {_hint(key)[:16]}"


def _certificates(files: Sequence[Pem]) -> list[x509.Certificate]:
    found = []
    for file in files:
        try:
            found += x509.load_pem_x509_certificates(file.data)
        except ValueError as error:
            raise InvalidInput(f"{file.source} holds no certificates in PEM: {error}") from error
    return found


def _elliptic(key: object, what: str) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise _wrong_kind(what)
    return key


def _wrong_kind(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} is not of a kind that the format allows: an elliptic curve key on P-256, P-384 or P-521",
        hint=_MAKE_ONE,
    )


def _hint(key: ec.EllipticCurvePublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _holds(key: ec.EllipticCurvePublicKey, bundle: Bundle) -> bool:
    try:
        key.verify(bundle.signature, signed_bytes(bundle.payload), ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True
