"""Which chunks are read for which tensors: each once, no other, every wanted byte to its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sojourn.checkpoint.bundle import TensorEntry
from sojourn.checkpoint.manifest import CheckpointMeta, Manifest
from sojourn.checkpoint.read_plan import ChunkRead, Piece, plan_reads
from sojourn.checkpoint.records import FileRecord


def manifest(lengths: list[list[int]], chunk_bytes: int) -> Manifest:
    tensors, files = [], []
    for shard, sizes in enumerate(lengths):
        offset = 0
        for number, size in enumerate(sizes):
            tensors.append(TensorEntry(f"{shard}/{number}", "uint8", (size,), shard, offset, size, 0))
            offset += size
        files.append(FileRecord(f"f{shard}", offset, "", ("",) * -(-offset // chunk_bytes)))
    return Manifest("data/1-1-u", CheckpointMeta(step=1), tuple(files), tuple(tensors), chunk_bytes)


def test_a_chunk_within_a_tensor_is_read_in_place() -> None:
    one = manifest([[5, 20]], 10)
    assert plan_reads(one, one.tensors[1:]) == [
        ChunkRead(0, 0, 0, 10, (Piece("0/1", 0, 5, 5),)),
        ChunkRead(0, 1, 10, 10, (Piece("0/1", 5, 0, 10),)),
        ChunkRead(0, 2, 20, 5, (Piece("0/1", 15, 0, 5),)),
    ]
    assert [chunk.only is not None for chunk in plan_reads(one, one.tensors[1:])] == [False, True, True]


@given(st.lists(st.lists(st.integers(0, 40), max_size=6), min_size=1, max_size=3), st.integers(1, 16), st.data())
def test_every_wanted_byte_comes_from_its_place_once(lengths: list[list[int]], chunk: int, data: st.DataObject) -> None:
    whole = manifest(lengths, chunk)
    wanted = data.draw(st.lists(st.sampled_from(whole.tensors), unique=True)) if whole.tensors else []
    reads = plan_reads(whole, wanted)
    assert [(read.file, read.number) for read in reads] == sorted({(read.file, read.number) for read in reads})
    found: dict[str, list[tuple[int, int]]] = {entry.name: [] for entry in wanted}
    for read in reads:
        assert read.offset + read.length <= whole.files[read.file].size
        assert read.pieces
        for piece in read.pieces:
            assert 0 < piece.length <= read.length - piece.start
            found[piece.tensor] += [(piece.at + i, read.offset + piece.start + i) for i in range(piece.length)]
    for entry in wanted:
        assert sorted(found[entry.name]) == [(i, entry.offset + i) for i in range(entry.length)]
