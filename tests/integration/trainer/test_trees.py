"""Trees of Python's syntax, and the recursive network over them: each node's state, and what LiteRT makes of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sojourn_trainer.data.syntax_trees import KIND_NUMBERS, KINDS, encoded, special_methods

pytestmark = pytest.mark.tensorflow

NODES = 24


def tree_of(code: str, nodes: int = NODES) -> np.ndarray:
    tree = encoded(ast.parse(code).body[0], nodes)
    assert tree is not None
    return tree


def written(tree: np.ndarray, place: int) -> Any:
    """A node as (kind, its children)."""
    kind, child, _ = tree[place - 1]
    children = []
    while child:
        children.append(written(tree, child))
        child = tree[child - 1, 2]
    return (int(kind), children)


def expected(node: ast.AST) -> Any:
    name = type(node.value).__name__ if isinstance(node, ast.Constant) else type(node).__name__
    children = [expected(child) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr_context)]
    return (KIND_NUMBERS.get(name, KINDS - 1), children)


METHOD = "def __eq__(self, other):\n    if not self:\n        return 1 + f(other, key=None)\n    return False"


def test_a_tree_is_that_of_the_code() -> None:
    tree = tree_of(METHOD)
    assert written(tree, NODES) == expected(ast.parse(METHOD).body[0])
    places = np.arange(1, NODES + 1)
    assert (tree[:, 1:] < places[:, None]).all()  # children and siblings come before a node
    assert encoded(ast.parse(METHOD).body[0], 8) is None


@pytest.fixture(scope="module")
def methods() -> tuple[np.ndarray, np.ndarray]:
    return special_methods(NODES)


def test_the_set_is_real_and_holds_each_form_once(methods: tuple[np.ndarray, np.ndarray]) -> None:
    trees, labels = methods
    assert len(trees) > 300
    assert (np.bincount(labels) > 10).sum() == 6
    assert len({tree.tobytes() for tree in trees}) == len(trees)


def network(nodes: int = NODES) -> Any:
    import keras

    from sojourn_trainer.tasks import recursive

    keras.utils.set_random_seed(3)
    model = recursive.build(nodes=nodes, kinds=KINDS, units=8).model
    bias = model.get_layer("states").bias
    bias.assign(np.random.default_rng(0).normal(size=bias.shape))
    return model


def test_states_are_those_of_a_recursion() -> None:
    trees = np.stack([tree_of(METHOD), tree_of("def __len__(self): return self.n"), tree_of("x = {1: [2, 3]}")])
    model = network()
    layer = model.get_layer("states")
    kinds, kernel, bias = (np.asarray(weight, np.float64) for weight in (layer.of_kinds, layer.of_states, layer.bias))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def state(tree: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
        if place == 0:
            return np.zeros(8), np.zeros(8)
        kind, *branches = tree[place - 1]
        (left, left_cell), (right, right_cell) = (state(tree, branch) for branch in branches)
        gates = kinds[kind] + bias + np.concatenate([left, right]) @ kernel
        write, keep_left, keep_right, show, new = np.split(gates, 5)
        kept = sigmoid(keep_left + 1) * left_cell + sigmoid(keep_right + 1) * right_cell
        cell = sigmoid(write) * np.tanh(new) + kept
        return sigmoid(show) * np.tanh(cell), cell

    roots = np.stack([state(tree, NODES)[0] for tree in trees])
    np.testing.assert_allclose(layer(trees).numpy(), roots, atol=1e-5)


VARIANTS = """
import sys
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

folder = sys.argv[1]
loaded = tf.saved_model.load(folder)
rows = np.load(folder + "/rows.npz")
trees, answers = rows["trees"], rows["answers"]
frozen = convert_variables_to_constants_v2(loaded.signatures["serving_default"])
for variant in ("float32", "float16", "dynamic range"):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for tree in trees:
        interpreter.set_tensor(given["index"], tree[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(answer["index"])[0])
    worst = np.abs(np.stack(found) - answers).max()
    assert worst < {"float32": 1e-5, "float16": 1e-3, "dynamic range": 0.01}[variant], (variant, worst)
    print(variant, worst)
"""


def test_litert_converts_it_without_operations_of_tensorflow(
    methods: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    import tensorflow as tf

    trees = methods[0][:40]
    model = network()
    function = tf.function(lambda tree: {"probabilities": model(tree, training=False)}, autograph=False)
    fixed = function.get_concrete_function(tree=tf.TensorSpec((1, NODES, 3), tf.int32, name="tree"))
    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": fixed})
    np.savez(tmp_path / "rows.npz", trees=trees, answers=model(trees).numpy())

    # In a process of its own: a converter that fails takes its process with it.
    done = subprocess.run(
        [sys.executable, "-c", VARIANTS, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == 3
