"""Bytes on the wire for a checkpoint when the target has one of 1, 10 or 100 steps before.

    make bench-delta

`ours, coded` codes every chunk that is not the same, as a transfer does, in one thread, and decodes it; `ours, sent` is
a transfer over a link of 1 Gbit/s with 50 ms round trip, which chooses by itself. Both give back the new checkpoint bit
by bit, or fail.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from delta_peers import PACKAGES, PEERS
from delta_states import APART, State, states
from report import table, write
from sojourn.checkpoint.files import load_file_set
from sojourn.checkpoint.manifest import Manifest
from sojourn.runlog.log import RunLog
from sojourn.runlog.records import CommitInfo
from sojourn.store.posix import PosixStore
from sojourn.transfer.codec import Run, decode, encode
from sojourn.transfer.pieces import pieces
from sojourn.transfer.runs import by_file, runs_of
from transfer_link import Shape, linked
from transfer_peers import install
from transfer_state import commit, new_run

ENDS = Path(__file__).with_name("transfer_ends.py")
KINDS = ("dense", "frozen base", "embeddings")
LINK = Shape("1 Gbit/s, 50 ms", mbit=1000, trip_ms=50)
SHARDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1024, help="width of the layers; 1024: states of 22 to 38 MB")
    parser.add_argument("--kinds", default=",".join(KINDS))
    args = parser.parse_args()
    install(PACKAGES)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind in args.kinds.split(","):
            at = dict(states(kind, args.scale))
            found[kind] = {apart: measure(at[0], at[apart], Path(name) / f"{kind}-{apart}") for apart in APART}
    write("delta", page(found), {"scale": args.scale, "kinds": found})
    plot(found)


def measure(old: State, new: State, folder: Path) -> dict[str, Any]:
    """What each side takes from one state to the other."""
    log = new_run(PosixStore(folder / "source"))
    before, after = commit(log, old, 1, SHARDS), commit(log, new, 2, SHARDS)
    shards = [folder / name for name in ("old", "new")]
    for info, place in zip((before, after), shards, strict=True):
        place.mkdir()
        for path in (folder / "source" / log.prefix / info.checkpoint).glob("ckpt.data-*"):
            shutil.copy(path, place / path.name)
    size = sum(path.stat().st_size for path in shards[1].iterdir())
    took: dict[str, Any] = {"size": size, "ours, coded": coded(log, before, after)}
    took["ours, sent"] = sent(log, before, folder)
    for name, peer in PEERS.items():
        work = folder / "work"
        work.mkdir()
        took[name] = asdict(peer(*shards, work))
        shutil.rmtree(work)
    print(folder.name, json.dumps(took), file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return took


def coded(log: RunLog, before: CommitInfo, after: CommitInfo) -> dict[str, float]:
    """All chunks of the data files, one after the other, with processor seconds for either direction."""
    store, folders = log.store, [f"{log.prefix}/{info.checkpoint}" for info in (before, after)]
    sets = [load_file_set(store, at, info.manifest) for at, info in zip(folders, (before, after), strict=True)]
    manifest = Manifest.from_bytes(sets[1].manifest, source=folders[1])
    tensors = by_file(manifest.tensors, [file.name for file in manifest.files])
    known = {piece.digest for file in sets[0].files for piece in pieces(file, sets[0].chunk_bytes)}
    size = total = 0
    encoding = decoding = 0.0
    for file in sets[1].files:
        for piece in pieces(file, sets[1].chunk_bytes):
            if piece.digest in known:
                continue
            # A file whose length differs (the index) may have no chunk at this place.
            data, base = (store.read(f"{at}/{file.name}", piece.offset, piece.length) for at in reversed(folders))
            runs = runs_of(tensors[file.name], piece.offset, piece.offset + piece.length)
            made, took = one(data, base if len(base) == len(data) else None, runs)
            size, total = size + made, total + len(data)
            encoding, decoding = encoding + took[0], decoding + took[1]
    rates = {"encode GB/s": total / max(encoding, 1e-9) / 1e9, "decode GB/s": total / max(decoding, 1e-9) / 1e9}
    return {"bytes": size, **(rates if total else {})}


def one(data: bytes, base: bytes | None, runs: list[Run]) -> tuple[int, tuple[float, float]]:
    """Bytes that a chunk takes, and processor seconds for coding and decoding it."""
    began = time.thread_time()
    made = encode(data, base, runs)
    middle = time.thread_time()
    back = decode(made, base, len(data)) if made is not None else data
    end = time.thread_time()
    assert back == data
    return len(made or data), (middle - began, end - middle)


def sent(log: RunLog, before: CommitInfo, folder: Path) -> dict[str, float]:
    """A transfer of the run to a store that has the old checkpoint, in another network."""
    target = PosixStore(folder / "target")
    child = new_run(target)
    shutil.copytree(
        folder / "source" / log.prefix / before.checkpoint, folder / "target" / child.prefix / before.checkpoint
    )
    child.commit(term=child.state.term, attempt_id=child.state.attempt_id, commit=before)
    keys = folder / "keys.json"
    subprocess.run([sys.executable, ENDS, "keys", keys], check=True)
    with linked(LINK, folder) as (here, there):
        serve = here.command(sys.executable, str(ENDS), "serve", "ours", str(keys), str(folder / "source"))
        with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            where = (str(keys), str(folder / "target"), here.address, server.stdout.readline().strip(), "8")
            said = json.loads(there.run(sys.executable, str(ENDS), "fetch", "ours", *where))
            assert server.stdin is not None
            server.stdin.close()
    return {"bytes": said["sent"], "seconds": said["seconds"]}


def page(found: dict[str, Any]) -> str:
    """Bytes against the size of the new checkpoint, and the codec's rates."""
    sides = ["ours, coded", "ours, sent", *PEERS]
    rows, rates = [], []
    for kind, by_steps in found.items():
        for apart, took in by_steps.items():
            shares = [f"{100 * took[side]['bytes'] / took['size']:.1f} %" for side in sides]
            rows.append([kind, str(apart), f"{took['size'] / 1e6:.1f}", *shares])
            mine = took["ours, coded"]
            if "encode GB/s" in mine:
                rates.append([kind, str(apart), *(f"{mine[f'{way} GB/s']:.2f}" for way in ("encode", "decode"))])
    shares = table(["state", "steps apart", "MB", *sides], rows)
    return f"{shares}\n\n{table(['state', 'steps apart', 'encode, GB/s of a core', 'decode'], rates)}"


def plot(found: dict[str, Any]) -> None:
    """Bytes against steps apart, to benchmarks/out/delta.svg."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    from report import OUT

    figure, axes = pyplot.subplots(1, len(found), figsize=(4 * len(found), 3), squeeze=False)
    for axis, (kind, by_steps) in zip(axes[0], found.items(), strict=True):
        for side in ("ours, coded", *PEERS):
            axis.plot(
                list(by_steps), [100 * took[side]["bytes"] / took["size"] for took in by_steps.values()], label=side
            )
        axis.set(title=kind, xlabel="steps apart", ylabel="% of the size", xscale="log")
    axes[0][0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(OUT / "delta.svg")


if __name__ == "__main__":
    main()
