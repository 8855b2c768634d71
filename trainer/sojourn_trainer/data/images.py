"""A source of image files in one folder per class, and decoding by TensorFlow that says which image is at fault."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf

from sojourn.api.data import ImageFolderData
from sojourn.errors import CorruptData, InvalidInput

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_MOST_THREADS: Final = 8


class ImageFolderSource:
    """Images as (x, y): float32 [rows, height, width, 3] or, of grey ones, [rows, height, width], and int64 [rows].

    Attributes:
        classes: names of the folders, in the order of their numbers.
    """

    def __init__(self, spec: ImageFolderData) -> None:
        """List the files; they are read when they are needed.

        Raises:
            InvalidInput: there is no such folder, fewer than two classes, a class without images, or a file among the
                images that is none by its name.
        """
        root = Path(spec.path)
        try:
            folders = sorted(item for item in root.iterdir() if item.is_dir() and not item.name.startswith("."))
        except OSError as error:
            raise InvalidInput(f"spec.data.source.images.path: cannot read {root}: {error.strerror}") from error
        if len(folders) < 2:
            raise InvalidInput(
                f"spec.data.source.images.path: {root} has {len(folders)} folders, and needs one for each class",
                hint="Each folder's name is that of a class, and what is in it are its images.",
            )
        self.classes = tuple(folder.name for folder in folders)
        images = [_images(folder) for folder in folders]
        self._files = [path for paths in images for path in paths]
        self._labels = np.repeat(np.arange(len(images), dtype=np.int64), [len(paths) for paths in images])
        self._shape = (spec.height, spec.width, 3) if spec.colour == "RGB" else (spec.height, spec.width)
        self._pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), "images")

    def __len__(self) -> int:
        return len(self._files)

    def fetch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels by number, counted through the classes.

        Raises:
            CorruptData: an image cannot be read or decoded; it is named.
        """
        return np.stack(list(self._pool.map(self._image, rows))), self._labels[rows]

    def _image(self, row: int) -> np.ndarray:
        path = self._files[row]
        try:
            return decode_image(path.read_bytes(), self._shape, str(path))
        except OSError as error:
            raise CorruptData(f"cannot read the image {path}: {error.strerror}") from error


def decode_image(data: bytes, shape: Sequence[int], place: str) -> np.ndarray:
    """An encoded image as float32 of this shape, [height, width] or [height, width, channels], from 0 to 255.

    An image of another size is resized bilinearly, with antialiasing.

    Raises:
        CorruptData: it cannot be decoded; `place` says which one it is.
    """
    height, width = shape[:2]
    with tf.device("CPU:0"):
        try:
            image = tf.io.decode_image(data, channels=shape[2] if len(shape) > 2 else 1, expand_animations=False)
        except tf.errors.InvalidArgumentError as error:
            raise CorruptData(
                f"the image {place} cannot be decoded: {tensorflow_says(error)}",
                hint="PNG, JPEG, BMP and GIF can be; replace the image, or leave it out.",
            ) from error
        if tuple(image.shape[:2]) != (height, width):
            image = tf.image.resize(image, (height, width), antialias=True)
        return np.asarray(tf.cast(image, tf.float32)).reshape(tuple(shape))


def tensorflow_says(error: Exception) -> str:
    """The first line of what TensorFlow says, without the name of the operation."""
    text = str(getattr(error, "message", error)).strip().split("\n")[0]
    return text.split("} } ")[-1].split(" [Op:")[0]


def _images(folder: Path) -> list[Path]:
    files = sorted(item for item in folder.iterdir() if item.is_file() and not item.name.startswith("."))
    strangers = [path.name for path in files if path.suffix.lower() not in SUFFIXES]
    if strangers:
        raise InvalidInput(
            f"spec.data.source.images: {folder / strangers[0]} is not an image by its name"
            + (f", nor are {len(strangers) - 1} others in that folder" if strangers[1:] else ""),
            hint=f"Images end in {', '.join(SUFFIXES)}; move other files elsewhere.",
        )
    if not files:
        raise InvalidInput(f"spec.data.source.images: the class {folder} has no images")
    return files
