"""Manifests: the same bytes every time, every value back, nothing accepted that is not one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.checkpoints import sample_tensors, write_checkpoint
from sojourn.checkpoint.manifest import FORMAT, CheckpointMeta, Manifest, Position
from sojourn.errors import CorruptData, InvalidInput
from sojourn.store.memory import MemoryStore

FULL = CheckpointMeta(
    step=1200,
    samples=76_800,
    position=Position(epoch=3, batch=17),
    seed=7,
    mode="Fast",
    strategy="MultiWorkerMirroredStrategy",
    replicas=2,
    global_batch_size=64,
    spec_digest="blake3:00",
    versions={"tensorflow": "2.21.0", "keras": "3.15.1"},
    cpu_flags=("avx2", "fma"),
    threads={"interOp": 1, "intraOp": 2},
    callbacks={"EarlyStopping": {"best": math.inf, "wait": 0, "history": [1.5, -math.inf]}},
    extra={"note": "ü"},
)


def manifest(meta: CheckpointMeta = FULL) -> Manifest:
    made, _ = write_checkpoint(MemoryStore(), "run", "data/1-1-u", sample_tensors(), shards=2)
    return Manifest(made.checkpoint, meta, made.files, made.tensors)


def test_round_trip() -> None:
    made = manifest()
    stored = made.to_bytes()
    assert Manifest.from_bytes(stored, source="m") == made
    assert stored == made.to_bytes()
    assert "ü" in stored.decode()


def test_stored_form_is_standard_json_with_camel_case_names() -> None:
    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    body = json.loads(manifest().to_bytes(), parse_constant=refuse)
    assert body["format"] == FORMAT
    assert body["globalBatchSize"] == 64
    assert body["position"] == {"epoch": 3, "batch": 17}
    assert [file["name"] for file in body["files"]] == [
        "ckpt.data-00000-of-00002",
        "ckpt.data-00001-of-00002",
        "ckpt.index",
    ]
    assert body["tensors"] == sorted(body["tensors"], key=lambda tensor: tensor["name"])


def test_total_bytes_counts_the_index() -> None:
    made = manifest()
    assert made.total_bytes == sum(file.size for file in made.files) > sum(tensor.length for tensor in made.tensors)


STATES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), STATES, max_size=4))
def test_callback_state_survives(state: dict[str, Any]) -> None:
    meta = CheckpointMeta(step=1, callbacks=state)
    stored = Manifest("data/1-1-u", meta, (), ()).to_bytes()
    assert Manifest.from_bytes(stored, source="m").meta.callbacks == state


def test_nan_survives() -> None:
    stored = Manifest("c", CheckpointMeta(step=1, extra={"x": math.nan}), (), ()).to_bytes()
    assert math.isnan(Manifest.from_bytes(stored, source="m").meta.extra["x"])


@pytest.mark.parametrize("state", [{"x": object()}, {"x": {1: 2}}, {"x": [{"$float": "inf"}]}, {"x": {1, 2}}])
def test_what_json_cannot_hold_is_refused_by_its_place(state: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"callbacks\.x"):
        Manifest("c", CheckpointMeta(step=1, callbacks=state), (), ()).to_bytes()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"format": "sojourn.dev/checkpoint/v1"}'])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptData, match="m is not a checkpoint manifest"):
        Manifest.from_bytes(data, source="m")


def test_a_newer_format_is_refused_with_a_way_out() -> None:
    with pytest.raises(CorruptData) as caught:
        Manifest.from_bytes(b'{"format": "sojourn.dev/checkpoint/v2"}', source="m")
    assert "newer" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("tensors", 0, "offset"), 10**9),
        (("tensors", 0, "offset"), -1),
        (("tensors", 0, "file"), 9),
        (("files", 0, "chunks"), []),
        (("chunkBytes",), 0),
        (("chunkBytes",), "8"),
    ],
)
def test_contradictions_are_refused(path: tuple[str | int, ...], value: Any) -> None:
    body = json.loads(manifest().to_bytes())
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(CorruptData):
        Manifest.from_bytes(json.dumps(body).encode(), source="m")
