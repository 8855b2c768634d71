"""Packing a job's code: the same bytes everywhere, nothing that does not belong, nothing unpacked outside."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.checkpoint.digest import digest
from sojourn.errors import CorruptData, InvalidInput, NotFound
from sojourn.task.archive import pack, unpack


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_pack_and_unpack(tmp_path: Path) -> None:
    source = write(tmp_path / "code", {"task.py": "x = 1\n", "lib/helper.py": "y = 2\n", "päck/ü.txt": "ö"})
    (source / "lib" / "tool.sh").write_text("#!/bin/sh\n")
    (source / "lib" / "tool.sh").chmod(0o700)
    archive = pack(source)
    assert archive.files == ("lib/helper.py", "lib/tool.sh", "päck/ü.txt", "task.py")
    folder = unpack(archive.data, archive.digest, tmp_path / "cache")
    assert (folder / "task.py").read_text() == "x = 1\n"
    assert (folder / "päck" / "ü.txt").read_text() == "ö"
    assert os.access(folder / "lib" / "tool.sh", os.X_OK)
    assert not os.access(folder / "task.py", os.X_OK)
    assert folder.name == archive.digest.removeprefix("blake3:")
    assert pack(folder).digest == archive.digest


def test_times_owners_places_and_order_do_not_matter(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"b.py": "1", "a/c.py": "2", "a.py": "3"})
    second = write(tmp_path / "elsewhere" / "b", {"a.py": "3", "a/c.py": "2", "b.py": "1"})
    os.utime(second / "a.py", (1, 1))
    (second / "a.py").chmod(0o600)
    assert pack(first).data == pack(second).data


def test_contents_and_names_matter(tmp_path: Path) -> None:
    digests = {
        pack(write(tmp_path / str(number), files)).digest
        for number, files in enumerate([{"a.py": "1"}, {"a.py": "2"}, {"b.py": "1"}, {"a.py": "1", "b.py": ""}])
    }
    assert len(digests) == 4


def test_caches_and_version_control_are_left_out(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        {
            "task.py": "",
            "__pycache__/task.cpython-311.pyc": "",
            "lib/__pycache__/x.pyc": "",
            "lib/y.pyc": "",
            ".git/HEAD": "",
            ".venv/bin/python": "",
            "lib/.DS_Store": "",
        },
    )
    assert pack(source).files == ("task.py",)


def test_sojournignore(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        {
            ".sojournignore": "# data\n*.npz\n/notes\nlogs/\n!keep.npz\ndocs/**/*.md\nv[0-9].txt\n",
            "task.py": "",
            "big.npz": "",
            "lib/big.npz": "",
            "lib/keep.npz": "",
            "notes": "",
            "lib/notes": "",
            "logs/a.txt": "",
            "lib/logs/a.txt": "",
            "docs/a.md": "",
            "docs/x/y/b.md": "",
            "docs/x/c.rst": "",
            "v1.txt": "",
            "vx.txt": "",
        },
    )
    assert pack(source).files == (".sojournignore", "docs/x/c.rst", "lib/keep.npz", "lib/notes", "task.py", "vx.txt")


def test_links_inside_are_packed_as_files(tmp_path: Path) -> None:
    source = write(tmp_path, {"lib/real.py": "real"})
    (source / "alias.py").symlink_to("lib/real.py")
    (source / "also").symlink_to("lib")
    archive = pack(source)
    assert archive.files == ("alias.py", "also/real.py", "lib/real.py")


def test_links_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    source = write(tmp_path / "code", {"task.py": ""})
    (source / "lib").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="outside of the code folder"):
        pack(source)
    (source / ".sojournignore").write_text("/lib\n")
    assert "task.py" in pack(source).files


def test_links_in_a_circle_and_to_nowhere_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "code", {"lib/task.py": ""})
    (source / "lib" / "up").symlink_to("..")
    with pytest.raises(InvalidInput, match="a folder that contains it"):
        pack(source)
    (source / "lib" / "up").unlink()
    (source / "gone").symlink_to("nowhere")
    with pytest.raises(InvalidInput, match="leads nowhere"):
        pack(source)


def test_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        pack(tmp_path)


def test_a_folder_above_the_limit_names_its_largest_files(tmp_path: Path) -> None:
    source = write(tmp_path, {f"f{number}.txt": "x" * number * 1000 for number in range(1, 9)})
    with pytest.raises(InvalidInput) as caught:
        pack(source, limit_bytes=20_000)
    text = str(caught.value)
    assert text.index("f8.txt") < text.index("f7.txt") < text.index("f4.txt")
    assert "f3.txt" not in text
    assert ".sojournignore" in caught.value.hint


def test_nothing_to_pack(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no files"):
        pack(tmp_path)
    with pytest.raises(NotFound):
        pack(tmp_path / "gone")


def test_unpack_twice_gives_the_same_folder(tmp_path: Path) -> None:
    archive = pack(write(tmp_path / "code", {"a.py": "1"}))
    first = unpack(archive.data, archive.digest, tmp_path / "cache")
    assert unpack(archive.data, archive.digest, tmp_path / "cache") == first
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.name]


def test_a_changed_archive_is_refused(tmp_path: Path) -> None:
    archive = pack(write(tmp_path / "code", {"a.py": "1"}))
    with pytest.raises(CorruptData):
        unpack(archive.data + b"\0", archive.digest, tmp_path / "cache")


def tar_of(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.mark.parametrize(
    "members",
    [
        [member("../evil.py")],
        [member("/evil.py")],
        [member("a/../../evil.py")],
        [member("link", tarfile.SYMTYPE, "/etc")],
        [member("link", tarfile.LNKTYPE, "a.py")],
        [member("device", tarfile.CHRTYPE)],
        [member("pipe", tarfile.FIFOTYPE)],
        [member("a.py"), member("a.py")],
        [member("a.py"), member("a.py/b.py")],
        [member("."), member("..")],
    ],
)
def test_archives_that_would_write_elsewhere_are_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    data = tar_of(*members)
    with pytest.raises(InvalidInput):
        unpack(data, digest(data), tmp_path / "cache")
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"]


@given(st.binary(max_size=2000))
def test_bytes_that_are_no_archive_never_do_harm(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    cache = tmp_path_factory.mktemp("cache")
    try:
        unpack(data, digest(data), cache)
    except InvalidInput:
        assert not list(cache.iterdir())
