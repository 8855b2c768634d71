"""The file around a statement: a DSSE envelope with one signature, in a Sigstore bundle (pure).

Sources: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md, and sigstore_bundle.proto and
sigstore_common.proto of https://github.com/sigstore/protobuf-specs.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from sojourn.runlog.codec import parse
from sojourn.signing.errors import BadSignature

MAX_BYTES = 32 << 20
_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signed payload.

    Args:
        payload: the statement's bytes.
        signature: of `signed_bytes(payload)`, in DER.
        hint: hex SHA-256 of the signer's public key (PEM); "" where certificates are given.
        chain: the signer's certificate and those that lead to a root, in DER.
    """

    payload: bytes
    signature: bytes
    hint: str = ""
    chain: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """The file."""
        certificates = [{"rawBytes": _encode(certificate)} for certificate in self.chain]
        who = {"x509CertificateChain": {"certificates": certificates}} if certificates else self._public_key()
        body = {
            "mediaType": _MEDIA_TYPE,
            "verificationMaterial": {**who, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _encode(self.payload),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": _encode(self.signature), "keyid": ""}],
            },
        }
        return json.dumps(body, separators=(",", ":")).encode()

    def _public_key(self) -> dict[str, Any]:
        return {"publicKey": {"hint": self.hint}}

    @classmethod
    def from_bytes(cls, data: bytes, *, source: str) -> Bundle:
        """`source` names the file in errors. Raises BadSignature."""
        try:
            return _parse(parse(data))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise BadSignature(
                f"{source} is not a model signature: {type(error).__name__}: {error}",
                hint="It was cut off, changed or made by another tool. Sign again with `sojourn sign`.",
            ) from error


def signed_bytes(payload: bytes) -> bytes:
    """What is signed in a payload's place: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


def _parse(body: dict[str, Any]) -> Bundle:
    if body["mediaType"] != _MEDIA_TYPE:
        raise ValueError(f"it is a {body['mediaType']!r:.80}")
    envelope, material = body["dsseEnvelope"], body["verificationMaterial"]
    if envelope["payloadType"] != _PAYLOAD_TYPE:
        raise ValueError(f"it signs a {envelope['payloadType']!r:.80}")
    (signature,) = envelope["signatures"]
    if "certificate" in material:
        raise ValueError("it was made with an identity of Sigstore, which cannot be checked offline")
    chain = material.get("x509CertificateChain", {}).get("certificates", ())
    return Bundle(
        payload=_decode(envelope["payload"]),
        signature=_decode(signature["sig"]),
        hint=str(material.get("publicKey", {}).get("hint") or ""),
        chain=tuple(_decode(certificate["rawBytes"]) for certificate in chain),
    )


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
