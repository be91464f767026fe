"""Identity that scales gradients."""

import tensorflow as tf

from tfmp.annotations import Tensor


def scale_gradient(x: tf.Tensor, factor: Tensor) -> tf.Tensor:
    """Returns `x`; its gradient is multiplied by `factor`.

    LSQ uses it to balance the updates of a step with those of the weights (Esser et al., 2020, section 2.2).
    """

    @tf.custom_gradient
    def identity(value):
        return tf.identity(value), lambda upstream: upstream * tf.cast(factor, upstream.dtype)

    return identity(x)
