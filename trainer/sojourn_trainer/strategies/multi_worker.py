"""N equal worker processes that reduce their gradients together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sojourn_trainer.strategies.base import Place

if TYPE_CHECKING:
    import tensorflow as tf


class MultiWorkerMirrored:
    """`tf.distribute.MultiWorkerMirroredStrategy`, told of its peers by TF_CONFIG."""

    def environment(self, place: Place) -> Mapping[str, str]:
        return {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": list(place.addresses)},
                    "task": {"type": "worker", "index": place.rank},
                }
            )
        }

    def create(self, place: Place) -> tf.distribute.Strategy:
        import tensorflow as tf

        return tf.distribute.MultiWorkerMirroredStrategy()
