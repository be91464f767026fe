"""The searchable layers of Keras 3."""

import threading

import keras

from tfmp.mixins.bit_selector import BitSelectorMixin
from tfmp.mixins.candidate_kernels import CandidateKernelsMixin
from tfmp.mixins.integer_operation_layer import IntegerOperationMixin
from tfmp.mixins.mixed_precision import MixedPrecisionMixin
from tfmp.mixins.quantize_layer import QuantizeMixin
from tfmp.mixins.selection_cost import SelectionCostMixin

_register = keras.saving.register_keras_serializable(package="tfmp")


class _FullPrecision:
    def add_weight(self, *arguments, **options):
        """A variable that a policy of mixed precision does not cast: codes are exact in float32 alone."""
        return super().add_weight(*arguments, **{**options, "autocast": False})


class _Statistics(_FullPrecision):
    def add_weight(self, *arguments, **options):
        """A variable that replicas may assign: their mean, so that they cannot drift apart."""
        return super().add_weight(*arguments, **{"aggregation": "mean", **options})

    def add_statistic(self, *, name, shape, initializer):
        """A variable that training observes and no gradient reaches."""
        return self.add_weight(name=name, shape=shape, initializer=initializer, trainable=False)


class _Selecting(_FullPrecision):
    def build(self, input_shape):
        super().build(input_shape)
        for name in ("weight_selector", "activation_selector", "candidate_kernels"):
            child = getattr(self, name, None)
            if child is not None:  # of what a configuration froze, Keras tells the layers inside nothing
                child.trainable = self.trainable

    def make_selector(self, bits, **arguments):
        return BitSelector(bits, dtype="float32", **arguments)

    def make_candidate_kernels(self, bits, **arguments):
        return CandidateKernels(bits, **arguments)

    def make_selection_cost(self, *sizes, **arguments):
        return SelectionCost(*sizes, dtype="float32", **arguments)


