"""CRC-32C as LevelDB and TensorFlow store it: masked, so that a checksum of checksums keeps its strength.

Mask: https://github.com/google/leveldb/blob/main/util/crc32c.h
"""

from __future__ import annotations

import google_crc32c
import numpy as np
import numpy.typing as npt

_DELTA = 0xA282EAD8


def extend(crc: int, data: bytes | npt.NDArray[np.uint8]) -> int:
    """The CRC of what `crc` stands for, followed by `data`."""
    return int(google_crc32c.extend(crc, data))


def mask(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    rotated = (masked - _DELTA) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
