"""One process, one device, no distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sojourn_trainer.strategies.base import Place

if TYPE_CHECKING:
    import tensorflow as tf


class Default:
    """TensorFlow's default strategy."""

    def environment(self, place: Place) -> Mapping[str, str]:
        return {}

    def create(self, place: Place) -> tf.distribute.Strategy:
        import tensorflow as tf

        return tf.distribute.get_strategy()
