"""What a key may look like, in every kind of store.

A key names a file below somebody's folder, so it must not be able to leave it, nor to meet the temporary
files that a directory store writes beside its objects.
"""

from __future__ import annotations

import re

from sojourn.errors import InvalidInput

TEMP_PREFIX = ".sojourn-tmp-"
MAX_KEY_BYTES = 900
MAX_PART_BYTES = 255
# Control characters, and halves of surrogate pairs, which no file name can hold.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\?#\ud800-\udfff]")


def check_key(key: str) -> str:
    """Return `key` if it is a relative POSIX path of plain parts, else raise InvalidInput."""
    if not key:
        raise InvalidInput("a store key must not be empty")
    if len(key.encode(errors="surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidInput(f"store key {key[:60]!r}... is longer than {MAX_KEY_BYTES} bytes")
    for part in key.split("/"):
        _check_part(key, part)
    return key


def check_prefix(prefix: str) -> str:
    """Return the folder `prefix` without a closing slash; "" is the store's root."""
    folder = prefix.removesuffix("/")
    return check_key(folder) if folder else ""


def join(prefix: str, name: str) -> str:
    """Key of `name` in the folder `prefix` ("" is the root)."""
    return f"{prefix}/{name}" if prefix else name


def _check_part(key: str, part: str) -> None:
    if part in ("", ".", ".."):
        raise InvalidInput(
            f"store key {key!r} is not a plain relative path",
            hint="A key has no leading slash, no empty part, no '.' and no '..'.",
        )
    if part.startswith(TEMP_PREFIX):
        raise InvalidInput(f"store key {key!r} uses the name of a temporary file ({TEMP_PREFIX}...)")
    if len(part.encode(errors="surrogatepass")) > MAX_PART_BYTES:
        raise InvalidInput(f"a part of store key {key[:60]!r}... is longer than {MAX_PART_BYTES} bytes")
    if _FORBIDDEN.search(part):
        raise InvalidInput(f"store key {key!r} holds a control character, a backslash, '?' or '#'")
