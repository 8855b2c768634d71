"""Power cuts: what the disk may hold of writes that were not synced, at every moment of a story."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crash.disk import Disk, fates
from crash.matrix import run
from crash.preload import Call, Kind
from crash.stories import STORIES


def test_a_sample_of_power_cuts(library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.power", ["train", "move", str(fast_folder), "--every", "61", "--offset", "7"], library)
    assert len(outcomes) >= 20
    assert [outcome for outcome in outcomes if outcome["problem"]] == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("story", [story.name for story in STORIES])
def test_every_power_cut(story: str, library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.power", [story, str(fast_folder)], library)
    assert len(outcomes) >= 200
    assert [outcome for outcome in outcomes if outcome["problem"]] == []


def test_a_writer_that_syncs_no_folder_is_found_out(library: Path, fast_folder: Path) -> None:
    outcomes = run("crash.power", ["careless", str(fast_folder), "--every", "53", "--offset", "7"], library)
    lost = [outcome for outcome in outcomes if outcome["problem"]]
    assert len(lost) >= 5
    assert "nothing unsynced is there" in {outcome["action"] for outcome in lost}


def test_the_model_of_a_disk(tmp_path: Path) -> None:
    """Without fsync a renamed file may be there under its name, and empty."""
    world = tmp_path / "world"
    world.mkdir()
    calls = [
        _call("open", 5, f"{world}/tmp", str(os.O_CREAT | os.O_WRONLY)),
        _call("write", 4, "5", f"{world}/tmp", "0", b"data".hex()),
        _call("rename", 0, f"{world}/tmp", f"{world}/name"),
    ]
    assert _after(world, calls, "nothing unsynced is there") == {}
    assert _after(world, calls, "names without bytes") == {"name": b""}
    assert _after(world, calls, "names, and zeros for bytes") == {"name": bytes(4)}
    assert _after(world, calls, "half of each write") == {"name": b"da"}
    synced = [*calls[:2], _call("fsync", 0, "5", f"{world}/tmp"), calls[2]]
    assert _after(world, synced, "names without bytes") == {"name": b"data"}
    assert _after(world, synced, "nothing unsynced is there") == {}
    folder = [_call("open", 6, str(world), "0"), _call("fsync", 0, "6", str(world))]
    assert _after(world, [*synced, *folder], "nothing unsynced is there") == {"name": b"data"}


def _call(name: str, result: int, *about: str) -> Call:
    return Call(1, name, Kind.ALL, result, 0, about)


def _after(world: Path, calls: list[Call], fate: str) -> dict[str, bytes]:
    disk = Disk(world)
    for call in calls:
        disk.apply(call)
    left = world.with_name(fate)
    disk.root.write(left, fates(1)[fate])
    found = {path.name: path.read_bytes() for path in left.iterdir()}
    for path in left.iterdir():
        path.unlink()
    left.rmdir()
    return found
