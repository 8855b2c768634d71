"""What signing and verifying a checkpoint costs (goal B10): ours, model-signing, sha256sum, and a null pipeline.

    python benchmarks/sign.py [--megabytes 4096] [--rounds 5] [--shards 16] [--folder DIR]

Each side is a process of its own that signs and then verifies the same committed checkpoint, which the page cache
holds. The ceiling is a process that only reads the files and hashes them by BLAKE3, once for each of the two, with as
many threads. Every side's signature is then verified by the other tool.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import OUT, summary, table, write
from sojourn.store.posix import PosixStore
from transfer_state import commit, new_run, noise

HERE = Path(__file__).parent
PEER = ("model-signing==1.1.1", "pyopenssl")
CEILING, OURS, DEFAULT, BLAKE3, SHA256SUM = (
    "null pipeline",
    "sojourn",
    "model-signing",
    "model-signing BLAKE3",
    "sha256sum",
)

Seconds = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Place:
    """The checkpoint and the keys: its store and folder, a private and a public key, and room for signatures."""

    store: Path
    checkpoint: Path
    private: Path
    public: Path
    scratch: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=4096, help="size of the checkpoint")
    parser.add_argument("--shards", type=int, default=16, help="files that it consists of")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the checkpoint is written: a disk, not tmpfs")
    options = parser.parse_args()
    peer = peer_python()
    with tempfile.TemporaryDirectory(prefix="bench-sign-", dir=options.folder) as folder:
        place = prepare(Path(folder), options.megabytes, options.shards)
        sides = commands(place, peer)
        for phases in sides.values():
            # Nothing is first to import, and all is in the page cache.
            measure(phases)
        found: dict[str, Seconds] = {side: {"sign": [], "verify": []} for side in sides}
        for number in range(options.rounds):
            for side in list(sides) if number % 2 == 0 else reversed(sides):
                for phase, seconds in measure(sides[side]).items():
                    found[side][phase].append(seconds)
            # After every round, so that whoever has no patience for all of them has something.
            write("sign", page(found, options), {"seconds": found, "megabytes": options.megabytes, "peers": PEER})
            plot(found)
        check_each_other(place, peer)


def prepare(folder: Path, megabytes: int, shards: int) -> Place:
    """Commit a checkpoint of noise, and make a key."""
    store = folder / "store"
    log = new_run(PosixStore(store))
    info = commit(log, noise(megabytes, shards), 1, shards)
    private, public = folder / "private.pem", folder / "public.pem"
    make_keys(private, public)
    return Place(store, store / log.prefix / info.checkpoint, private, public, folder)


def make_keys(private: Path, public: Path) -> None:
    """A new key on P-256, in two PEM files."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1())
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def commands(place: Place, peer: str) -> dict[str, dict[str, list[str]]]:
    """Command lines of every side, by phase."""
    sojourn = str(Path(sys.executable).with_name("sojourn"))
    files = [str(path) for path in sorted(place.checkpoint.iterdir())]
    null = [sys.executable, str(HERE / "sign_sides.py"), "null", str(place.checkpoint)]
    sums = str(place.scratch / "sums")
    each = f"xargs -0 -n 1 -P {os.cpu_count()} sha256sum"

    def theirs(phase: str, algorithm: str) -> list[str]:
        key = place.private if phase == "sign" else place.public
        signature = place.scratch / f"{algorithm}.sig"
        return [peer, str(HERE / "sign_sides.py"), phase, algorithm, str(place.checkpoint), str(signature), str(key)]

    return {
        CEILING: {"sign": null, "verify": null},
        OURS: {
            "sign": [sojourn, "sign", "bench", "--store", str(place.store), "--key", str(place.private)],
            "verify": [sojourn, "verify", "bench@latest", "--store", str(place.store), "--key", str(place.public)],
        },
        DEFAULT: {phase: theirs(phase, "sha256") for phase in ("sign", "verify")},
        BLAKE3: {phase: theirs(phase, "blake3") for phase in ("sign", "verify")},
        # The sum of one process for each file, as many at once as there are cores.
        SHA256SUM: {
            "sign": ["sh", "-c", f'printf "%s\\0" "$@" | {each} >{sums}', "sh", *files],
            "verify": [
                "sh",
                "-c",
                f"tr '\\n' '\\0' <{sums} | xargs -0 -n 1 -P {os.cpu_count()} "
                'sh -c \'printf "%s\\n" "$0" | sha256sum --check --status\'',
            ],
        },
    }


