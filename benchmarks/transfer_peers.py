"""How the peers of the transfer benchmark carry a folder: what each serves, and what each fetches with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transfer_link import Site

PACKAGES = {"rclone": "rclone", "rsync": "rsync", "aria2c": "aria2", "iperf3": "iperf3"}
PORT = 9077
PATIENCE = 20.0


def install(packages: dict[str, str]) -> None:
    """What is missing of the peers, from the distribution."""
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if missing:
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


@dataclass(frozen=True, slots=True)
class Work:
    """What every side gets: both ends of the link, the folder to carry, where to, streams, and a TLS key pair."""

    source: Site
    target: Site
    shards: Path
    into: Path
    streams: int
    certificate: Path
    key: Path

    def fetch(self, *command: str) -> float:
        """Seconds for a command at the target, and for fsync of what it wrote: no peer does that itself."""
        shutil.rmtree(self.into, ignore_errors=True)
        self.into.mkdir(parents=True)
        began = time.perf_counter()
        done = subprocess.run(self.target.command(*command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        for path in self.into.rglob("*"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        return time.perf_counter() - began

    @contextmanager
    def serving(self, *command: str) -> Iterator[None]:
        """A server at the source, once its port is open."""
        process = subprocess.Popen(self.source.command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            limit = time.monotonic() + PATIENCE
            while f":{PORT} " not in self.source.run("ss", "-ltn"):
                assert process.poll() is None, command
                assert time.monotonic() < limit, command
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.communicate()

    @property
    def tls(self) -> tuple[str, ...]:
        return (f"--cert={self.certificate}", f"--key={self.key}")

    @property
    def address(self) -> str:
        return f"https://{self.source.address}:{PORT}"


def rclone(work: Work) -> float:
    """WebDAV over TLS, as many files at once as there are streams; sizes are compared, WebDAV has no digests."""
    with work.serving("rclone", "serve", "webdav", str(work.shards), f"--addr=:{PORT}", *work.tls):
        options = ["--no-check-certificate", f"--transfers={work.streams}", "--webdav-vendor=other", "--config="]
        return work.fetch("rclone", "copy", f"--webdav-url={work.address}", *options, ":webdav:", str(work.into))


def rsync(work: Work) -> float:
    """The daemon's own protocol: one connection, no encryption, whole files, MD5 or xxh128 of each."""
    config = work.into.parent / "rsyncd.conf"
    module = f"[shards]\npath = {work.shards}\nuse chroot = no\nread only = yes\n"
    config.write_text(f"uid = 0\ngid = 0\n{module}")
    with work.serving("rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={PORT}"):
        url = f"rsync://{work.source.address}:{PORT}/shards/"
        return work.fetch("rsync", "-r", "--whole-file", url, f"{work.into}/")


def aria2(work: Work) -> float:
    """HTTPS, several files at once, several ranges of each; nothing is verified beyond sizes."""
    listed = work.into.parent / "aria2.txt"
    listed.write_text("".join(f"{work.address}/{path.name}\n" for path in sorted(work.shards.iterdir())))
    with work.serving("rclone", "serve", "http", str(work.shards), f"--addr=:{PORT}", *work.tls):
        options = ["--check-certificate=false", "--file-allocation=none", "-q", f"--dir={work.into}"]
        share = ["-x2", "-s2", f"-j{max(1, work.streams // 2)}"]
        return work.fetch("aria2c", f"--input-file={listed}", *share, *options)


def iperf3(work: Work, seconds: int = 5) -> float:
    """Bytes per second of as many plain TCP connections, discarded as they come."""
    with work.serving("iperf3", "--server", f"--port={PORT}"):
        options = ["-R", f"-P{work.streams}", f"-t{seconds}", "-O1", "--json", f"-p{PORT}"]
        found = json.loads(work.target.run("iperf3", "-c", work.source.address, *options))
    return float(found["end"]["sum_received"]["bits_per_second"]) / 8


PEERS = {"rclone": rclone, "rsync": rsync, "aria2": aria2}
