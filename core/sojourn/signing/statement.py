"""What is signed: an in-toto statement that lists a model's files and their digests (pure).

Source: the predicate https://model_signing/signature/v1.0 as model-signing 1.x writes and reads it, and
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sojourn.checkpoint.hashing import new_hash
from sojourn.errors import InvalidInput
from sojourn.runlog.codec import parse
from sojourn.signing.errors import BadSignature

SIGNATURE_FILE = "model.sig"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_DIGEST_BYTES = {"sha256": 32, "blake3": 32, "blake2b": 64}


@dataclass(frozen=True, slots=True)
class Resource:
    """A signed file, or a stretch of one: path within the model, bytes [start, end), hash and its digest.

    `end` is None where the whole file is signed, whatever its size.
    """

    path: str
    algorithm: str
    digest: bytes
    start: int = 0
    end: int | None = None

    @property
    def name(self) -> str:
        """As the statement has it."""
        return self.path if self.end is None else f"{self.path}:{self.start}:{self.end}"

    def holds(self, data: bytes) -> bool:
        """Whether a file with these bytes is the one that is signed, as far as this stretch goes."""
        taken = new_hash(self.algorithm)
        taken.update(data[self.start : self.end])
        return taken.digest() == self.digest


@dataclass(frozen=True, slots=True)
class Statement:
    """Files and their digests. `subject` is a name for people; paths below `ignored` ones were left out."""

    subject: str
    resources: tuple[Resource, ...]
    algorithm: str = "blake3"
    ignored: tuple[str, ...] = (SIGNATURE_FILE,)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(resource.path for resource in self.resources)

    @property
    def in_stretches(self) -> bool:
        """Whether stretches of files are signed, and not whole files."""
        return any(resource.end is not None for resource in self.resources)

    def ignores(self, path: str) -> bool:
        """Whether a file of that path may lie there unsigned."""
        parts = PurePosixPath(path).parts
        return any(parts[: len(left.parts)] == left.parts for left in map(PurePosixPath, self.ignored) if left.parts)

    def to_bytes(self) -> bytes:
        """The payload: equal statements give equal bytes."""
        resources = sorted(self.resources, key=_order)
        body = {
            "_type": _STATEMENT,
            "subject": [{"name": self.subject, "digest": {"sha256": _root(resources)}}],
            "predicateType": _PREDICATE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": self.algorithm,
                    "allow_symlinks": False,
                    "ignore_paths": list(self.ignored),
                },
                "resources": [
                    {"name": item.name, "algorithm": item.algorithm, "digest": item.digest.hex()} for item in resources
                ],
            },
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, payload: bytes, *, source: str) -> Statement:
        """`source` names the signature in errors. Raises BadSignature."""
        try:
            return _parse(parse(payload))
        except (ValueError, LookupError, TypeError, AttributeError, InvalidInput) as error:
            raise BadSignature(
                f"{source} does not sign a list of files: {error}",
                hint="Sign again with `sojourn sign`, or with model-signing 1.0 or later.",
            ) from error


def _parse(body: dict[str, Any]) -> Statement:
    if body["_type"] != _STATEMENT or body["predicateType"] != _PREDICATE:
        raise ValueError(f"it is a {body['predicateType']!r:.80}, not a {_PREDICATE}")
    (subject,) = body["subject"]
    how = body["predicate"]["serialization"]
    shards = how["method"] == "shards"
    if not shards and how["method"] != "files":
        raise ValueError(f"the method {how['method']!r:.80} is not known")
    resources = tuple(_resource(item, shards) for item in body["predicate"]["resources"])
    names = [resource.name for resource in resources]
    if len(set(names)) != len(names):
        raise ValueError("a file is listed twice")
    if subject["digest"]["sha256"] != _root(resources):
        raise ValueError("the digest of the list is not the one of what it lists")
    ignored = tuple(str(path) for path in how.get("ignore_paths", ()))
    return Statement(str(subject["name"]), resources, str(how["hash_type"]), ignored)


def _resource(item: dict[str, Any], shards: bool) -> Resource:
    path, algorithm, digest = item["name"], item["algorithm"], bytes.fromhex(item["digest"])
    start, end = 0, None
    if shards:
        path, *ends = path.rsplit(":", 2)
        start, end = map(int, ends)
        algorithm = algorithm.partition("-sharded-")[0]
        if not 0 <= start < end:
            raise ValueError(f"{item['name']!r:.80} is no stretch of a file")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or path != str(PurePosixPath(path)):
        raise ValueError(f"{path!r:.80} is not the path of a file within a folder")
    if len(digest) != _DIGEST_BYTES.get(algorithm, -1):
        raise ValueError(f"{item['name']!r:.80} has no digest of a known hash, but {algorithm!r:.40}")
    return Resource(path, algorithm, digest, start, end)


def _order(resource: Resource) -> tuple[tuple[str, ...], int]:
    return PurePosixPath(resource.path).parts, resource.start


def _root(resources: Iterable[Resource]) -> str:
    """SHA-256 over the digests in the order of the list."""
    root = hashlib.sha256()
    for resource in resources:
        root.update(resource.digest)
    return root.hexdigest()