def measure(phases: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Seconds of each phase, from the start of its process to its end."""
    found = {}
    for phase, command in phases.items():
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[phase] = time.perf_counter() - began
    return found


def check_each_other(place: Place, peer: str) -> None:
    """Our signature holds for model-signing, and theirs for us. Raises CalledProcessError."""
    tool = str(Path(peer).with_name("model_signing"))
    sides = commands(place, peer)
    ours = place.checkpoint / "model.sig"
    check = [tool, "verify", "key", "--signature", str(ours), "--public_key", str(place.public), str(place.checkpoint)]
    measure({"sign": [*sides[OURS]["sign"], "--hash", "sha256"], "verify": check})
    for side, algorithm in ((DEFAULT, "sha256"), (BLAKE3, "blake3")):
        theirs = place.scratch / f"{algorithm}.sig"
        measure({"sign": sides[OURS]["sign"]})
        if side == BLAKE3:
            kept = theirs.read_bytes()
            theirs.write_bytes(ours.read_bytes())
            measure({"verify": sides[side]["verify"]})
            theirs.write_bytes(kept)
        ours.write_bytes(theirs.read_bytes())
        measure({"verify": sides[OURS]["verify"]})


def peer_python() -> str:
    """model-signing has an environment of its own, which is made once."""
    folder = OUT / "model-signing"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        # pyopenssl: version 1.1.1 imports it, and does not ask for it.
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PEER], check=True)
        (folder / "ready").touch()
    return str(python)


def totals(seconds: Seconds) -> list[float]:
    """Sign and verify together, of each round."""
    return [sign + verify for sign, verify in zip(seconds["sign"], seconds["verify"], strict=True)]


def page(found: Mapping[str, Seconds], options: Any) -> str:
    """The figures, and what they say of the goals."""
    size = options.megabytes * 2**20 / 1e9
    ceiling, ours = totals(found[CEILING]), totals(found[OURS])
    best = min((DEFAULT, BLAKE3), key=lambda side: statistics.median(totals(found[side])))
    rows = []
    for side, seconds in found.items():
        both = totals(seconds)
        share = [one / other for one, other in zip(ceiling, both, strict=True)]
        rate = 2 * size / statistics.median(both)
        figures = (summary(seconds["sign"]), summary(seconds["verify"]), summary(both), f"{rate:.2f}", summary(share))
        rows.append([side, *figures])
    share = ratio(ceiling, ours)
    peer = ratio(totals(found[best]), ours)
    head = ("side", "sign, s", "verify, s", "both, s", "GB/s", "of the ceiling")
    said = [
        f"A checkpoint of {options.megabytes} MiB in {options.shards} files and a manifest, in the page cache; "
        f"whole processes, their start included; {len(ceiling)} rounds. Median (least to most).",
        table(head, rows),
        f"Of the ceiling: {share:.2f} (goal 0.8). {peer:.2f} times as fast as model-signing's best, {best} (goal 1.2).",
    ]
    return "\n\n".join(said)


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over the rounds, each of which is compared with itself."""
    return statistics.median(first / second for first, second in zip(one, other, strict=True))


def plot(found: Mapping[str, Seconds]) -> None:
    """Seconds of both phases, as benchmarks/out/sign.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.5))
    names = list(found)
    left = [0.0] * len(names)
    for phase in ("sign", "verify"):
        middle = [statistics.median(found[name][phase]) for name in names]
        axes.barh(names, middle, left=left, label=phase)
        left = [before + more for before, more in zip(left, middle, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(OUT / "sign.png", dpi=120)


if __name__ == "__main__":
    main()
