"""The TPU chips of one host. Slices of many hosts need a coordinator and servers, and come on their own.

Source: TensorFlow's guide to TPUs; `tpu="local"` reaches only the chips of this host.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.errors import InvalidInput
from sojourn_trainer.strategies.base import Place

if TYPE_CHECKING:
    import tensorflow as tf

_DEVICE_FILES = ("/dev/accel*", "/dev/vfio/[0-9]*")


class Tpu:
    """`tf.distribute.TPUStrategy` on one host."""

    def environment(self, place: Place) -> Mapping[str, str]:
        return {}

    def create(self, place: Place) -> tf.distribute.Strategy:
        if len(place.addresses) > 1:
            raise InvalidInput(
                f"TPUStrategy over {len(place.addresses)} hosts is not supported yet",
                hint="Set spec.workers.replicas to 1.",
            )
        if not any(list(Path("/").glob(pattern.lstrip("/"))) for pattern in _DEVICE_FILES):
            raise InvalidInput(
                "spec.strategy is TPUStrategy, and this machine has no TPU (no /dev/accel* and no /dev/vfio/<n>)",
                hint="Run the job on a TPU host with the tensorflow-tpu package, or choose another strategy.",
            )
        import tensorflow as tf

        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
