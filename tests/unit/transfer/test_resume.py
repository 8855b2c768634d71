"""What is sent again after interruptions, counted in bytes: at most one chunk per stream."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from helpers.runs import Clock, Countdown, DyingStore, Killed, trained_run
from helpers.transfers import Cutter, incoming, linked, outgoing, place
from sojourn.checkpoint.digest import digest
from sojourn.checkpoint.verify import verify_run
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import ExportInfo
from sojourn.store.base import Buffer, Store
from sojourn.store.memory import MemoryStore
from sojourn.store.posix import PosixStore
from sojourn.transfer.errors import Interrupted
from sojourn.transfer.incoming import Incoming
from sojourn.transfer.outgoing import Selection
from sojourn.transfer.relay import RelayedSource, RelaySender
from sojourn.transfer.sealed import RECORD_BYTES
from sojourn.transfer.throttle import Throttle

COPY = Selection()
CHUNK = 64 << 10
SIZE = 40 * CHUNK + 17
CUTS = 10


def run_with_chunks(store: Store, chunk: int = CHUNK, size: int = SIZE) -> RunLog:
    """A run with an export whose one large file has many small chunks."""
    log = trained_run(store, Clock().env(), steps=(10,))
    data = random.Random(3).randbytes(size)
    chunks = [digest(data[start : start + chunk]) for start in range(0, size, chunk)]
    body = {"chunkBytes": chunk, "files": [{"name": "w.bin", "size": size, "digest": digest(data), "chunks": chunks}]}
    store.put(f"{log.prefix}/export/2/w.bin", data)
    stored = json.dumps(body).encode()
    store.put(f"{log.prefix}/export/2/manifest.json", stored)
    log.export(ExportInfo(version=2, key="export/2", manifest=digest(stored), step=1))
    return log


class Failing:
    """Reads a store until `stop` bytes of the large file were given; `given` counts them."""

    def __init__(self, inner: Store, stop: int = 1 << 60) -> None:
        self.inner, self.given, self.stop = inner, 0, stop
        self._lock = threading.Lock()

    def read(self, key: str, offset: int, length: int) -> Buffer:
        if not key.endswith("w.bin"):
            return self.inner.read(key, offset, length)
        with self._lock:
            if self.given >= self.stop:
                raise Interrupted("cut")
            self.given += length
        return self.inner.read(key, offset, length)


def stores(tmp_path: Path) -> dict[str, Store]:
    return {"objects": MemoryStore("there"), "directory": PosixStore(tmp_path / "there")}


@pytest.mark.parametrize("kind", ["objects", "directory"])
@pytest.mark.parametrize("streams", [1, 4])
def test_a_receiver_that_was_stopped_ten_times_keeps_every_chunk(tmp_path: Path, kind: str, streams: int) -> None:
    clock, here, there = Clock(), MemoryStore("here"), stores(tmp_path)[kind]
    offered = outgoing(run_with_chunks(here), COPY, clock.env())
    source = Failing(here)
    reports = []
    for stops in range(CUTS + 1):
        arriving = Incoming(offered.offer(), place(there), moves=False, env=clock.env())
        source.stop = (stops + 1) * 3 * CHUNK if stops < CUTS else 1 << 60
        try:
            reports.append(arriving.bring(source, streams=streams))
        except Interrupted:
            assert not [info for info in there.list() if info.key.endswith("export/2/w.bin")]
        assert len(reports) == (stops == CUTS)
    assert source.given - SIZE <= streams * CHUNK
    assert reports[0].reused_bytes >= (30 - streams) * CHUNK
    assert not [info for info in there.list() if "transfer-parts" in info.key]
    assert verify_run(arriving.begin()).ok


def test_a_piece_that_rotted_meanwhile_is_fetched_again(tmp_path: Path) -> None:
    clock, here, there = Clock(), MemoryStore("here"), MemoryStore("there")
    offered = outgoing(run_with_chunks(here), COPY, clock.env())
    source = Failing(here, 20 * CHUNK)
    arriving = Incoming(offered.offer(), place(there), moves=False, env=clock.env())
    with pytest.raises(Interrupted):
        arriving.bring(source, streams=1)
    parts = list(there.list(f"{arriving.prefix}/transfer-parts"))
    assert len(parts) >= 18
    there.put(parts[0].key, bytes(parts[0].size))
    source.stop = 1 << 60
    arriving.bring(source, streams=1)
    assert source.given == SIZE + CHUNK
    assert verify_run(arriving.begin()).ok


@pytest.mark.parametrize("streams", [1, 4])
def test_connections_cut_ten_times_within_a_chunk_lose_next_to_nothing(tmp_path: Path, streams: int) -> None:
    size, after = 20_000_000, 1_500_000
    chunk = (8 << 20) // streams
    clock, there, cutter = Clock(), PosixStore(tmp_path / "b"), Cutter(CUTS, after)
    source = run_with_chunks(PosixStore(tmp_path / "a"), chunk, size)
    with linked(source, COPY, cutter=cutter, clock=clock) as ends:
        arriving = incoming(ends, place(there), clock=clock)
        arriving.bring(ends.remote, streams=streams)
        assert verify_run(arriving.begin()).ok
    assert cutter.connections > CUTS
    # A record that did not come whole, and handshakes: of all ten cuts together less than a chunk for each stream.
    assert streams * chunk > CUTS * (RECORD_BYTES + 16_000)
    assert 0 <= cutter.given - size < CUTS * (RECORD_BYTES + 16_000)


@pytest.mark.parametrize("late", [False, True])
def test_a_relay_is_given_every_chunk_once(late: bool) -> None:
    clock, here, relay, there = Clock(), MemoryStore("here"), MemoryStore("relay"), MemoryStore("there")
    offered = outgoing(run_with_chunks(here), COPY, clock.env())
    puts, told = 0, [(0, 0)]
    for _ in range(CUTS):
        dying = Countdown(4, late)
        with pytest.raises(Killed):
            RelaySender(offered, DyingStore(relay, dying), "x", Throttle()).put(lambda *at: told.append(at))
        puts += 4 if late else 3
    dying = Countdown(1 << 30)
    sender = RelaySender(offered, DyingStore(relay, dying), "x", Throttle())
    key = sender.put(lambda *at: told.append(at))
    chunks = list(relay.list("x/chunks"))
    assert puts + dying.writes == len(chunks) + 1
    assert told[-1][0] == told[-1][1] == sum(info.size for info in chunks)
    source = RelayedSource(relay, key, Throttle())
    arriving = Incoming(source.offer(), place(there), moves=False, env=clock.env())
    arriving.bring(source)
    assert verify_run(arriving.begin()).ok
    sender.clean_up()
    assert not list(relay.list())
