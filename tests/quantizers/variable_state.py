"""States of quantizers as plain TensorFlow variables."""

import numpy as np
import tensorflow as tf

_INITIALIZERS = {"zeros": tf.zeros, "ones": tf.ones}


def build(quantizer, *, channel_axes=None, shape=None, values=None, start="initial_state"):
    """What an owner does: makes the state and, given data, starts it from them with the named method.

    A kernel has the shape of its values, or that given.
    """
    state = {}

    def add_weight(*, name, shape, initializer, trainable):
        make = _INITIALIZERS[initializer] if isinstance(initializer, str) else initializer
        options = {"trainable": trainable, "aggregation": tf.VariableAggregation.MEAN, "name": name}
        return tf.Variable(make(shape), dtype=tf.float32, **options)

    if channel_axes is not None and shape is None and values is not None:
        shape = np.shape(values)
    state = quantizer.build(add_weight, channel_axes=channel_axes, shape=shape)
    if values is not None:
        for name, value in getattr(quantizer, start)(np.asarray(values), channel_axes=channel_axes).items():
            state[name].assign(value)
        if "seen" in state:
            state["seen"].assign(1.0)
    return state


def numbers(state):
    return {name: variable.numpy() for name, variable in state.items()}
