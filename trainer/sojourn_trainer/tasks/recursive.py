"""A recursive network over trees: the state of a node follows from its kind and the states of two other nodes.

A tree of any number of branches has that form when a node names its first child and its next sibling.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from sojourn_trainer.task import Task
from sojourn_trainer.tasks.metrics import METRICS, of_classes


def build(
    nodes: int = 64,
    kinds: int = 128,
    classes: int = 6,
    units: int = 32,
    dropout: float = 0.5,
    learning_rate: float = 0.01,
    decay_steps: int = 500,
) -> Task:
    """A binary Tree-LSTM, Dense(classes, softmax) on the root's state, cross-entropy; Adam with cosine decay.

    The input "tree" is int32 [batch, nodes, 3]: for each node its kind and the places of two nodes before it, counted
    from 1, or 0 for none. The root is last; shorter trees begin with nodes of kind 0. Metrics: accuracy; precision,
    recall and f1 as means over the classes.

    Args:
        nodes: of the longest tree.
        kinds: kinds are integers below it; 0 is padding.
        classes: labels are integers below it.
        units: of a node's state.
        dropout: share of the root's state left out in training, in [0, 1).
        learning_rate: at the start; it decays to 0 over `decay_steps` steps.
        decay_steps: length of the schedule; make it that of the run.
    """
    tree = keras.layers.Input((nodes, 3), dtype="int32", name="tree")
    state = TreeLSTM(kinds, units, name="states")(tree)
    state = keras.layers.Dropout(dropout)(state)
    outputs = keras.layers.Dense(classes, activation="softmax", name="probabilities")(state)
    model = keras.Model(tree, outputs)
    model.compile(
        optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps), global_clipnorm=1.0
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=of_classes(METRICS),
    )
    return Task(model)


@keras.saving.register_keras_serializable("sojourn")
class TreeLSTM(keras.layers.Layer):
    """Root states, float [batch, units], of trees, int32 [batch, nodes, 3] in the form of `build`.

    Tai, Socher and Manning, Improved Semantic Representations From Tree-Structured Long Short-Term Memory Networks,
    2015: the binary form, equations 9 to 14. One loop over the nodes serves all trees of the batch at once.
    """

    def __init__(self, kinds: int, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.kinds = kinds
        self.units = units

    def build(self, shape: Any) -> None:
        gates = 5 * self.units
        self.of_kinds = self.add_weight((self.kinds, gates), keras.initializers.RandomNormal(stddev=0.1), name="kinds")
        self.of_states = self.add_weight((2 * self.units, gates), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((gates,), "zeros", name="bias")

    def call(self, tree: tf.Tensor) -> tf.Tensor:
        length, rows = tree.shape[1], tree.shape[0] or tf.shape(tree)[0]
        kind, first, second = tf.unstack(tf.transpose(tree, (2, 1, 0)))
        given = tf.gather(tf.convert_to_tensor(self.of_kinds), kind) + self.bias
        kernel = tf.convert_to_tensor(self.of_states)  # read once, not in the loop
        row = tf.range(rows)
        # Converters to LiteRT need the elements' shape, which is known where the batch is fixed.
        shape = (tree.shape[0], 2 * self.units)
        states = tf.TensorArray(self.compute_dtype, length + 1, element_shape=shape, clear_after_read=False)
        states = states.write(0, tf.zeros((rows, 2 * self.units), self.compute_dtype))

        def node(place: tf.Tensor, states: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            known = states.stack()
            branches = [tf.gather_nd(known, tf.stack((which[place], row), axis=1)) for which in (first, second)]
            return place + 1, states.write(place + 1, _state(given[place], kernel, *branches))

        start = (tf.constant(0), states)
        _, states = tf.while_loop(lambda place, _: place < length, node, start, maximum_iterations=length)
        return states.read(length)[:, : self.units]

    def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
        return (shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kinds": self.kinds, "units": self.units}


def _state(given: tf.Tensor, kernel: tf.Tensor, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Hidden and cell state side by side, [batch, 2 * units], of a node above these two."""
    (hidden_left, cell_left), (hidden_right, cell_right) = (tf.split(side, 2, axis=1) for side in (left, right))
    gates = given + tf.concat((hidden_left, hidden_right), axis=1) @ kernel
    write, keep_left, keep_right, show, new = tf.split(gates, 5, axis=1)
    # The forget gates begin open, so that what is deep in a tree reaches its root.
    cell = (
        tf.sigmoid(write) * tf.tanh(new)
        + tf.sigmoid(keep_left + 1) * cell_left
        + tf.sigmoid(keep_right + 1) * cell_right
    )
    return tf.concat((tf.sigmoid(show) * tf.tanh(cell), cell), axis=1)
