"""A process that writes without end, to be killed in the middle of it; light, since it is spawned."""

from __future__ import annotations

import sys

from blake3 import blake3

from sojourn.store.posix import PosixStore

SIZES = (0, 100, 70_000, 3_000_000)


def content(name: str, size: int) -> bytes:
    """Bytes that show whether they are whole: their digest, then `size` bytes."""
    body = (name.encode() * (size // len(name) + 1))[:size]
    return blake3(body).digest() + body


def is_whole(data: bytes) -> bool:
    return len(data) >= 32 and blake3(data[32:]).digest() == data[:32]


def write_for_ever(folder: str) -> None:
    store = PosixStore(folder)
    number = 0
    while True:
        data = content(f"object {number}", SIZES[number % len(SIZES)])
        store.create(f"created/{number % 7}/{number:06}", data)
        store.put(f"replaced/{number % 3}", data)
        with store.open_writer(f"streamed/{number % 5}/{number:06}") as writer:
            for start in range(0, len(data), 100_000):
                writer.write(data[start : start + 100_000])
        store.delete(f"streamed/{(number - 20) % 5}/{number - 20:06}")
        number += 1
        sys.stdout.write(".")
        sys.stdout.flush()


if __name__ == "__main__":
    write_for_ever(sys.argv[1])
