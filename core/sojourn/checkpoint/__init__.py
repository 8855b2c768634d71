"""Checkpoints in TensorFlow's own format, written and read without TensorFlow, with digests for every chunk."""

from sojourn.checkpoint.commit import checkpoint_key, finish, shard_key
from sojourn.checkpoint.manifest import CheckpointMeta, Manifest, Position
from sojourn.checkpoint.reader import CheckpointReader, load_manifest
from sojourn.checkpoint.shard import ShardReport, ShardWriter

__all__ = [
    "CheckpointMeta",
    "CheckpointReader",
    "Manifest",
    "Position",
    "ShardReport",
    "ShardWriter",
    "checkpoint_key",
    "finish",
    "load_manifest",
    "shard_key",
]
