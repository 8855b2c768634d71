"""A run carried between two network namespaces, beside a null pipeline of ours and beside rclone, rsync and aria2.

    make bench-transfer     (python benchmarks/transfer.py --megabytes 4096 --rounds 5 for the whole of it)
    python benchmarks/transfer.py --curve 1,2,4,8,16     throughput against streams instead

Sides alternate, round by round. Seconds run until everything is durable; ours has verified each chunk by then. The
null pipeline is the ceiling: the same processes, connections and encryption without digests and checks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from report import summary, table, write
from sojourn.store.posix import PosixStore
from transfer_link import Shape, linked
from transfer_peers import PACKAGES, PEERS, Work, install, iperf3
from transfer_state import commit, new_run, noise

Curve = dict[int, dict[str, list[dict[str, float]]]]
ENDS = Path(__file__).with_name("transfer_ends.py")
SHAPES = (
    Shape("unshaped"),
    Shape("1 Gbit/s, 50 ms round trip", mbit=1000, trip_ms=50),
    Shape("1 Gbit/s, 50 ms, one frame in 2,000 lost", mbit=1000, trip_ms=50, loss=2000),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--curve", default="", help="numbers of streams to go through, such as 1,2,4,8,16")
    parser.add_argument("--links", default="0,1,2", help="which of " + "; ".join(shape.name for shape in SHAPES))
    parser.add_argument("--sides", default=f"ours,null,{','.join(PEERS)}")
    parser.add_argument("--folder", type=Path, help="where the bytes lie; default: a temporary folder")
    args = parser.parse_args()
    install(PACKAGES)
    counts = [int(count) for count in args.curve.split(",") if count]
    if counts and args.sides == parser.get_default("sides"):
        # rsync has one connection, whatever is asked for.
        args.sides = "ours,null,rclone,aria2"
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        shards = prepare(folder, args.megabytes, args.shards)
        found: dict[str, dict[str, list[dict[str, float]]]] = {}
        curves: dict[str, Curve] = {}
        for shape in (SHAPES[int(number)] for number in args.links.split(",")):
            with linked(shape, folder) as (source, target):
                work = Work(source, target, shards, folder / "in", args.streams, folder / "tls.crt", folder / "tls.key")
                if counts:
                    curves[shape.name] = {
                        count: measure(replace(work, streams=count), folder, args) for count in counts
                    }
                else:
                    found[shape.name] = measure(work, folder, args)
    megabytes = args.megabytes * (1 << 20) / 1e6
    if counts:
        show_curves(curves, megabytes, args)
        return
    pages = [page(name, links, megabytes) for name, links in found.items()]
    head = f"{args.megabytes} MiB of noise in {args.shards} shards, {args.streams} streams, {args.rounds} rounds."
    write("transfer", "\n\n".join([head, *pages]), {"megabytes": megabytes, "links": found})
    plot(found, megabytes)


def prepare(folder: Path, megabytes: int, shards: int) -> Path:
    """The run to carry, both ends' keys, a certificate for the peers' servers; returns the folder of the shards."""
    log = new_run(PosixStore(folder / "source"))
    info = commit(log, noise(megabytes, shards), 1, shards)
    subprocess.run([sys.executable, ENDS, "keys", folder / "keys.json"], check=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(folder / "tls.key")]
    certificate = ["-x509", "-days", "2", "-subj", "/CN=bench", "-out", str(folder / "tls.crt")]
    subprocess.run(["openssl", "req", *key, *certificate], check=True, capture_output=True)
    shard_folder = folder / "shards"
    shard_folder.mkdir()
    for path in (folder / "source" / log.prefix / info.checkpoint).glob("ckpt.data-*"):
        (shard_folder / path.name).hardlink_to(path)
    return shard_folder


def measure(work: Work, folder: Path, args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """What each side took, round by round, on one link."""
    sides = args.sides.split(",")
    rounds: dict[str, list[dict[str, float]]] = {side: [] for side in [*sides, "iperf3"]}
    for number in range(args.rounds):
        rounds["iperf3"].append({"bytes/s": iperf3(work)})
        # Nobody is always the one behind the same other.
        for side in sides if number % 2 == 0 else reversed(sides):
            took = {"seconds": PEERS[side](work)} if side in PEERS else carry(side, work, folder)
            rounds[side].append(took)
            print(side, took, file=sys.stderr, flush=True)
            shutil.rmtree(work.into, ignore_errors=True)
    return rounds


def carry(side: str, work: Work, folder: Path) -> dict[str, float]:
    """Ours, or the null pipeline."""
    common = (sys.executable, str(ENDS))
    serve = work.source.command(*common, "serve", side, str(folder / "keys.json"), str(folder / "source"))
    with subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        where = (str(folder / "keys.json"), str(work.into), work.source.address, server.stdout.readline().strip())
        took: dict[str, float] = json.loads(work.target.run(*common, "fetch", side, *where, str(work.streams)))
        assert server.stdin is not None
        server.stdin.close()
    return took


def page(name: str, rounds: dict[str, list[dict[str, float]]], megabytes: float) -> str:
    """One link's table. Ratios are of the same round."""
    line = [lap["bytes/s"] / 1e6 for lap in rounds["iperf3"]]
    seconds = {side: [lap["seconds"] for lap in laps] for side, laps in rounds.items() if side != "iperf3"}
    rows = []
    for side, laps in seconds.items():
        ours = [theirs / mine for mine, theirs in zip(seconds["ours"], laps, strict=True)]
        of_line = [megabytes / lap / rate for lap, rate in zip(laps, line, strict=True)]
        rows.append([side, summary([megabytes / lap for lap in laps], 0), summary(of_line), summary(ours)])
    head = ["side", "MB/s", "of iperf3's rate", "its seconds / ours"]
    return f"## {name}\n\niperf3: {summary(line, 0)} MB/s.\n\n{table(head, rows)}"


