"""Whether a certificate may sign models, and leads to a root that is trusted, at a given time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from sojourn.signing.errors import BadSignature

_MAX_CERTIFICATES = 10


def name_of(certificate: x509.Certificate) -> str:
    """Its subject, such as "CN=release,O=Example"."""
    return certificate.subject.rfc4514_string() or f"number {certificate.serial_number:x}"


def check_validity(certificate: x509.Certificate, now: datetime, source: str) -> None:
    """Raise BadSignature where the certificate is not valid at that time, or is not one for signatures."""
    before, after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not before <= now <= after:
        raise BadSignature(
            f"{source}: the certificate of {name_of(certificate)} is valid from {before:%Y-%m-%d %H:%M} "
            f"to {after:%Y-%m-%d %H:%M} UTC, and it is {now:%Y-%m-%d %H:%M}",
            hint="Sign again with a certificate that is valid now, if this model is still to be trusted.",
        )
    if not _may_sign(certificate):
        raise BadSignature(
            f"{source}: the certificate of {name_of(certificate)} is not one for signatures",
            hint="It needs the key usage digitalSignature, or the extended key usage codeSigning.",
        )


def check_chain(
    chain: Sequence[bytes], roots: Sequence[x509.Certificate], now: datetime, source: str
) -> x509.Certificate:
    """The signer's certificate of a chain in DER, after it was traced to one of `roots`. Raises BadSignature."""
    if len(chain) > _MAX_CERTIFICATES:
        raise BadSignature(f"{source} brings {len(chain)} certificates, and at most {_MAX_CERTIFICATES} are looked at")
    try:
        signer, *others = (x509.load_der_x509_certificate(certificate) for certificate in chain)
        check_validity(signer, now, source)
    except ValueError as error:
        raise BadSignature(f"{source} holds a certificate that is none: {error}") from error
    any_extension = verification.ExtensionPolicy.permit_all()
    builder = verification.PolicyBuilder().store(verification.Store(list(roots))).time(now)
    authority = any_extension.require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _must_be_authority
    ).may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _must_sign_certificates)
    verifier = builder.extension_policies(ca_policy=authority, ee_policy=any_extension).build_client_verifier()
    try:
        verifier.verify(signer, others)
    except verification.VerificationError as error:
        raise BadSignature(
            f"{source}: the certificate of {name_of(signer)} does not lead to a trusted root: {error}",
            hint="Name the root with --certificate-chain, and sign with --chain for what lies between.",
        ) from error
    return signer


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
    except ValueError:
        return False
    try:
        if extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            return True
    except x509.ExtensionNotFound:
        pass
    try:
        return ExtendedKeyUsageOID.CODE_SIGNING in extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False


def _must_be_authority(
    policy: verification.Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    if not constraints.ca:
        raise ValueError(f"{name_of(certificate)} is no certificate authority")


def _must_sign_certificates(
    policy: verification.Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError(f"{name_of(certificate)} may not sign certificates")
