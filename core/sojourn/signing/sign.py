"""Signs what is in a store: a checkpoint or an export, whose manifest its run's log names, or any folder of files.

Everything is read once and compared with the manifest before it is signed. The signature is one object, written
whole or not at all, beside the files that it is of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.files import FileSet
from sojourn.checkpoint.manifest import MANIFEST_FILE
from sojourn.errors import CorruptData, InvalidInput
from sojourn.signing.folder import Progress, hash_files, list_files
from sojourn.signing.keys import Signer
from sojourn.signing.statement import SIGNATURE_FILE, Resource, Statement
from sojourn.store.base import Store
from sojourn.store.keys import join

Algorithm = Literal["blake3", "sha256"]

# What model-signing leaves out of a folder by itself.
_OF_GIT = (".git", ".gitattributes", ".github", ".gitignore")
_BLAKE3_BYTES = 32
_VERIFY = "`sojourn verify` says what else is wrong. Nothing was signed."


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed.

    Attributes:
        signature: key of the signature in its store.
        signer: who signed, for people.
        files: how many files.
        bytes: their size.
    """

    signature: str
    signer: str
    files: int
    bytes: int


def sign_stored(
    store: Store, files: FileSet, subject: str, signer: Signer, progress: Progress, algorithm: Algorithm = "blake3"
) -> Signed:
    """Sign a checkpoint or an export, after every byte of it was compared with its manifest.

    Args:
        subject: names it for people, such as "digits@1200".
        algorithm: the hash of the digests that are signed.

    Raises:
        CorruptData: a file is not what the manifest says, or none of the manifest's.
        StoreError: the store cannot be read or written.
    """
    recorded = {file.name: file for file in files.files}
    sizes = list_files(store, files.folder)
    if extra := sorted(sizes.keys() - recorded.keys() - {MANIFEST_FILE}):
        raise CorruptData(
            f"{files.folder}/{extra[0]} is there, and the manifest does not list it",
            hint="Remove what does not belong there. Nothing was signed.",
        )
    for file in files.files:
        if sizes.get(file.name) != file.size:
            there = f"has {sizes[file.name]} bytes" if file.name in sizes else "is missing"
            raise CorruptData(f"{files.folder}/{file.name} {there}, {file.size} are recorded", hint=_VERIFY)
    hashed = _hashed(store, files.folder, sizes, progress, "" if algorithm == "blake3" else algorithm)
    for resource in hashed:
        known = recorded[resource.path].digest if resource.path in recorded else digest(files.manifest)
        good = f"blake3:{resource.digest[:_BLAKE3_BYTES].hex()}" == known
        if not good:
            raise CorruptData(
                f"{files.folder}/{resource.path}: the bytes do not match the recorded digest", hint=_VERIFY
            )
    resources = tuple(
        Resource(item.path, algorithm, item.digest[0 if algorithm == "blake3" else _BLAKE3_BYTES :]) for item in hashed
    )
    return _sign(store, files.folder, Statement(subject, resources, algorithm), signer, sum(sizes.values()))


def sign_folder(
    store: Store, folder: str, subject: str, signer: Signer, progress: Progress, algorithm: Algorithm = "blake3"
) -> Signed:
    """Sign every file below a folder, but for what git keeps there.

    Raises:
        InvalidInput: there is no file.
        BadSignature: one of them is a symbolic link.
        StoreError: the store cannot be read or written.
    """
    statement = Statement(subject, (), algorithm, (SIGNATURE_FILE, *_OF_GIT))
    sizes = {path: size for path, size in list_files(store, folder).items() if not statement.ignores(path)}
    if not sizes:
        raise InvalidInput(f"{store.uri}/{folder} holds no file to sign", hint="Name the folder of a model.")
    wanted = [Resource(path, algorithm, b"") for path in sizes]
    resources = _good(hash_files(store, folder, wanted, sizes, progress))
    return _sign(store, folder, replace(statement, resources=resources), signer, sum(sizes.values()))


def _hashed(store: Store, folder: str, sizes: dict[str, int], progress: Progress, also: str) -> tuple[Resource, ...]:
    """Every file with its BLAKE3 digest, and behind it that of another hash, if one is named."""
    wanted = [Resource(path, "blake3", b"") for path in sizes]
    return _good(hash_files(store, folder, wanted, sizes, progress, also))


def _good(hashed: Iterable[Resource | CorruptData]) -> tuple[Resource, ...]:
    found = []
    for resource in hashed:
        if isinstance(resource, CorruptData):
            raise resource
        found.append(resource)
    return tuple(found)


def _sign(store: Store, folder: str, statement: Statement, signer: Signer, size: int) -> Signed:
    key = join(folder, SIGNATURE_FILE)
    store.put(key, signer.sign(statement).to_bytes())
    return Signed(key, signer.name, len(statement.resources), size)
