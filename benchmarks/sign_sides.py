"""One side of sign.py, in a process of its own: the null pipeline, or model-signing through its API.

model-signing's command line offers no BLAKE3, so both of its sides call what that command line calls.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BUFFER = 1 << 20
_CHUNK = 8 << 20


def null(folder: str) -> None:
    """Read every file and hash it by chunks of 8 MiB, in as many threads as there are cores; nothing else."""
    from blake3 import blake3

    def hash_chunk(part: tuple[Path, int]) -> bytes:
        path, start = part
        buffer = memoryview(bytearray(_BUFFER))
        taken = blake3()
        descriptor = os.open(path, os.O_RDONLY)
        at = start
        while at < start + _CHUNK and (count := os.preadv(descriptor, [buffer[: start + _CHUNK - at]], at)):
            taken.update(buffer[:count])
            at += count
        os.close(descriptor)
        return taken.digest()

    files = sorted(Path(folder).iterdir())
    parts = [(path, start) for path in files for start in range(0, path.stat().st_size, _CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(hash_chunk, parts))


def sign(algorithm: str, folder: str, signature: str, key: str) -> None:
    """By model-signing."""
    from model_signing import signing

    signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(_hashing(algorithm)).sign(
        folder, signature
    )


def verify(algorithm: str, folder: str, signature: str, key: str) -> None:
    """By model-signing."""
    from model_signing import verifying

    verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(_hashing(algorithm)).verify(
        folder, signature
    )


def _hashing(algorithm: str):  # type: ignore[no-untyped-def]
    from model_signing import hashing

    config = hashing.Config().use_file_serialization(hashing_algorithm=algorithm)
    # Ours lies beside the files, and is none of theirs.
    return config.set_ignored_paths(paths=["model.sig"])


if __name__ == "__main__":
    {"null": null, "sign": sign, "verify": verify}[sys.argv[1]](*sys.argv[2:])
