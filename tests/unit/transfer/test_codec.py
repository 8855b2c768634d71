"""The codec gives back every bit, never grows, and refuses what it did not make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.checkpoint.bundle import TensorEntry
from sojourn.errors import CorruptData
from sojourn.transfer.codec import WORTH, Run, decode, encode
from sojourn.transfer.runs import by_file, element_width, runs_of

WIDTHS = st.sampled_from([1, 2, 4, 8])
KINDS = {1: "int8", 2: "bfloat16", 4: "float32", 8: "float64"}


@st.composite
def chunks(draw: st.DrawFn) -> tuple[bytes, bytes, list[Run]]:
    """New and old bytes, from equal to unrelated, and runs that they consist of."""
    runs = [Run(draw(st.integers(0, 400)) * width, width) for width in draw(st.lists(WIDTHS, min_size=1, max_size=4))]
    size = sum(run.length for run in runs)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    old = rng.integers(0, 256, size, np.uint8)
    changed = rng.random(size) < draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))
    mask = draw(st.sampled_from([1, 15, 255]))
    new = np.where(changed, old ^ (rng.integers(0, 256, size, np.uint8) & mask), old).astype(np.uint8)
    return new.tobytes(), old.tobytes(), runs


@settings(deadline=None, max_examples=200)
@given(chunks(), st.booleans())
def test_every_bit_comes_back_and_nothing_grows(chunk: tuple[bytes, bytes, list[Run]], has_base: bool) -> None:
    new, old, runs = chunk
    base = old if has_base else None
    coded = encode(new, base, runs)
    if coded is not None:
        assert len(coded) <= WORTH * len(new)
        assert decode(coded, base, len(new)) == new


@settings(deadline=None, max_examples=300)
@given(chunks(), st.integers(0, 1 << 30), st.integers(0, 255))
def test_damage_is_an_error_or_other_bytes_of_the_same_length(
    chunk: tuple[bytes, bytes, list[Run]], place: int, value: int
) -> None:
    new, old, runs = chunk
    coded = encode(new, old, runs)
    if coded:
        place %= len(coded)
        for damaged in (coded[:place], coded[:place] + bytes([value]) + coded[place + 1 :], coded + b"x"):
            try:
                assert len(decode(damaged, old, len(new))) == len(new)
            except CorruptData:
                continue


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_noise_is_no_coded_chunk(noise: bytes, length: int) -> None:
    try:
        assert len(decode(noise, bytes(length), length)) == length
    except CorruptData:
        return


def test_a_frame_that_promises_too_much_is_not_believed() -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    run = (1000).to_bytes(4, "little") + bytes([1, 1]) + bytes([1]) + len(bomb).to_bytes(4, "little") + bomb
    with pytest.raises(CorruptData, match="plane"):
        decode(b"\1\0" + run, None, 1000)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_neighbouring_steps_take_fewer_bytes(kind: str) -> None:
    rng = np.random.default_rng(1)
    old = (rng.standard_normal(300_000) * 0.05).astype(kind)
    new = (old * (1 + 1e-4 * rng.standard_normal(300_000)).astype(kind)).astype(kind)
    runs = [Run(old.nbytes, old.itemsize)]
    delta, alone = encode(new.tobytes(), old.tobytes(), runs), encode(new.tobytes(), None, runs)
    assert delta is not None
    assert len(delta) < 0.7 * new.nbytes
    assert alone is None or len(delta) < 0.85 * len(alone)
    assert decode(delta, old.tobytes(), new.nbytes) == new.tobytes()


def test_specials_survive() -> None:
    old = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 3.4e38, -1.0] * 4096, np.float32)
    new = np.roll(old, 1).view(np.uint32)
    new[::8] |= 0x7FC01234
    coded = encode(new.tobytes(), old.tobytes(), [Run(new.nbytes, 4)])
    assert coded is not None
    assert decode(coded, old.tobytes(), new.nbytes) == new.tobytes()


def test_what_is_the_same_takes_no_bytes_and_noise_is_left_alone() -> None:
    rng = np.random.default_rng(2)
    old, new = rng.bytes(1 << 20), rng.bytes(1 << 20)
    same = encode(old, old, [Run(1 << 20, 4)])
    assert same is not None
    assert len(same) < 20
    assert encode(new, old, [Run(1 << 20, 4)]) is None
    assert encode(new, None, [Run(1 << 20, 4)]) is None


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(WIDTHS, st.integers(0, 40), st.integers(0, 9)), max_size=8), st.data())
def test_runs_cover_any_part_of_a_file(layout: list[tuple[int, int, int]], data: st.DataObject) -> None:
    tensors, offset = [], 0
    for number, (width, count, gap) in enumerate(layout):
        offset += gap
        tensors.append(TensorEntry(f"t{number}", KINDS[width], (count,), 0, offset, count * width, 0))
        offset += count * width
    start = data.draw(st.integers(0, offset))
    end = data.draw(st.integers(start, offset))
    runs = runs_of(by_file(tensors, ["f"])["f"], start, end)
    assert sum(run.length for run in runs) == end - start
    # Each element that lies whole in the part is in a run of its width: no tensor is passed over.
    widths = [run.width for run in runs for _ in range(run.length)]
    for tensor in tensors:
        width = tensor.length // tensor.shape[0] if tensor.shape[0] else 1
        for first in range(tensor.offset, tensor.offset + tensor.length, width):
            if start <= first and first + width <= end:
                assert set(widths[first - start : first - start + width]) == {width}
    assert all(run.length > 0 and run.length % run.width == 0 for run in runs)


def test_large_tensors_have_runs_of_their_own_and_small_ones_share() -> None:
    sizes = [100_000, 100_000, 8, 8, 8, 100_000]
    tensors, offset = [], 0
    for number, size in enumerate(sizes):
        tensors.append(TensorEntry(f"t{number}", "float32", (size // 4,), 0, offset, size, 0))
        offset += size
    assert runs_of(tensors, 0, offset) == [Run(100_000, 4), Run(100_024, 4), Run(100_000, 4)]


@pytest.mark.parametrize(
    ("dtype", "width"),
    [("float32", 4), ("complex64", 4), ("complex128", 8), ("bfloat16", 2), ("bool", 1), ("dtype 7", 1)],
)
def test_width_of_an_element(dtype: str, width: int) -> None:
    assert element_width(dtype) == width
