"""What a transfer reads from: a store, or the other end of a connection, which can give chunks in fewer bytes."""

from __future__ import annotations

from collections.abc import Callable
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
        """Bytes of the file at `key` in the source's store; fewer where it ends early.

        Use them before the same thread reads again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a source gave for a chunk, and how it is coded; `digest` is that of `data`, "" where nobody took it yet."""

    data: Buffer
    coding: Coding = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """A range of a file in the source's store.

    Args:
        coded: whether it may come coded.
        base: digest of an older chunk that it may be coded against, or "".
    """

    key: str
    offset: int
    length: int
    coded: bool = False
    base: str = ""


def nothing() -> None:
    """Does nothing."""


class Asked(Protocol):
    """A request that is under way."""

    def take(self, soon: Callable[[], None] = nothing) -> Given:
        """Wait for the answer; `soon` is called in time to ask for what comes next."""
        ...

    def drop(self) -> None:
        """Nobody waits for it any more."""
        ...


@runtime_checkable
class Remote(Reader, Protocol):
    """A source behind a link: it can be asked before the answer is needed, and codes what that makes smaller."""

    def ask(self, want: Want) -> Asked:
        """Ask, behind what the same thread asked before, so that the link is never idle for a round trip."""
        ...
