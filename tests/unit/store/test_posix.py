"""What only a directory can get wrong: half-written files, power cuts, full disks, killed writers."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.victims import is_whole
from sojourn.errors import StoreError
from sojourn.store.base import KeyExists, KeyMissing, StoreDenied
from sojourn.store.keys import TEMP_PREFIX
from sojourn.store.oserrors import store_error
from sojourn.store.posix import PosixStore, _PartialFile

VICTIM = [sys.executable, "-m", "helpers.victims"]


@pytest.mark.parametrize("kill_after", [1, 7, 20, 33, 50])
def test_a_killed_writer_leaves_nothing_half_written(fast_folder: Path, kill_after: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([*VICTIM, str(fast_folder)], stdout=subprocess.PIPE, env=environment) as victim:
        assert victim.stdout is not None
        victim.stdout.read(kill_after)
        store = PosixStore(fast_folder)
        while_writing = [store.read(info.key) for info in store.list("created")]
        victim.send_signal(signal.SIGKILL)
    found = list(store.list())
    assert len([info for info in found if info.key.startswith("created/")]) >= kill_after
    assert all(is_whole(data) for data in while_writing)
    assert all(is_whole(store.read(info.key)) and info.size == store.stat(info.key).size for info in found)
    store.sweep_temporary(older_than=-1)
    left = [path for path in fast_folder.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(fast_folder).as_posix() for path in left) == [info.key for info in found]


def test_temporary_files_are_never_listed_and_swept_when_stale(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    store.put("a/b", b"1")
    with store.open_writer("a/c") as writer:
        writer.write(b"half")
        (temporary,) = [path for path in (tmp_path / "a").iterdir() if path.name.startswith(TEMP_PREFIX)]
        assert [info.key for info in store.list()] == ["a/b"]
        written = temporary.stat().st_mtime
        assert store.sweep_temporary(older_than=3600, now=written + 3599) == 0
        assert temporary.exists()
    abandoned = tmp_path / "only" / f"{TEMP_PREFIX}x"
    abandoned.parent.mkdir()
    abandoned.write_bytes(b"half")
    assert list(store.list_folders()) == ["a"]
    assert store.sweep_temporary(older_than=3600, now=abandoned.stat().st_mtime + 3601) == 1
    assert [info.key for info in store.list()] == ["a/b", "a/c"]


def test_everything_is_synced_before_it_is_visible(tmp_path: Path) -> None:
    """The order of the system calls that matter, as the kernel saw them."""
    strace = shutil.which("strace")
    if not strace or subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("strace is not installed, or may not trace here (apt-get install strace)")
    program = f"""
from sojourn.store.base import KeyExists
from sojourn.store.posix import PosixStore, _PartialFile
store = PosixStore({str(tmp_path / "store")!r})
store.create("x/y/0.json", b"entry")
store.put("x/put", b"data")
try:
    store.create("x/y/0.json", b"another")
except KeyExists:
    print("exists")
"""
    trace = tmp_path / "trace"
    calls = "trace=link,linkat,rename,renameat,renameat2,fsync,fdatasync,mkdir,mkdirat,unlink,unlinkat,write"
    command = [strace, "-y", "-e", calls, "-o", str(trace), sys.executable, "-c", program]
    subprocess.run(command, check=True)
    root = f"{tmp_path}/store"
    seen = []
    for line in trace.read_text().splitlines():
        paths = re.findall(rf"{root}([^\">]*)[\">]", line)
        if paths:
            names = ["temporary" if TEMP_PREFIX in path else path or "/" for path in paths]
            seen.append(" ".join([line.partition("(")[0].removesuffix("at").removesuffix("at2"), *names]))
    make_folders = ["mkdir /", "mkdir /x", "fsync /", "mkdir /x/y", "fsync /x"]
    create = ["write temporary", "fsync temporary", "link temporary /x/y/0.json", "fsync /x/y", "unlink temporary"]
    put = ["write temporary", "fsync temporary", "rename temporary /x/put", "fsync /x", "unlink temporary"]
    # Whoever is told that the key exists may rely on its being there after a power cut, so that is synced too.
    assert seen == make_folders + create + put + create


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "failed"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "owner and mode"),
        (errno.EPERM, "link"),
        (errno.EOPNOTSUPP, "link"),
        (errno.EXDEV, "one file system"),
        (errno.ESTALE, "NFS"),
    ],
)
def test_the_systems_errors_say_where_and_what_to_do(number: int, word: str) -> None:
    error = store_error(OSError(number, os.strerror(number)), Path("/data/runs/x"), "write")
    assert isinstance(error, StoreError)
    assert error.message == f"cannot write /data/runs/x: {os.strerror(number)}"
    assert word in error.hint
    assert isinstance(error, StoreDenied) == (number == errno.EACCES)
    assert isinstance(store_error(FileNotFoundError(errno.ENOENT, "gone"), Path("/x"), "read"), KeyMissing)


FULL = """
mount -t tmpfs -o size=256k none "$1" && exec "$2" -c '
import sys
from sojourn.errors import StoreError
from sojourn.store.posix import PosixStore, _PartialFile
store = PosixStore(sys.argv[1] + "/runs")
store.put("kept", b"x" * 100_000)
for write in (store.create, store.put):
    for key in ("kept" if write == store.put else "new", "other/new"):
        try:
            write(key, b"y" * 300_000)
        except StoreError as error:
            print(error.message, "|", error.hint)
