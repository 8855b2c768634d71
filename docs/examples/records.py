"""Writes the TFRecord file of docs/guides/data.md; tests/integration/trainer/test_data_sources.py trains on it."""

import numpy as np
import tensorflow as tf


def write_records(path: str, images: np.ndarray, labels: np.ndarray) -> None:
    with tf.io.TFRecordWriter(path) as writer:
        for image, label in zip(images.astype(np.uint8), labels, strict=True):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
