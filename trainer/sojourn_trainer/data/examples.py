"""A source of tf.train.Example records in TFRecord files, decoded by TensorFlow as `spec.data.source.tfrecord` says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from sojourn.api.data import RecordValue, TfrecordData
from sojourn.errors import CorruptData, InvalidInput
from sojourn_trainer.data.images import decode_image, tensorflow_says
from sojourn_trainer.data.records import RecordFile


class RecordSource:
    """Records as (x, y); x is an array, or a dict by name where there are several inputs. All but Int is float32."""

    def __init__(self, spec: TfrecordData, cache: Path) -> None:
        """Find and index the files.

        Raises:
            InvalidInput: no file, one that is torn or none of TFRecord, no record, or one that the spec does not fit.
        """
        self._spec = spec
        self._files = [RecordFile(path, cache) for path in record_files(Path(spec.path))]
        self._ends = np.cumsum([len(file) for file in self._files])
        if len(self) == 0:
            raise InvalidInput(f"spec.data.source.tfrecord: {spec.path} holds no record")
        try:
            self.fetch(np.zeros(1, np.int64))
        except CorruptData as error:
            raise InvalidInput(f"spec.data.source.tfrecord: {error.message}", hint=error.hint) from error

    def __len__(self) -> int:
        return int(self._ends[-1])

    def fetch(self, rows: np.ndarray) -> Any:
        """Rows by number, counted through the files in order.

        Raises:
            CorruptData: a record is damaged, or is not what the spec says; it is named.
        """
        records = [self._read(int(row)) for row in rows]
        with tf.device("CPU:0"):
            try:
                parsed = self._parse([data for data, _ in records])
            except tf.errors.InvalidArgumentError as error:
                raise self._at_fault(records, error) from error
            inputs = {value.name: self._decoded(value, parsed[value.name], records) for value in self._spec.inputs}
            label = self._decoded(self._spec.label, parsed[self._spec.label.name], records)
        return (inputs if len(inputs) > 1 else next(iter(inputs.values()))), label

    def _read(self, row: int) -> tuple[bytes, str]:
        """A record, and where it is for whoever must look at it."""
        which = int(np.searchsorted(self._ends, row, side="right"))
        file = self._files[which]
        number = row - int(self._ends[which]) + len(file)
        return file.read(number), f"record {number} of {file.path}"

    def _parse(self, records: Sequence[bytes]) -> dict[str, tf.Tensor]:
        wanted = {value.name: _feature(value) for value in (*self._spec.inputs, self._spec.label)}
        return tf.io.parse_example(records, wanted)

    def _at_fault(self, records: Sequence[tuple[bytes, str]], error: Exception) -> CorruptData:
        for data, place in records:
            try:
                self._parse([data])
            except tf.errors.InvalidArgumentError as its:
                return CorruptData(
                    f"{place} is not as the manifest says: {tensorflow_says(its)}",
                    hint="Compare name, form and shape in spec.data.source.tfrecord with what wrote the file.",
                )
        return CorruptData(f"records of {self._spec.path} cannot be read: {tensorflow_says(error)}")

    def _decoded(self, value: RecordValue, column: tf.Tensor, records: Sequence[tuple[bytes, str]]) -> np.ndarray:
        if value.form in ("Float", "Int"):
            return np.asarray(column)
        rows = []
        for item, (_, place) in zip(column.numpy(), records, strict=True):
            if value.form == "Image":
                rows.append(decode_image(item, value.shape, f"{value.name!r} in {place}"))
                continue
            if len(item) != np.prod(value.shape, dtype=int):
                raise CorruptData(
                    f"{value.name!r} in {place} has {len(item)} bytes, and shape {list(value.shape)} needs"
                    f" {np.prod(value.shape, dtype=int)}",
                    hint="Set the shape in spec.data.source.tfrecord; a value that is a picture file has form Image.",
                )
            rows.append(np.frombuffer(item, np.uint8).reshape(value.shape).astype(np.float32))
        return np.stack(rows)


def record_files(path: Path) -> list[Path]:
    """The file, or a folder's files *.tfrecord* in the order of their names.

    Raises:
        InvalidInput: there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(item for item in path.glob("*.tfrecord*") if item.is_file())
    if not found:
        raise InvalidInput(f"spec.data.source.tfrecord.path: {path} has no file *.tfrecord*")
    return found


def _feature(value: RecordValue) -> tf.io.FixedLenFeature:
    kinds = {"Float": tf.float32, "Int": tf.int64}
    return tf.io.FixedLenFeature(value.shape if value.form in kinds else (), kinds.get(value.form, tf.string))
