"""One process, several devices of one machine: its GPUs, or logical CPUs where a number of devices is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sojourn.errors import InvalidInput
from sojourn_trainer.strategies.base import Place

if TYPE_CHECKING:
    import tensorflow as tf


class Mirrored:
    """`tf.distribute.MirroredStrategy`."""

    def environment(self, place: Place) -> Mapping[str, str]:
        return {}

    def create(self, place: Place) -> tf.distribute.Strategy:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            wanted = place.devices or len(gpus)
            if wanted > len(gpus):
                raise InvalidInput(
                    f"spec.workers.devices asks for {wanted} devices, this machine has {len(gpus)} GPUs",
                    hint=f"Set spec.workers.devices to at most {len(gpus)}.",
                )
            return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(wanted)])
        wanted = place.devices or 1
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
        return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(wanted)])
