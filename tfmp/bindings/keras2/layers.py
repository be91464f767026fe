"""The searchable layers of tf_keras: class statements over the mixins."""

import tensorflow as tf
import tf_keras

from tfmp.mixins.bit_selector import BitSelectorMixin
from tfmp.mixins.integer_operation import IntegerOperationMixin
from tfmp.mixins.mixed_precision import MixedPrecisionMixin
from tfmp.mixins.quantize import QuantizeMixin
from tfmp.mixins.selection_cost import SelectionCostMixin

_register = tf_keras.saving.register_keras_serializable(package="tfmp")


class _FullPrecision:
    def add_weight(self, *arguments, **options):
        """A variable that a policy of mixed precision does not cast, and that replicas may assign: their mean."""
        options = {"aggregation": tf.VariableAggregation.MEAN, **options, "autocast": False}
        return super().add_weight(*arguments, **options)


class _Child(_FullPrecision):
    """Names its variables after itself: tf_keras does so only for layers that are built by being called."""

    def build(self, *arguments):
        with tf.name_scope(self.name):
            super().build(*arguments)

    def add_statistic(self, *, name, shape, initializer):
        """A variable that training observes and no gradient reaches; replicas average it."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)


class _Selecting(_FullPrecision):
    def make_selector(self, bits, **arguments):
        return BitSelector(bits, dtype="float32", **arguments)

    def make_selection_cost(self, *sizes, **arguments):
        return SelectionCost(*sizes, dtype="float32", **arguments)


@_register
class BitSelector(_Child, BitSelectorMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = BitSelectorMixin.__doc__


@_register
class SelectionCost(_Child, SelectionCostMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionCostMixin.__doc__


@_register
class IntegerOperation(IntegerOperationMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = IntegerOperationMixin.__doc__

    @tf.autograph.experimental.do_not_convert  # it does not know the `match` statement, and warns
    def _compute(self, tensors):
        return super()._compute(tensors)


@_register
class Quantize(_Selecting, QuantizeMixin, tf_keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = QuantizeMixin.__doc__


@_register
class MixedPrecisionConv2D(_Selecting, MixedPrecisionMixin, tf_keras.layers.Conv2D):
    """A 2D convolution of tf_keras that chooses the bits of its kernel and of its input while it trains.

    What it computes, and when to use it, is said in `tfmp.layers.MixedPrecisionConv2D`, its twin for Keras 3.

    Args:
        filters, kernel_size: As in `tf_keras.layers.Conv2D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.

    Example:
        >>> layer = MixedPrecisionConv2D(8, 3, weight_bits=(2, 4), activation_bits=(4,))
        >>> layer.weight_selector.bits
        (2, 4)
    """

    def operation(self, inputs, kernel):
        return _convolve(self, inputs, kernel, self.padding)


@_register
class MixedPrecisionConv1D(_Selecting, MixedPrecisionMixin, tf_keras.layers.Conv1D):
    """A 1D convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        filters, kernel_size: As in `tf_keras.layers.Conv1D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.
    """

    def operation(self, inputs, kernel):
        padding = self.padding
        if padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            last = self.data_format == "channels_last"
            inputs = tf.pad(inputs, ((0, 0), before, (0, 0)) if last else ((0, 0), (0, 0), before))
            padding = "valid"
        return _convolve(self, inputs, kernel, padding)


@_register
class MixedPrecisionDepthwiseConv2D(_Selecting, MixedPrecisionMixin, tf_keras.layers.DepthwiseConv2D):
    """A depthwise convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        kernel_size: As in `tf_keras.layers.DepthwiseConv2D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.
    """

    channel_axes = (-2, -1)

    @property
    def kernel(self):
        return self.depthwise_kernel

    def operation(self, inputs, kernel):
        return tf_keras.backend.depthwise_conv2d(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )


@_register
class MixedPrecisionDepthwiseConv1D(_Selecting, MixedPrecisionMixin, tf_keras.layers.DepthwiseConv1D):
    """A 1D depthwise convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        kernel_size: As in `tf_keras.layers.DepthwiseConv1D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.
    """

    channel_axes = (-2, -1)

    @property
    def kernel(self):
        return self.depthwise_kernel

    def operation(self, inputs, kernel):
        # TensorFlow has the one of two dimensions alone: here over rows of height 1.
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


@_register
class MixedPrecisionConv2DTranspose(_Selecting, MixedPrecisionMixin, tf_keras.layers.Conv2DTranspose):
    """A transposed 2D convolution of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        filters, kernel_size: As in `tf_keras.layers.Conv2DTranspose`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.
    """

    channel_axes = (-2,)

    def operation(self, inputs, kernel):
        return tf_keras.backend.conv2d_transpose(
            inputs,
            kernel,
            (tf.shape(inputs)[0], *self.compute_output_shape(inputs.shape)[1:]),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )


@_register
class MixedPrecisionDense(_Selecting, MixedPrecisionMixin, tf_keras.layers.Dense):
    """A dense layer of tf_keras that chooses the bits of its kernel and of its input.

    Args:
        units: As in `tf_keras.layers.Dense`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, num_calls, seed: As in
            `tfmp.layers.MixedPrecisionConv2D`.
    """

    def operation(self, inputs, kernel):
        return tf.matmul(inputs, kernel) if inputs.shape.rank == 2 else tf.tensordot(inputs, kernel, 1)


def _convolve(layer, inputs, kernel, padding):
    # The CPU has gradients of grouped convolutions in compiled code alone.
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
