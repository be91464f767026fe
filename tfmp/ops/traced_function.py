"""Functions with a gradient of their own, traced once for all graphs that call them.

TensorFlow never frees a graph in which `tf.custom_gradient` was called
(https://github.com/tensorflow/tensorflow/issues/27492): a process that quantizes or trains many networks would keep
them all. The graph of a function here is kept, too, but there is one for all layers and networks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def is_tracing() -> bool:
    """Returns whether operations that are called now are added to a graph."""
    return not tf.executing_eagerly() and not tf.config.functions_run_eagerly()


def traced_function(function: Callable[..., Any], signature: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    """Traces a function of tensors outside of all other graphs.

    Args:
        function: The function.
        signature: Its arguments.

    Returns:
        The `ConcreteFunction`.
    """
    with tf.init_scope():
        return tf.function(function, autograph=False, input_signature=signature).get_concrete_function()
