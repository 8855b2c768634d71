"""Memory that a checkpoint is read into and that becomes a variable's own, so that no copy of the state is made.

`AssignVariableOp` keeps the assigned tensor's memory as the variable's, and later updates write to it in place if
TensorFlow owns it and nobody else holds the tensor (PrepareToUpdateVariable in core/kernels/training_op_helpers.h).
NumPy's memory is not owned in this sense: it would be copied in the assignment, or by dlpack in the first step.
"""

from __future__ import annotations

import ctypes

import tensorflow as tf

from sojourn_trainer.checkpointing.snapshot import as_bytes


def host_buffer(dtype: tf.DType, shape: tuple[int, ...]) -> tuple[tf.Tensor, memoryview]:
    """A tensor in host memory with no particular values, and its bytes to write to.

    The view does not keep the memory: hold the tensor while anybody writes, and give the view up before the tensor
    is used.
    """
    with tf.device("CPU:0"):
        tensor = tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)
    data = as_bytes(tensor)
    if not data.nbytes:
        return tensor, memoryview(bytearray())
    place = (ctypes.c_uint8 * data.nbytes).from_address(data.__array_interface__["data"][0])
    return tensor, memoryview(place).cast("B")
