"""How fast shards are written and read: against a plain write + fsync of the same bytes, and a plain read.

    python benchmarks/checkpoint_io.py [--folder DIR] [--megabytes 512] [--rounds 5]

Rounds alternate between the two sides; the median of each and the ratio of medians are printed as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from sojourn.checkpoint import CheckpointMeta, CheckpointReader, Manifest, ShardWriter, finish, shard_key
from sojourn.store.posix import PosixStore

PIECE = 1 << 20


def write_plain(path: Path, arrays: list[np.ndarray]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for array in arrays:
        flat = array.reshape(-1).view(np.uint8)
        for start in range(0, flat.nbytes, PIECE):
            os.write(descriptor, flat[start : start + PIECE].data)
    os.fsync(descriptor)
    os.close(descriptor)


def write_shard(store: PosixStore, checkpoint: str, arrays: list[np.ndarray]) -> Manifest:
    with ShardWriter(store, shard_key("run", checkpoint, 0, 1)) as shard:
        for number, array in enumerate(arrays):
            shard.add(f"model/layer_{number}/kernel", "float32", array.shape, array)
    return finish(store, "run", checkpoint, [shard.report], CheckpointMeta(step=1))[0]


def read_plain(path: Path) -> None:
    target = bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while file.readinto(target):
            pass


def read_verified(store: PosixStore, manifest: Manifest) -> None:
    CheckpointReader(store, "run", manifest).read()


def one_round(folder: Path, checkpoint: str, arrays: list[np.ndarray]) -> dict[str, float]:
    """Seconds of each of the four, and processor seconds of the two that are ours."""
    store, plain = PosixStore(folder), folder / "plain"
    clock, cpu = [time.perf_counter()], [time.process_time()]

    def lap() -> None:
        clock.append(time.perf_counter())
        cpu.append(time.process_time())

    write_plain(plain, arrays)
    lap()
    manifest = write_shard(store, checkpoint, arrays)
    lap()
    read_plain(plain)
    lap()
    read_verified(store, manifest)
    lap()
    for path in [plain, *(folder / "run" / checkpoint).iterdir()]:
        path.unlink()
    names = ("plainWrite", "shardWrite", "plainRead", "verifiedRead")
    found = {name: clock[number + 1] - clock[number] for number, name in enumerate(names)}
    return found | {"shardWriteCpu": cpu[2] - cpu[1], "verifiedReadCpu": cpu[4] - cpu[3]}


def measure(folder: Path, arrays: list[np.ndarray], rounds: int) -> dict[str, float]:
    """Medians over the rounds; the first one only warms up."""
    found = [one_round(folder, f"data/{number}-1-u", arrays) for number in range(rounds + 1)][1:]
    median = {name: statistics.median(times[name] for times in found) for name in found[0]}
    megabytes = sum(array.nbytes for array in arrays) / 1e6
    return {
        "megabytes": round(megabytes, 1),
        "tensors": len(arrays),
        **{f"{name}MBps": round(megabytes / value, 1) for name, value in median.items()},
        "writeRatio": round(median["plainWrite"] / median["shardWrite"], 3),
        "readRatio": round(median["plainRead"] / median["verifiedRead"], 3),
        "writeMicrosecondsPerTensor": round(median["shardWrite"] / len(arrays) * 1e6, 1),
        "readMicrosecondsPerTensor": round(median["verifiedRead"] / len(arrays) * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    large = [rng.normal(size=(1024, 4096)).astype(np.float32) for _ in range(max(1, options.megabytes // 16))]
    small = [rng.normal(size=64).astype(np.float32) for _ in range(10_000)]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, arrays in (("large", large), ("small", small)):
            print(json.dumps({"case": name, **measure(Path(folder), arrays, options.rounds)}))


if __name__ == "__main__":
    main()
