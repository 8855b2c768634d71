"""Connections between two movers, whoever dials: opened, authenticated, and noticed when they are dead."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from sojourn.errors import InvalidInput
from sojourn.transfer.sealed import Sealed, seal
from sojourn.transfer.tls import Identity, check_pinned, check_version, client_context, server_context

log = logging.getLogger(__name__)

_HANDSHAKE_SECONDS = 10.0
_MOST_CONNECTIONS = 128
# A peer that vanished without a word is given up after half a minute, sending or waiting.
_KEEPALIVE = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 4}
_SEND_TIMEOUT_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side: its certificate (PEM), and its address if it is the one that listens."""

    certificate: str
    host: str = ""
    port: int = 0


class Directory:
    """The peer as far as it is known; it changes when its process is replaced."""

    def __init__(self, peer: Peer | None = None) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[Sealed] = weakref.WeakSet()

    @property
    def peer(self) -> Peer | None:
        with self._lock:
            return self._peer

    def set(self, peer: Peer | None) -> None:
        """From now on connections are made with, and accepted from, this peer only.

        Those to a process that had another certificate are ended: it is gone, and TCP would wait for it.
        """
        with self._lock:
            replaced = self._peer is not None and (peer is None or peer.certificate != self._peer.certificate)
            self._peer = peer
            ended = list(self._open) if replaced else []
        for connection in ended:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def track(self, connection: Sealed) -> Sealed:
        """Remember a connection with the present peer for as long as it is used."""
        with self._lock:
            self._open.add(connection)
        return connection


def dial(me: Identity, peer: Peer) -> Sealed:
    """A connection to the peer, which has proved who it is. Raises OSError."""
    raw = socket.create_connection((peer.host, peer.port), timeout=_HANDSHAKE_SECONDS)
    try:
        _prepare(raw)
        return _sealed(client_context(me, peer.certificate).wrap_socket(raw), peer)
    except BaseException:
        raw.close()
        raise


class Listener:
    """Accepts connections of the peer on a port, each in a thread of its own; everybody else's are closed.

    Args:
        take: called with each connection; it is closed when the call returns, unless it returns True.
    """

    def __init__(
        self, me: Identity, directory: Directory, take: Callable[[Sealed], bool], port: int = 0, host: str = ""
    ) -> None:
        self._me, self._directory, self._take = me, directory, take
        self._slots = threading.Semaphore(_MOST_CONNECTIONS)
        if not host and socket.has_dualstack_ipv6():
            self._server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        else:
            self._server = socket.create_server((host, port), backlog=64)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True, name="listener").start()

    def close(self) -> None:
        """Accept no more; connections that were accepted stay."""
        # Closing alone does not wake the thread that accepts.
        try:
            self._server.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the listening socket was closed already")
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._server.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                raw.close()
                continue
            threading.Thread(target=self._welcome, args=(raw,), daemon=True, name="connection").start()

    def _welcome(self, raw: socket.socket) -> None:
        kept = False
        connection: socket.socket | Sealed = raw
        try:
            peer = self._directory.peer
            if peer is None:
                return
            raw.settimeout(_HANDSHAKE_SECONDS)
            _prepare(raw)
            shaken = connection = server_context(self._me, peer.certificate).wrap_socket(raw, server_side=True)
            connection = sealed = _sealed(shaken, peer)
            kept = self._take(self._directory.track(sealed))
        except (OSError, InvalidInput) as error:
            log.info("a connection was refused or lost: %s", error)
        finally:
            self._slots.release()
            if not kept:
                connection.close()


def _prepare(raw: socket.socket) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        raw.setsockopt(socket.IPPROTO_TCP, option, value)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_TIMEOUT_MILLISECONDS)


def _sealed(connection: ssl.SSLSocket, peer: Peer) -> Sealed:
    try:
        check_pinned(connection, peer.certificate)
        check_version(connection)
        return seal(connection)
    except OSError:
        connection.close()
        raise
