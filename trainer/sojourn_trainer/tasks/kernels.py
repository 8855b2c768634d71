"""What a kernel is to a support vector machine, as layers: features whose inner products are the kernel's values.

The layers' weights are frozen and part of the model, so checkpoints and exports hold them. All is stock Keras, but
.h5 has no form for the cosine of `fourier_features`: export a model with it as SavedModel or .keras.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement
from typing import Any, Final

import keras
import numpy as np

from sojourn.errors import InvalidInput

MOST_TERMS: Final = 20_000


def feature_map(x: Any, kernel: Mapping[str, Mapping[str, Any]]) -> Any:
    """Features of the rows `x`, float [batch, features].

    Args:
        kernel: one of {"linear": {}}, {"rbf": {arguments of `fourier_features`}} and
            {"polynomial": {arguments of `polynomial_features`}}.

    Raises:
        InvalidInput: the kernel or one of its arguments is unknown, or a polynomial has too many terms.
    """
    name, *others = kernel
    make = KERNELS.get(name)
    if make is None or others:
        raise InvalidInput(
            f"spec.task.args.kernel: there is no kernel {', '.join(kernel)!r}",
            hint=f"Name one of {', '.join(KERNELS)}.",
        )
    try:
        inspect.signature(make).bind(x, **kernel[name])
    except TypeError as error:
        raise InvalidInput(f"spec.task.args.kernel.{name}: {error}") from error
    return make(x, **kernel[name])


def linear_features(x: Any) -> Any:
    """The rows themselves, for the kernel x.z."""
    return x


def fourier_features(x: Any, gamma: float, components: int = 1000, seed: int = 0) -> Any:
    """About the kernel exp(-gamma |x - z|^2): sqrt(2 / components) cos(W x + b), W normal and b uniform.

    Rahimi and Recht, Random Features for Large-Scale Kernel Machines, 2007. The error falls with the root of
    `components`.
    """
    projected = keras.layers.Dense(
        components,
        kernel_initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2 * gamma), seed=seed),
        bias_initializer=keras.initializers.RandomUniform(0, 2 * math.pi, seed=seed + 1),
        trainable=False,
        name="frequencies",
    )(x)
    return keras.layers.Rescaling(math.sqrt(2 / components), name="kernel")(keras.ops.cos(projected))


def polynomial_features(x: Any, gamma: float, degree: int = 2, coef0: float = 1.0) -> Any:
    """Exactly the kernel (gamma x.z + coef0)^degree: all products of `degree` factors, each an input or a constant.

    Every product is there once, times the root of how often it comes up when the power of the sum is multiplied out.
    Each of `degree` layers picks one factor of all the products.

    Raises:
        InvalidInput: there are more than MOST_TERMS products, or `degree` is below 2.
    """
    features = x.shape[-1]
    terms = math.comb(features + degree, degree)
    if degree < 2 or terms > MOST_TERMS:
        raise InvalidInput(
            f"spec.task.args.kernel.polynomial: degree {degree} of {features} inputs makes {terms} terms",
            hint=f"The degree must be at least 2, and the terms at most {MOST_TERMS}.",
        )
    products = np.array(list(combinations_with_replacement(range(features + 1), degree)))
    scale = np.sqrt([gamma] * features + [coef0])
    factors = []
    for number, picked in enumerate(products.T):
        weights = np.zeros((features + 1, terms))
        weights[picked, np.arange(terms)] = scale[picked]
        if number == 0:
            weights *= np.sqrt([_arrangements(product) for product in products])
        layer = keras.layers.Dense(terms, trainable=False, name=f"factor_{number}")
        factors.append(layer(x))
        layer.set_weights([weights[:-1], weights[-1]])
    return keras.layers.Multiply(name="kernel")(factors)


def _arrangements(product: np.ndarray) -> int:
    """In how many orders these factors can be written."""
    _, repeats = np.unique(product, return_counts=True)
    return math.factorial(len(product)) // math.prod(math.factorial(count) for count in repeats)


KERNELS: Final[dict[str, Callable[..., Any]]] = {
    "linear": linear_features,
    "rbf": fourier_features,
    "polynomial": polynomial_features,
}
