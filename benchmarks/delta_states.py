"""Training states some steps apart, by real steps of Adam in NumPy: dense, with a frozen base, with embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
State = dict[str, npt.NDArray[Any]]
Step = Callable[[], dict[str, Array | tuple[npt.NDArray[np.int64], Array]]]

RATE, BETA1, BETA2, EPSILON = 1e-3, 0.9, 0.999, 1e-7
WARM = 100
APART = (1, 10, 100)


class Adam:
    """Weights and Adam's slots; gradients are dense, or rows of a table with their numbers (lazy Adam)."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights = weights
        self.slots = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in weights.items()}
        self.steps = 0

    def apply(self, gradients: dict[str, Array | tuple[npt.NDArray[np.int64], Array]]) -> None:
        """One step, in place."""
        self.steps += 1
        rate = np.float32(RATE * np.sqrt(1 - BETA2**self.steps) / (1 - BETA1**self.steps))
        for name, found in gradients.items():
            rows, gradient = found if isinstance(found, tuple) else (slice(None), found)
            weight, (first, second) = self.weights[name], self.slots[name]
            first[rows] = np.float32(BETA1) * first[rows] + np.float32(1 - BETA1) * gradient
            second[rows] = np.float32(BETA2) * second[rows] + np.float32(1 - BETA2) * gradient**2
            weight[rows] -= rate * first[rows] / (np.sqrt(second[rows]) + np.float32(EPSILON))

    def state(self, frozen: dict[str, Array]) -> State:
        """A copy of everything, as a checkpoint has it."""
        state: State = {f"model/{name}": array.copy() for name, array in {**frozen, **self.weights}.items()}
        for name, (first, second) in self.slots.items():
            state |= {f"optimizer/{name}/m": first.copy(), f"optimizer/{name}/v": second.copy()}
        return {**state, "optimizer/iterations": np.array(self.steps, np.int64)}


def states(kind: str, scale: int) -> Iterator[tuple[int, State]]:
    """The state after the warm-up (0), and 1, 10 and 100 steps later; `scale` is the width of the hidden layers."""
    rng = np.random.default_rng(7)
    frozen: dict[str, Array] = {}
    weights = {"one": normal(rng, 784, scale), "two": normal(rng, scale, scale), "three": normal(rng, scale, 10)}
    if kind == "frozen base":
        frozen = {f"base/{number}": normal(rng, scale, 2 * scale) for number in range(4)}
        weights = {"one": normal(rng, 784, scale // 2), "three": normal(rng, scale // 2, 10)}
    elif kind == "embeddings":
        weights = {"table": normal(rng, 60 * scale, 32), "one": normal(rng, 32 * 16, 64), "three": normal(rng, 64, 10)}
    adam = Adam(weights)
    step = embedded(rng, weights) if kind == "embeddings" else dense(rng, weights)
    for number in range(WARM + APART[-1] + 1):
        if number - WARM in (0, *APART):
            yield number - WARM, adam.state(frozen)
        adam.apply(step())


def normal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Weights as a layer has them at the start."""
    return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)


def dense(rng: np.random.Generator, weights: dict[str, Array]) -> Step:
    """Batches of 64 inputs; a fixed random network says what is right."""
    layers = list(weights)
    teacher = normal(rng, 784, 10)

    def step() -> dict[str, Array | tuple[npt.NDArray[np.int64], Array]]:
        inputs = rng.standard_normal((64, 784)).astype(np.float32)
        values = [inputs]
        for name in layers[:-1]:
            values.append(np.maximum(values[-1] @ weights[name], 0))
        error = softmax(values[-1] @ weights[layers[-1]]) - np.eye(10, dtype=np.float32)[(inputs @ teacher).argmax(1)]
        error /= np.float32(64)
        found: dict[str, Array | tuple[npt.NDArray[np.int64], Array]] = {}
        for name, value in zip(reversed(layers), reversed(values), strict=True):
            found[name] = value.T @ error
            error = (error @ weights[name].T) * (value > 0)
        return found

    return step


def embedded(rng: np.random.Generator, weights: dict[str, Array]) -> Step:
    """Batches of 64 times 16 words, some of them far more frequent than others."""
    size = len(weights["table"])

    def step() -> dict[str, Array | tuple[npt.NDArray[np.int64], Array]]:
        words = np.minimum(rng.zipf(1.3, (64, 16)), size) - 1
        inputs = weights["table"][words].reshape(64, -1)
        hidden = np.maximum(inputs @ weights["one"], 0)
        error = softmax(hidden @ weights["three"]) - np.eye(10, dtype=np.float32)[words.sum(1) % 10]
        error /= np.float32(64)
        inner = (error @ weights["three"].T) * (hidden > 0)
        rows, where = np.unique(words, return_inverse=True)
        table = np.zeros((len(rows), 32), np.float32)
        np.add.at(table, where.reshape(-1), (inner @ weights["one"].T).reshape(-1, 32))
        return {"table": (rows, table), "one": inputs.T @ inner, "three": hidden.T @ error}

    return step


def softmax(values: Array) -> Array:
    """Of each row."""
    powers = np.exp(values - values.max(1, keepdims=True))
    found: Array = powers / powers.sum(1, keepdims=True)
    return found
