"""Signatures that the protocol tests speak about."""

from __future__ import annotations

from sojourn_serving.server.protocol.signature import ModelInfo, Signature, TensorSpec

DIGITS = Signature(
    "serving_default",
    inputs=(TensorSpec("image", "float32", (None, 2)),),
    outputs=(TensorSpec("probabilities", "float32", (None, 3)),),
)
PAIR = Signature(
    "pair",
    inputs=(TensorSpec("age", "int64", (None,)), TensorSpec("name", "string", (None,))),
    outputs=(TensorSpec("code_bytes", "string", (None,)), TensorSpec("score", "float32", (None,))),
)
MODEL = ModelInfo("digits", 3, {"serving_default": DIGITS, "pair": PAIR})
PAIR_MODEL = ModelInfo("pair", 1, {"pair": PAIR})
