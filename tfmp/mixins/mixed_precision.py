"""Body of the mixed-precision layers, and the separate kernels of their candidates."""

import zlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfmp.annotations import KerasLayer, KerasMixin, Tensor
from tfmp.checks import check_flag, check_integer
from tfmp.mixins.plain_arguments import document_plain_arguments
from tfmp.search.search_settings import (
    SearchSettings,
    document_settings,
    read_config,
    saved_quantizer,
    shows_settings,
)


class MixedPrecisionMixin(KerasMixin):
    """A layer with a kernel that chooses the bits of its kernel and input among candidates.

    It computes one ordinary convolution (or product) of the mixed input with the mixed kernel, for any number of
    candidates (EdMIPS, eq. 14), with one kernel (eq. 16) or one per candidate (eq. 15). Coupled candidates need one
    convolution per pair and are mixed after it (section 4.5). With one candidate each, it is a layer of a fixed model.

    A class of a framework adds `operation(inputs, kernel)`, the computation of the plain layer without bias and
    activation, and `make_selector`, `make_candidate_kernels` and `make_selection_cost`, which return child layers.

    Args:
        num_calls: Number of calls of the layer in one forward pass.
        **kwargs: The settings of `tfmp.search.SearchSettings`, which are also attributes of the layer, and the
            arguments of the plain layer.
    """

    channel_axes: tuple[int, ...] = (-1,)

    def __init_subclass__(cls, **arguments: Any):
        super().__init_subclass__(**arguments)
        document_plain_arguments(cls)
        document_settings(cls)

    @shows_settings
    def __init__(self, *args: Any, num_calls: int = 1, **kwargs: Any):
        settings, kwargs = SearchSettings.taken_from(kwargs)
        super().__init__(*args, **kwargs)
        check_flag("signed_input", settings.signed_input)
        self.num_calls = check_integer("num_calls", num_calls, at_least=1)
        for name in settings.names():
            setattr(self, name, getattr(settings, name))
        options = {"relaxation": settings.relaxation, "shared_range": settings.shared_range}
        weight_quantizer, activation_quantizer = settings.quantizer_pair
        self.weight_selector: Any = None
        self.activation_selector: Any = None
        self.selection_cost = self.candidate_kernels = None
        if settings.weight_bits is not None:
            self.weight_selector = self.make_selector(
                settings.weight_bits,
                quantizer=weight_quantizer,
                channel_axes=self.channel_axes,
                seed=self._noise_seed("weight"),
                name="weight_selector",
                **options,
            )
        if settings.activation_bits is not None:
            self.activation_selector = self.make_selector(
                settings.activation_bits,
                quantizer=activation_quantizer,
                signed=settings.signed_input,
                seed=self._noise_seed("activation"),
                name="activation_selector",
                **options,
            )
        weight_bits: Any = settings.weight_bits
        activation_bits: Any = settings.activation_bits
        sizes = len(weight_bits or (32,)), len(activation_bits or (32,))
        if max(sizes) > 1:
            self.selection_cost = self.make_selection_cost(
                *sizes, num_calls=num_calls, coupled=settings.coupled, name="selection_cost"
            )
        if sizes[0] > 1 and not settings.shared_weights:
            self.candidate_kernels = self.make_candidate_kernels(
                weight_bits[:-1], dtype=self.variable_dtype, name="candidate_kernels"
            )
        if self.is_coupled:
            self.activation_selector.share_choice(self.weight_selector)

    @property
    def searched_name(self) -> str:
        """The name of the layer in assignments."""
        return self.name

    @property
    def is_coupled(self) -> bool:
        """True if pairs of weight and activation bits are searched."""
        return self.coupled and self.selection_cost is not None

    def kernels(self) -> Any:
        """The kernel as a tensor; if each candidate has its own, a tuple in the order of the candidates."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.candidate_kernels is None:
            return kernel
        return (*map(tf.convert_to_tensor, self.candidate_kernels.kernels), kernel)

    def kernel_owner(self) -> KerasLayer:
        """The plain layer that owns the kernel."""
        return self

    def _noise_seed(self, tensor):
        return zlib.crc32(f"{self.seed}/{self.searched_name}/{tensor}".encode()) & 0x7FFFFFFF

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.weight_selector is not None:
            self.weight_selector.start_from(lambda: tf.convert_to_tensor(self.kernel))
            self.weight_selector.build(tuple(self.kernel.shape))
        if self.activation_selector is not None:
            self.activation_selector.build(tuple(input_shape))
        if self.candidate_kernels is not None:
            self.candidate_kernels.start_from(lambda: tf.convert_to_tensor(self.kernel), self.kernel_owner())
            self.candidate_kernels.build(tuple(self.kernel.shape))
        if self.selection_cost is not None:
            self.selection_cost.build()
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        inputs = inputs if inputs.dtype.is_floating else tf.cast(inputs, self.compute_dtype)
        if self.is_coupled:
            outputs = self._sum_over_pairs(inputs, training)
        else:
            kernel = tf.cast(self.quantize_kernel(training), inputs.dtype)
            outputs = self.operation(self.quantize_input(inputs, training), kernel)
        if self.use_bias:
            channels_first = getattr(self, "data_format", "channels_last") == "channels_first"
            bias = tf.cast(tf.convert_to_tensor(self.bias), outputs.dtype)
            outputs = tf.nn.bias_add(outputs, bias, data_format="NCHW" if channels_first else None)
        return outputs if self.activation is None else self.activation(outputs)

    def _sum_over_pairs(self, inputs, training):
        """Returns sum_k p_k conv(A_k(x), W_k(kernel_k)): coupled candidates cannot be mixed before the product."""
        weights = self.weight_selector.choice.weights(training)
        kernels = self.weight_selector(self.kernels(), training=training, separate=True)
        tensors = self.activation_selector(inputs, training=training, separate=True)
        self._add_price(training)
        products = [
            self.operation(*(tf.cast(operand, inputs.dtype) for operand in pair))
            for pair in zip(tensors, kernels, strict=True)
        ]
        return tf.add_n([tf.cast(weights[k], product.dtype) * product for k, product in enumerate(products)])

    def quantize_kernel(self, training: bool | None) -> Any:
        """Returns the mixed kernel."""
        kernels = self.kernels()
        return kernels if self.weight_selector is None else self.weight_selector(kernels, training=training)

    def quantize_input(self, inputs: Tensor, training: bool | None) -> Any:
        """Returns the mixed input; while training, adds the expected price of the layer's bits to the loss."""
        if self.activation_selector is not None:
            inputs = tf.cast(self.activation_selector(inputs, training=training), inputs.dtype)
        self._add_price(training)
        return inputs

    def _add_price(self, training):
        if training and self.selection_cost is not None:
            self.selection_cost(_probabilities(self.weight_selector), _probabilities(self.activation_selector))

    def get_config(self) -> dict[str, Any]:
        settings = {name: getattr(self, name) for name in SearchSettings.names()}
        settings["quantizer"] = saved_quantizer(self.quantizer)
        return {**super().get_config(), **settings, "num_calls": self.num_calls}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return super().from_config(read_config(config))


def _probabilities(selector):
    return tf.ones((1,)) if selector is None else selector.probabilities()


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
        """Sets, before `build`, the function `values` of the initial values, and the layer with the regularizer."""
        self._start_values = values
        for option in ("regularizer", "constraint"):
            options = [getattr(layer, f"{kernel}_{option}", None) for kernel in ("kernel", "depthwise")]
            self._options[option] = options[0] or options[1]

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
    """Returns the name of the kernel of a candidate."""
    return f"kernel_{bits}_bits"
