"""Folders of images: classes by folder, decoding to one size, and what is said of a file that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sojourn.api import Data
from sojourn.errors import CorruptData, InvalidInput
from sojourn_trainer.data.load import load_data

pytestmark = pytest.mark.tensorflow


def paint(path: Path, colour: tuple[int, int, int], size: int = 4) -> None:
    import tensorflow as tf

    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.broadcast_to(np.array(colour, np.uint8), (size, size, 3))
    encode = tf.io.encode_jpeg if path.suffix == ".jpg" else tf.io.encode_png
    path.write_bytes(encode(image).numpy())


def spec(path: Path, **fields: Any) -> Data:
    source = {"images": {"path": str(path), "height": 4, "width": 4, **fields}}
    return Data.from_manifest({"source": source})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    paint(tmp_path / "red" / "a.png", (200, 0, 0))
    paint(tmp_path / "red" / "b.jpg", (200, 0, 0), size=16)
    paint(tmp_path / "blue" / "a.PNG", (0, 0, 100), size=2)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "blue" / ".DS_Store").write_bytes(b"")
    return tmp_path


def test_folders_are_classes_and_images_have_one_size(folder: Path) -> None:
    data = load_data(spec(folder), 0)
    x, y = data.train.fetch(np.array([2, 0, 1]))
    np.testing.assert_array_equal(y, [1, 0, 1])
    assert (x.shape, x.dtype) == ((3, 4, 4, 3), np.float32)
    expected = np.array([[200, 0, 0], [0, 0, 100], [200, 0, 0]])[:, None, None, :]
    np.testing.assert_allclose(x, np.broadcast_to(expected, x.shape), atol=2)


def test_grey_images_have_no_channels(folder: Path) -> None:
    x, _ = load_data(spec(folder, colour="Grey"), 0).train.fetch(np.array([1]))
    assert x.shape == (1, 4, 4)
    np.testing.assert_allclose(x, 0.299 * 200, atol=1)


def test_normalising_reads_all_images(folder: Path) -> None:
    fields = {**spec(folder).to_manifest(), "normalize": "MinMax"}
    x, _ = load_data(Data.from_manifest(fields), 0).train.fetch(np.arange(3))
    assert (x.min(), x.max()) == (0, 1)


def test_an_image_that_is_none_is_named(folder: Path) -> None:
    torn = folder / "red" / "b.jpg"
    torn.write_bytes(torn.read_bytes()[:40])
    data = load_data(spec(folder), 0)
    with pytest.raises(CorruptData, match=r"red/b\.jpg cannot be decoded"):
        data.train.fetch(np.arange(3))
    torn.unlink()
    with pytest.raises(CorruptData, match=r"cannot read the image .*red/b\.jpg"):
        data.train.fetch(np.arange(3))


def test_what_is_no_folder_of_classes_is_refused(folder: Path) -> None:
    (folder / "red" / "notes.txt").write_text("")
    with pytest.raises(InvalidInput, match=r"red/notes\.txt is not an image by its name"):
        load_data(spec(folder), 0)
    with pytest.raises(InvalidInput, match="has 0 folders"):
        load_data(spec(folder / "red"), 0)
    (folder / "red" / "notes.txt").unlink()
    (folder / "green").mkdir()
    with pytest.raises(InvalidInput, match=r"green has no images"):
        load_data(spec(folder), 0)
    with pytest.raises(InvalidInput, match="cannot read"):
        load_data(spec(folder / "absent"), 0)
