"""The searchable layers of tf_keras."""

from typing import Any

import tensorflow as tf
import tf_keras

from tfmp.annotations import KerasLayer, Tensor
from tfmp.bindings.keras2.selecting_layer import Quantize, SelectingLayer, register  # noqa: F401 (found here by users)
from tfmp.mixins.attention_core import AttentionCoreMixin
from tfmp.mixins.mixed_precision import MixedPrecisionMixin


@register
class MixedPrecisionConv2D(SelectingLayer, MixedPrecisionMixin, tf_keras.layers.Conv2D):
    """A 2D convolution of tf_keras that chooses the bits of its kernel and of its input during training.

    See `tfmp.layers.MixedPrecisionConv2D`, the same layer for Keras 3, for what it computes and when to use it.

    Args:
        **plain: The arguments of `tf_keras.layers.Conv2D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.

    Example:
        >>> layer = MixedPrecisionConv2D(8, 3, weight_bits=(2, 4), activation_bits=(4,))
        >>> layer.weight_selector.bits
        (2, 4)
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return _convolve(self, inputs, kernel, self.padding)


@register
class MixedPrecisionConv1D(SelectingLayer, MixedPrecisionMixin, tf_keras.layers.Conv1D):
    """A 1D convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `tf_keras.layers.Conv1D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        padding = self.padding
        if padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            last = self.data_format == "channels_last"
            inputs = tf.pad(inputs, ((0, 0), before, (0, 0)) if last else ((0, 0), (0, 0), before))
            padding = "valid"
        return _convolve(self, inputs, kernel, padding)


@register
class MixedPrecisionDepthwiseConv2D(SelectingLayer, MixedPrecisionMixin, tf_keras.layers.DepthwiseConv2D):
    """A depthwise convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `tf_keras.layers.DepthwiseConv2D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    channel_axes = (-2, -1)

    @property
    def kernel(self) -> Tensor:
        return self.depthwise_kernel

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return tf_keras.backend.depthwise_conv2d(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )


@register
class MixedPrecisionDepthwiseConv1D(SelectingLayer, MixedPrecisionMixin, tf_keras.layers.DepthwiseConv1D):
    """A 1D depthwise convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `tf_keras.layers.DepthwiseConv1D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    channel_axes = (-2, -1)

    @property
    def kernel(self) -> Tensor:
        return self.depthwise_kernel

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        # TensorFlow has only the 2D operation, applied here to rows of height 1.
        height = 1 if self.data_format == "channels_last" else 2
        outputs = tf_keras.backend.depthwise_conv2d(
            tf.expand_dims(inputs, height),
            tf.expand_dims(kernel, 0),
            strides=self.strides * 2,
            padding=self.padding,
            dilation_rate=(1, *self.dilation_rate),
            data_format=self.data_format,
        )
        return tf.squeeze(outputs, [height])


class _Transposed(SelectingLayer, MixedPrecisionMixin):
    """Computes the output sizes of a transposed convolution."""

    channel_axes = (-2,)

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        # Each size is stride * size of the input + a constant, even if it is known only at run time.
        static, of_ones = self.compute_output_shape(inputs.shape), self.compute_output_shape((1,) * (self.rank + 2))
        sizes = list(tf.unstack(tf.shape(inputs)))
        first = 1 if self.data_format == "channels_last" else 2
        for axis, stride in enumerate(self.strides, start=first):
            sizes[axis] = sizes[axis] * stride + (of_ones[axis] - stride)
        sizes[-1 if first == 1 else 1] = self.filters
        options = {"strides": self.strides, "padding": self.padding, "data_format": self.data_format}
        outputs = self.transposed(inputs, kernel, tf.stack(sizes), dilation_rate=self.dilation_rate, **options)
        return tf.ensure_shape(outputs, static)


@register
class MixedPrecisionConv1DTranspose(_Transposed, tf_keras.layers.Conv1DTranspose):
    """A transposed 1D convolution of tf_keras that chooses its bits.

    Args:
        **plain: The arguments of `tf_keras.layers.Conv1DTranspose`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    @staticmethod
    def transposed(
        inputs: Tensor,
        kernel: Tensor,
        shape: Tensor,
        *,
        strides: tuple[int],
        padding: str,
        data_format: str,
        dilation_rate: tuple[int],
    ) -> Tensor:
        """Computes the convolution; `shape` is that of the output."""
        layout = "NWC" if data_format == "channels_last" else "NCW"
        return tf.nn.conv1d_transpose(
            inputs, kernel, shape, strides, padding.upper(), data_format=layout, dilations=dilation_rate
        )


@register
class MixedPrecisionConv2DTranspose(_Transposed, tf_keras.layers.Conv2DTranspose):
    """A transposed 2D convolution of tf_keras that chooses its bits.

    Args:
        **plain: The arguments of `tf_keras.layers.Conv2DTranspose`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    transposed = staticmethod(tf_keras.backend.conv2d_transpose)


@register
class MixedPrecisionDense(SelectingLayer, MixedPrecisionMixin, tf_keras.layers.Dense):
    """A dense layer of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `tf_keras.layers.Dense`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return tf.matmul(inputs, kernel) if inputs.shape.rank == 2 else tf.tensordot(inputs, kernel, 1)


@register
class AttentionCore(AttentionCoreMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = AttentionCoreMixin.__doc__

    def make_dropout(self, rate: float, **arguments: Any) -> KerasLayer:
        return tf_keras.layers.Dropout(rate, **arguments)


def _convolve(layer, inputs, kernel, padding):
    # On a CPU, gradients of grouped convolutions exist only in compiled code.
    convolve = _compiled_convolution if layer.groups > 1 else tf.nn.convolution
    channels = "C" if layer.data_format == "channels_last" else ""
    spatial = {1: "W", 2: "HW"}[layer.rank]
    return convolve(
        inputs,
        kernel,
        strides=layer.strides,
        padding=padding.upper(),
        dilations=layer.dilation_rate,
        data_format=f"N{'' if channels else 'C'}{spatial}{channels}",
    )


@tf.function(jit_compile=True)
def _compiled_convolution(inputs, kernel, **options):
    return tf.nn.convolution(inputs, kernel, **options)