store.create("small", b"z")
print([(info.key, info.size) for info in store.list()], store.read("kept") == b"x" * 100_000, store.free_bytes() > 0)
' "$1"
"""


def test_a_full_disk(tmp_path: Path) -> None:
    try_it = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*try_it, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small file system (unshare --user --mount)")
    command = [*try_it, "sh", "-c", FULL, "sh", str(tmp_path), sys.executable]
    *errors, left = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(errors) == 4
    for line in errors:
        assert line.startswith(f"cannot write {tmp_path}/runs/")
        assert "No space left on device | The file system is full: free room there" in line
    assert left == "[('kept', 100000), ('small', 1)] True True"


def test_a_file_size_limit_in_mid_write(tmp_path: Path) -> None:
    """A write that fails half-way, without any privilege: the process may not write files larger than 1 MB."""
    store = PosixStore(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write .*/a/big: File too large"):
            store.put("a/big", b"x" * (2 << 20))
        with pytest.raises(StoreError, match="File too large"):
            _stream(store, "a/big", [b"x" * (1 << 19)] * 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _stream(store: PosixStore, key: str, parts: list[bytes]) -> None:
    with store.open_writer(key) as writer:
        for part in parts:
            writer.write(part)


def test_a_finished_object_whose_file_closes_with_an_error(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    with store.open_partial("a/b", 5, "token") as partial:
        partial.write(0, b"whole")
        partial.finish()
        assert isinstance(partial, _PartialFile)
        os.close(partial.descriptor)
    assert store.read("a/b") == b"whole"


def test_a_store_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = PosixStore(tmp_path / "file" / "runs")
    with pytest.raises(StoreError, match="Not a directory") as caught:
        store.create("a", b"")
    assert "directory of its own" in caught.value.hint
    assert list(store.list()) == []
    with pytest.raises(KeyMissing):
        store.read("a")


def test_a_directory_that_cannot_be_made() -> None:
    with pytest.raises(StoreError, match="cannot write /proc/sojourn/a") as caught:
        PosixStore("/proc/sojourn").put("a", b"")
    assert "whether it is mounted" in caught.value.hint


def test_deleting_leaves_no_empty_folders(tmp_path: Path) -> None:
    store = PosixStore(tmp_path / "root")
    store.put("a/b/c/d", b"")
    store.put("a/e", b"")
    store.delete("a/b/c/d")
    assert [path.name for path in (tmp_path / "root" / "a").iterdir()] == ["e"]
    store.delete("a/e")
    assert (tmp_path / "root").is_dir()
    assert list((tmp_path / "root").iterdir()) == []


def test_stores_of_several_processes_see_each_other(tmp_path: Path) -> None:
    one, other = PosixStore(tmp_path), PosixStore(tmp_path / ".." / tmp_path.name)
    one.create("a", b"1")
    with pytest.raises(KeyExists):
        other.create("a", b"2")
    assert other.read("a") == b"1"
    assert PosixStore("relative/path").uri == (Path.cwd() / "relative/path").as_uri()


def test_a_partial_object_is_found_again_and_seen_when_it_is_finished(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    assert store.partial_bytes("a/b", "token") == 0
    with store.open_partial("a/b", 3 << 20, "token") as partial:
        partial.write(1 << 20, b"middle")
        assert partial.read(1 << 20, 6) == b"middle"
        assert partial.read(2 << 20, 6) == b""
    assert store.partial_bytes("a/b", "token") > 0
    assert list(store.list()) == []
    with store.open_partial("a/b", 3 << 20, "token") as partial, store.open_partial("a/b", 3 << 20, "token") as other:
        assert partial.read(1 << 20, 6) == b"middle"
        other.write(0, b"start")
        partial.finish()
        other.finish()
    assert store.read("a/b", 0, 5) == b"start"
    assert store.stat("a/b").size == 3 << 20
    assert store.partial_bytes("a/b", "token") == 0


def test_temporary_files_of_one_folder_alone_are_swept(tmp_path: Path) -> None:
    store = PosixStore(tmp_path)
    for folder in ("a", "b"):
        with store.open_partial(f"{folder}/x", 10, "token"):
            pass
    assert store.sweep_temporary(-1, prefix="a") == 1
    assert [path.parent.name for path in tmp_path.rglob(".sojourn-tmp-*")] == ["b"]