def show_curves(curves: dict[str, Curve], megabytes: float, args: argparse.Namespace) -> None:
    """Throughput against streams: a table for each link, and benchmarks/out/transfer-streams.svg."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    from report import OUT

    sides = [*args.sides.split(","), "iperf3"]
    pages = []
    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.5 * len(curves), 3.2), squeeze=False)
    for axis, (name, curve) in zip(axes[0], curves.items(), strict=True):
        rates = {side: [_rates(side, rounds, megabytes) for rounds in curve.values()] for side in sides}
        rows = [[side, *(summary(laps, 0) for laps in of_side)] for side, of_side in rates.items()]
        pages.append(f"## {name}\n\n{table(['MB/s, by streams', *map(str, curve)], rows)}")
        for side, of_side in rates.items():
            axis.plot(list(curve), [statistics.median(laps) for laps in of_side], marker="o", label=side)
        axis.set(title=name, xlabel="streams", ylabel="MB/s", xscale="log", xticks=list(curve), ylim=(0, None))
        axis.set_xticks(list(curve), labels=list(map(str, curve)))
        axis.title.set_fontsize(8)
        axis.legend(fontsize=7)
    head = f"{args.megabytes} MiB of noise in {args.shards} shards, {args.rounds} rounds."
    write("transfer-streams", "\n\n".join([head, *pages]), {"megabytes": megabytes, "links": curves})
    figure.tight_layout()
    figure.savefig(OUT / "transfer-streams.svg")


def _rates(side: str, rounds: dict[str, list[dict[str, float]]], megabytes: float) -> list[float]:
    return [lap["bytes/s"] / 1e6 if side == "iperf3" else megabytes / lap["seconds"] for lap in rounds[side]]


def plot(found: dict[str, dict[str, list[dict[str, float]]]], megabytes: float) -> None:
    """Bars of the medians, to benchmarks/out/transfer.svg."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    from report import OUT

    figure, axes = pyplot.subplots(1, len(found), figsize=(4 * len(found), 3), squeeze=False)
    for axis, (name, rounds) in zip(axes[0], found.items(), strict=True):
        rates: dict[str, Any] = {"iperf3": statistics.median(lap["bytes/s"] / 1e6 for lap in rounds["iperf3"])}
        for side, laps in rounds.items():
            if side != "iperf3":
                rates[side] = statistics.median(megabytes / lap["seconds"] for lap in laps)
        axis.barh(list(rates), list(rates.values()))
        axis.set(title=name, xlabel="MB/s")
        axis.title.set_fontsize(8)
    figure.tight_layout()
    figure.savefig(OUT / "transfer.svg")


if __name__ == "__main__":
    main()