@_register
class BitSelector(_Statistics, BitSelectorMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = BitSelectorMixin.__doc__

    @property
    def trainable(self):
        """True while bits are open: freezing a layer freezes its weights, not the search for their bits."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        keras.layers.Layer.trainable.fset(self, value or len(self.quantizers) > 1)


@_register
class CandidateKernels(_FullPrecision, CandidateKernelsMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = CandidateKernelsMixin.__doc__


class _Penalties(threading.local):
    """A list for each thread; the replicas of a distribution strategy are threads."""

    def __init__(self):
        self.of_this_thread = []


@_register
class SelectionCost(_Statistics, SelectionCostMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionCostMixin.__doc__

    # Keras keeps what `add_loss` collects in one list, in which a replica finds the losses of the others too, or misses
    # its own once another has cleared it. No public method tells a layer when the list is read or cleared.
    @property
    def _losses(self):
        return self._penalties.of_this_thread

    @_losses.setter
    def _losses(self, losses):
        self._penalties = _Penalties()


@_register
class IntegerOperation(IntegerOperationMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = IntegerOperationMixin.__doc__

    def compute_output_spec(self, *_):
        """Its output, whose dtype is not that of the layer."""
        return keras.KerasTensor(self.fixed_output_shape, dtype=self.output_dtype)


@_register
class Quantize(_Selecting, QuantizeMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = QuantizeMixin.__doc__


@_register
class MixedPrecisionConv2D(_Selecting, MixedPrecisionMixin, keras.layers.Conv2D):
    """A 2D convolution that chooses the bits of its kernel and of its input while it trains.

    y = activation(conv(sum_j p_j A_j(x), sum_i p_i W_i(kernel)) + bias), with the candidates' probabilities p_i, p_j
    learned by gradient descent: one shared kernel and one convolution, whatever the number of candidates.

    Use it in any Keras 3 model, or let `tfmp.relax` place it; `tfmp.MixedPrecisionSearch` puts a budget on it. With one
    candidate each, `weight_bits=(2,)`, it is the layer with fixed bits.

    Args:
        filters, kernel_size: As in `keras.layers.Conv2D`, like every argument that is not named here.
        weight_bits: Candidates for the kernel, or None to leave it in floating point.
        activation_bits: Candidates for the input, or None to leave it in floating point.
        quantizer: Name of a quantizer family (`tfmp.quantizers.names()`), or a pair of names (weights, activations).
        signed_input: True if the input can be negative. By default it cannot, as after a ReLU, and is clipped at 0.
        relaxation: `"softmax"` (EdMIPS), `"annealed"` or `"gumbel"`.
        shared_range: If True, the candidates of a tensor share one learned range; else each learns its own.
        shared_weights: If True, the candidates quantize one kernel (eq. 16); else each has one of its own (eq. 15), and
            `kernel` is that of the widest.
        coupled: If True, candidate i of the kernel goes with candidate i of the input: one vector of logits, and one
            convolution for each pair, sum_k p_k conv(A_k(x), W_k(kernel)). Both then have equally many candidates.
        num_calls: How often one forward pass uses the layer.
        seed: Integer, for Gumbel noise.

    Attributes:
        weight_selector, activation_selector: Child layers with `bits`, `logits`, `probabilities()`, `expected_bits()`;
            None where the tensor is not quantized.

    Input and output shape: as `keras.layers.Conv2D`.

    Raises:
        ValueError: If bits are empty, repeated or out of the quantizer's range, or coupled and not equally many, or a
            name is unknown.

    Example:
        >>> layer = MixedPrecisionConv2D(8, 3, weight_bits=(2, 4), activation_bits=(4,))
        >>> layer.weight_selector.bits
        (2, 4)

    Reference: EdMIPS, eq. 10 to 16, https://arxiv.org/abs/2004.05795
    """

    def operation(self, inputs, kernel):
        return _convolve(self, keras.ops.conv, inputs, kernel, self.padding)


@_register
class MixedPrecisionConv1D(_Selecting, MixedPrecisionMixin, keras.layers.Conv1D):
    """A 1D convolution that chooses the bits of its kernel and of its input.

    Args:
        filters, kernel_size: As in `keras.layers.Conv1D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, shared_weights, coupled,
            num_calls, seed: As in `MixedPrecisionConv2D`.
    """

    def operation(self, inputs, kernel):
        padding = self.padding
        if padding == "causal":
            before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
            last = self.data_format == "channels_last"
            inputs = keras.ops.pad(inputs, ((0, 0), before, (0, 0)) if last else ((0, 0), (0, 0), before))
            padding = "valid"
        return _convolve(self, keras.ops.conv, inputs, kernel, padding)


@_register
class MixedPrecisionDepthwiseConv2D(_Selecting, MixedPrecisionMixin, keras.layers.DepthwiseConv2D):
    """A depthwise convolution that chooses the bits of its kernel and of its input.

    Args:
        kernel_size: As in `keras.layers.DepthwiseConv2D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, shared_weights, coupled,
            num_calls, seed: As in `MixedPrecisionConv2D`.
    """

    channel_axes = (-2, -1)

    def operation(self, inputs, kernel):
        return _convolve(self, keras.ops.depthwise_conv, inputs, kernel, self.padding)


@_register
class MixedPrecisionDepthwiseConv1D(_Selecting, MixedPrecisionMixin, keras.layers.DepthwiseConv1D):
    """A 1D depthwise convolution that chooses the bits of its kernel and of its input.

    Args:
        kernel_size: As in `keras.layers.DepthwiseConv1D`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, shared_weights, coupled,
            num_calls, seed: As in `MixedPrecisionConv2D`.
    """

    channel_axes = (-2, -1)

    def operation(self, inputs, kernel):
        return _convolve(self, keras.ops.depthwise_conv, inputs, kernel, self.padding)


@_register
class MixedPrecisionConv2DTranspose(_Selecting, MixedPrecisionMixin, keras.layers.Conv2DTranspose):
    """A transposed 2D convolution that chooses the bits of its kernel and of its input; `tfmp.relax` keeps it at 8.

    Args:
        filters, kernel_size: As in `keras.layers.Conv2DTranspose`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, shared_weights, coupled,
            num_calls, seed: As in `MixedPrecisionConv2D`.
    """

    channel_axes = (-2,)

    def operation(self, inputs, kernel):
        return keras.ops.conv_transpose(
            inputs,
            kernel,
            strides=list(self.strides),
            padding=self.padding,
            output_padding=self.output_padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )


@_register
class MixedPrecisionDense(_Selecting, MixedPrecisionMixin, keras.layers.Dense):
    """A dense layer that chooses the bits of its kernel and of its input.

    Args:
        units: As in `keras.layers.Dense`, like every argument that is not named here.
        weight_bits, activation_bits, quantizer, signed_input, relaxation, shared_range, shared_weights, coupled,
            num_calls, seed: As in `MixedPrecisionConv2D`.
    """

    def operation(self, inputs, kernel):
        return keras.ops.matmul(inputs, kernel)


def _convolve(layer, convolution, inputs, kernel, padding):
    return convolution(
        inputs,
        kernel,
        strides=layer.strides,
        padding=padding,
        dilation_rate=layer.dilation_rate,
        data_format=layer.data_format,
    )
