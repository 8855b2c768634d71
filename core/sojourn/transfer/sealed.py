"""Bytes of a connection sealed in records of up to 256 KiB, under keys that a TLS 1.3 handshake on it has brought over.

TLS proves who is there and carries one key each way; then every record is AES-256-GCM under its sender's key, with a
counter as nonce, in TLS 1.3's manner (RFC 8446, 5.2 and 5.3). TLS itself stops at 16 KiB, which for Python is one call
and two hand-overs of its lock for each: three times the processor time of these (docs/adr/0016).
"""

from __future__ import annotations

import io
import os
import socket
import ssl
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sojourn.store.base import Buffer

RECORD_BYTES = 256 << 10
_KEY_BYTES = 32
_TAG_BYTES = 16
_HEAD = struct.Struct(">I")
# Where struct tcp_info has tcpi_rtt, in microseconds.
_TCP_INFO_RTT = 68
# 256 GiB under one key: 2^34 blocks, far below what AES-GCM bears. The next connection has new ones.
_MOST_RECORDS = 1 << 20


class Broken(OSError):
    """What came is not what the other side sent, or the connection ended within a record."""


def seal(connection: ssl.SSLSocket) -> Sealed:
    """Exchange keys over a connection whose peer has proved who it is, and leave TLS. Raises OSError."""
    mine = os.urandom(_KEY_BYTES)
    connection.sendall(mine)
    theirs = b""
    while len(theirs) < _KEY_BYTES:
        part = connection.recv(_KEY_BYTES - len(theirs))
        if not part:
            raise Broken("the other side closed the connection before it had sent its key")
        theirs += part
    if theirs == mine:
        raise Broken("the other side sent our own key back")
    raw = socket.socket(fileno=connection.detach())
    raw.settimeout(None)
    return Sealed(raw, mine, theirs)


class Sealed(io.RawIOBase):
    """A connection with the methods that HTTP needs of a socket, and a raw stream of what arrives.

    One thread may read while another writes. Every method raises OSError when the connection is lost, Broken among
    them when records were changed, left out, repeated or cut.
    """

    def __init__(self, raw: socket.socket, mine: bytes, theirs: bytes) -> None:
        self._raw = raw
        self._lock, self._unlock = AESGCM(mine), AESGCM(theirs)
        self._sent = self._got = 0
        self._out = memoryview(bytearray(_HEAD.size + RECORD_BYTES + _TAG_BYTES))
        self._in = memoryview(bytearray(RECORD_BYTES + _TAG_BYTES))
        self._plain = memoryview(bytearray(RECORD_BYTES))
        self._left = self._plain[:0]

    def limit(self, seconds: float) -> None:
        """Reading gives up when nothing came for so long."""
        whole, rest = divmod(seconds, 1)
        # Blocking calls with the kernel's own limit: with Python's, each read would be a poll as well.
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(whole), int(rest * 1e6)))

    @property
    def round_trip(self) -> float:
        """Seconds to the other side and back, as the system measured; 0 where it is no TCP connection."""
        try:
            info = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        except OSError:
            return 0
        return float(struct.unpack_from("@I", info, _TCP_INFO_RTT)[0]) / 1e6

    def sendall(self, data: Buffer) -> None:
        """Seal and send all of it."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), RECORD_BYTES):
            part = view[start : start + RECORD_BYTES]
            size = len(part) + _TAG_BYTES
            record = self._out[: _HEAD.size + size]
            _HEAD.pack_into(record, 0, size)
            nonce, self._sent = _nonce(self._sent), self._sent + 1
            self._lock.encrypt_into(nonce, part, record[: _HEAD.size], record[_HEAD.size :])
            self._raw.sendall(record)

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        """Bytes of what came, at most one record; 0 at the end."""
        view = memoryview(buffer).cast("B")
        if not self._left:
            size = self._next()
            if not size:
                return 0
            if size <= len(view):
                # Straight to where it is wanted.
                return self._open(size, view[:size])
            self._open(size, self._plain[:size])
            self._left = self._plain[:size]
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def recv(self, count: int) -> bytes:
        """What came, `count` bytes at most; b"" at the end."""
        return self.read(count) or b""

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> io.BufferedReader:
        """What arrives, buffered; closing it leaves the connection open."""
        return _Reader(self)

    def readable(self) -> bool:
        return True

    def shutdown(self, how: int = socket.SHUT_RDWR) -> None:
        """End the connection; whoever reads or writes is woken."""
        self._raw.shutdown(how)

    def close(self) -> None:
        super().close()
        self._raw.close()

    def _next(self) -> int:
        """Bring the next record into `_in`; the size of its contents, 0 at the end."""
        head = bytearray(_HEAD.size)
        if not self._fill(memoryview(head)):
            return 0
        (size,) = _HEAD.unpack(head)
        if not _TAG_BYTES < size <= len(self._in):
            raise Broken(f"a record of {size} bytes came, which nobody sends")
        if not self._fill(self._in[:size]):
            raise Broken("the connection ended within a record")
        return int(size) - _TAG_BYTES

    def _open(self, size: int, into: memoryview) -> int:
        nonce, self._got = _nonce(self._got), self._got + 1
        head = _HEAD.pack(size + _TAG_BYTES)
        try:
            self._unlock.decrypt_into(nonce, self._in[: size + _TAG_BYTES], head, into)
        except InvalidTag as error:
            raise Broken("a record is not what the other side sent") from error
        return size

    def _fill(self, view: memoryview) -> bool:
        """Fill `view`; False if the connection ended before its first byte."""
        at = 0
        while at < len(view):
            try:
                count = self._raw.recv_into(view[at:], 0, socket.MSG_WAITALL)
            except BlockingIOError as error:
                raise TimeoutError("nothing came from the other side for too long") from error
            if not count:
                if at:
                    raise Broken("the connection ended within a record")
                return False
            at += count
        return True


class _Reader(io.BufferedReader):
    """Does not close what it reads from."""

    def close(self) -> None:
        if not self.closed:
            self.detach()


def _nonce(number: int) -> bytes:
    if number >= _MOST_RECORDS:
        raise Broken("this connection's key has sealed enough; the next connection has another one")
    return number.to_bytes(12, "big")
