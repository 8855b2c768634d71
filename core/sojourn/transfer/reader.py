"""What a transfer reads from: a store, or the other end of a connection, which can give chunks in fewer bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from sojourn.errors import CorruptData
from sojourn.store.base import Buffer

Coding = Literal["", "alone", "delta"]
"""How a chunk came: as it is; shuffled and compressed; as its difference from an older one (codec.py)."""


def coding_of(name: str) -> Coding:
    """Raises CorruptData for a coding that nobody asked for."""
    codings: tuple[Coding, ...] = ("alone", "delta")
    for coding in codings:
        if coding == name:
            return coding
    raise CorruptData(f"the source's mover sent the unknown coding {name!r}")


class Reader(Protocol):
    """Gives the source's bytes: its store itself, or the other end of a connection."""

    def read(self, key: str, offset: int, length: int) -> Buffer:
        """Bytes of the file at `key` in the source's store; fewer where it ends early."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a source gave for a chunk, and how it is coded."""

    data: Buffer
    coding: Coding = ""


@runtime_checkable
class CodedReader(Reader, Protocol):
    """A source that codes chunks where that makes them smaller."""

    def read_coded(self, key: str, offset: int, length: int, base: str) -> Given:
        """The same as `read`, coded if that is worth it; `base` is the digest of an older chunk, or "" """
        ...
