"""Separate kernels for each candidate (weights not shared)."""

import tensorflow as tf

from tfmp.annotations import KerasMixin


class CandidateKernelsMixin(KerasMixin):
    """Holds separate kernels for all candidates of a layer except the widest (EdMIPS, eq. 15).

    The widest candidate uses the kernel of the layer. The other kernels start as copies of it, with its regularizer and
    constraint.

    Args:
        bits: Bits of these candidates, in increasing order.

    Attributes:
        kernels: Trainable variables in the order of `bits`.
    """

    def __init__(self, bits, **kwargs):
        super().__init__(**kwargs)
        self.bits = tuple(bits)
        self._start_values, self._options = None, {}

    def start_from(self, values, layer):
        """Before `build`: the kernels will start from what `values()` returns, regularized as that of a layer."""
        self._start_values = values
        for option in ("regularizer", "constraint"):
            found = [getattr(layer, f"{kernel}_{option}", None) for kernel in ("kernel", "depthwise")]
            self._options[option] = found[0] or found[1]

    def build(self, kernel_shape):
        def start(shape, dtype=tf.float32, **_):
            return tf.ensure_shape(tf.cast(self._start_values(), dtype), shape)

        self.kernels = [
            self.add_weight(
                name=kernel_name(bits), shape=kernel_shape, initializer=start, trainable=True, **self._options
            )
            for bits in self.bits
        ]
        self.built = True

    def get_config(self):
        return {**super().get_config(), "bits": self.bits}


def kernel_name(bits: int) -> str:
    """The name of the kernel of a candidate."""
    return f"kernel_{bits}_bits"
