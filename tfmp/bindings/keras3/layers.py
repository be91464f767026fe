"""The searchable layers of Keras 3."""

from typing import Any

import keras

from tfmp.annotations import KerasLayer, Tensor
from tfmp.bindings.keras3.selecting_layer import SelectingLayer, register
from tfmp.mixins.attention_core import AttentionCoreMixin
from tfmp.mixins.mixed_precision import MixedPrecisionMixin
from tfmp.mixins.quantize_layer import QuantizeMixin


@register
class Quantize(SelectingLayer, QuantizeMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = QuantizeMixin.__doc__


@register
class MixedPrecisionConv2D(SelectingLayer, MixedPrecisionMixin, keras.layers.Conv2D):
    """A 2D convolution that chooses the bits of its kernel and of its input during training.

    y = activation(conv(sum_j p_j A_j(x), sum_i p_i W_i(kernel)) + bias), with the candidates' probabilities p_i, p_j
    learned by gradient descent: one shared kernel and one convolution, for any number of candidates.

    Use it in any Keras 3 model, or let `tfmp.relax` add it; `tfmp.MixedPrecisionSearch` holds it to a budget. With one
    candidate each, `weight_bits=(2,)`, it is a layer with fixed bits.

    Args:
        **plain: The arguments of `keras.layers.Conv2D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.

    Attributes:
        weight_selector, activation_selector: Child layers with `bits`, `logits`, `probabilities()`, `expected_bits()`;
            None if the tensor is not quantized.

    Input and output shape: as in `keras.layers.Conv2D`.

    Raises:
        ValueError: If bits are empty, repeated or out of the quantizer's range, coupled bits differ in number, or a
            name is unknown.

    Example:
        >>> layer = MixedPrecisionConv2D(8, 3, weight_bits=(2, 4), activation_bits=(4,))
        >>> layer.weight_selector.bits
        (2, 4)

    Reference: EdMIPS, eq. 10 to 16, https://arxiv.org/abs/2004.05795
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return _convolve(self, keras.ops.conv, inputs, kernel, self.padding)


@register
class MixedPrecisionConv1D(SelectingLayer, MixedPrecisionMixin, keras.layers.Conv1D):
    """A 1D convolution that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.Conv1D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        padding = self.padding
        if padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            last = self.data_format == "channels_last"
            inputs = keras.ops.pad(inputs, ((0, 0), before, (0, 0)) if last else ((0, 0), (0, 0), before))
            padding = "valid"
        return _convolve(self, keras.ops.conv, inputs, kernel, padding)


@register
class MixedPrecisionDepthwiseConv2D(SelectingLayer, MixedPrecisionMixin, keras.layers.DepthwiseConv2D):
    """A depthwise convolution that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.DepthwiseConv2D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    channel_axes = (-2, -1)

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return _convolve(self, keras.ops.depthwise_conv, inputs, kernel, self.padding)


@register
class MixedPrecisionDepthwiseConv1D(SelectingLayer, MixedPrecisionMixin, keras.layers.DepthwiseConv1D):
    """A 1D depthwise convolution that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.DepthwiseConv1D`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    channel_axes = (-2, -1)

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return _convolve(self, keras.ops.depthwise_conv, inputs, kernel, self.padding)


class _Transposed(SelectingLayer, MixedPrecisionMixin):
    """Computes a transposed convolution of any rank."""

    channel_axes = (-2,)

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return keras.ops.conv_transpose(
            inputs,
            kernel,
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )


@register
class MixedPrecisionConv1DTranspose(_Transposed, keras.layers.Conv1DTranspose):
    """A transposed 1D convolution that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.Conv1DTranspose`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """


@register
class MixedPrecisionConv2DTranspose(_Transposed, keras.layers.Conv2DTranspose):
    """A transposed 2D convolution that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.Conv2DTranspose`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """


@register
class MixedPrecisionDense(SelectingLayer, MixedPrecisionMixin, keras.layers.Dense):
    """A dense layer that chooses the bits of its kernel and of its input.

    Args:
        **plain: The arguments of `keras.layers.Dense`.
        num_calls: Number of calls of the layer in one forward pass. Default: `1`.
        **settings: The settings of `tfmp.search.SearchSettings`.
    """

    def operation(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        return keras.ops.matmul(inputs, kernel)


@register
class AttentionCore(AttentionCoreMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = AttentionCoreMixin.__doc__

    def make_dropout(self, rate: float, **arguments: Any) -> KerasLayer:
        return keras.layers.Dropout(rate, **arguments)


def _convolve(layer, convolution, inputs, kernel, padding):
    return convolution(
        inputs,
        kernel,
        strides=layer.strides,
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
