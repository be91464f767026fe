"""Body of the mixed-precision layers."""

import zlib
from collections.abc import Iterable

import tensorflow as tf

from tfmp import quantizers
from tfmp.checks import check_flag, check_integer
from tfmp.mixins.bit_selector import check_bits
from tfmp.relaxation import check_relaxation


class MixedPrecisionMixin:
    """A layer with a kernel that quantizes its own kernel and input by relaxed selection.

    It computes one ordinary convolution (or product) of the mixed input with the mixed kernel, however many candidates
    there are (EdMIPS, eq. 14), of one kernel (eq. 16) or of one for each candidate (eq. 15). Coupled candidates are
    mixed behind the convolution, of which there is one for each pair (section 4.5). With one candidate each it is the
    fixed layer.

    A class of a framework adds `operation(inputs, kernel)`, the plain layer's mathematics without bias and activation,
    and `make_selector`, `make_candidate_kernels`, `make_selection_cost`, which return its own child layers.
    """

    channel_axes = (-1,)

    def __init__(
        self,
        *args,
        weight_bits=(1, 2, 3, 4),
        activation_bits=(2, 3, 4),
        quantizer="lsq",
        signed_input=False,
        relaxation="softmax",
        shared_range=True,
        shared_weights=True,
        coupled=False,
        num_calls=1,
        seed=0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        check_relaxation(relaxation)
        flags = {"shared_range": shared_range, "shared_weights": shared_weights, "coupled": coupled}
        check_flags_and_seed({**flags, "signed_input": signed_input}, seed)
        check_integer("num_calls", num_calls, at_least=1)
        weight_quantizer, activation_quantizer = quantizer_pair(quantizer)
        given = weight_bits, activation_bits
        if weight_bits is not None:
            weight_bits = tuple(q.bits for q in check_bits(weight_bits, "weight_bits", weight_quantizer, True))
        if activation_bits is not None:
            if signed_input and not quantizers.family(activation_quantizer).takes_signed_input:
                raise ValueError(
                    f"Layer `{self.searched_name}`: quantizer `{activation_quantizer}` cannot represent an input that "
                    'can be negative. Expected `signed_input=False` with it; use "lsq" for such inputs.'
                )
            found = check_bits(activation_bits, "activation_bits", activation_quantizer, signed_input)
            activation_bits = tuple(q.bits for q in found)
        if coupled:
            check_coupled(*given)
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self.quantizer = quantizer_names(quantizer)
        self.signed_input = signed_input
        self.relaxation = relaxation
        self.shared_range = shared_range
        self.shared_weights = shared_weights
        self.coupled = coupled
        self.num_calls = num_calls
        self.seed = seed
        options = {"relaxation": relaxation, "shared_range": shared_range}
        self.weight_selector = self.activation_selector = self.selection_cost = self.candidate_kernels = None
        if weight_bits is not None:
            self.weight_selector = self.make_selector(
                weight_bits,
                quantizer=weight_quantizer,
                channel_axes=self.channel_axes,
                seed=self._noise_seed("weight"),
                name="weight_selector",
                **options,
            )
        if activation_bits is not None:
            self.activation_selector = self.make_selector(
                activation_bits,
                quantizer=activation_quantizer,
                signed=signed_input,
                seed=self._noise_seed("activation"),
                name="activation_selector",
                **options,
            )
        sizes = len(weight_bits or (32,)), len(activation_bits or (32,))
        if max(sizes) > 1:
            self.selection_cost = self.make_selection_cost(
                *sizes, num_calls=num_calls, coupled=coupled, name="selection_cost"
            )
        if sizes[0] > 1 and not shared_weights:
            self.candidate_kernels = self.make_candidate_kernels(
                weight_bits[:-1], dtype=self.variable_dtype, name="candidate_kernels"
            )
        if self.is_coupled:
            self.activation_selector.share_choice(self.weight_selector)

    @property
    def searched_name(self) -> str:
        """The name under which assignments have the layer."""
        return self.name

    @property
    def is_coupled(self) -> bool:
        """True if a choice among pairs is open."""
        return self.coupled and self.selection_cost is not None

    def kernels(self):
        """The kernel as a tensor; where each candidate has its own, the tuple of them in the candidates' order."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.candidate_kernels is None:
            return kernel
        return (*map(tf.convert_to_tensor, self.candidate_kernels.kernels), kernel)

    def kernel_owner(self):
        """The plain layer that the kernel is of."""
        return self

    def _noise_seed(self, tensor):
        return zlib.crc32(f"{self.seed}/{self.searched_name}/{tensor}".encode()) & 0x7FFFFFFF

    def build(self, input_shape):
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

    def call(self, inputs, training=None):
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
        """sum_k p_k conv(A_k(x), W_k(kernel_k)): what is quantized together cannot be mixed before the product."""
        weights = self.weight_selector.choice.weights(training)
        kernels = self.weight_selector(self.kernels(), training=training, separate=True)
        tensors = self.activation_selector(inputs, training=training, separate=True)
        self._add_price(training)
        products = [
            self.operation(*(tf.cast(operand, inputs.dtype) for operand in pair))
            for pair in zip(tensors, kernels, strict=True)
        ]
        return tf.add_n([tf.cast(weights[k], product.dtype) * product for k, product in enumerate(products)])

    def quantize_kernel(self, training):
        """Returns the mixed kernel."""
        kernels = self.kernels()
        return kernels if self.weight_selector is None else self.weight_selector(kernels, training=training)

    def quantize_input(self, inputs, training):
        """Returns the mixed input; while training, adds the price of the layer's choice to the loss."""
        if self.activation_selector is not None:
            inputs = tf.cast(self.activation_selector(inputs, training=training), inputs.dtype)
        self._add_price(training)
        return inputs

    def _add_price(self, training):
        if training and self.selection_cost is not None:
            self.selection_cost(_probabilities(self.weight_selector), _probabilities(self.activation_selector))

    def get_config(self):
        return {
            **super().get_config(),
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "quantizer": self.quantizer,
            "signed_input": self.signed_input,
            "relaxation": self.relaxation,
            "shared_range": self.shared_range,
            "shared_weights": self.shared_weights,
            "coupled": self.coupled,
            "num_calls": self.num_calls,
            "seed": self.seed,
        }


def check_flags_and_seed(flags, seed):
    """Raises `ValueError` unless the flags, by name, are True or False and the seed is an integer from 0."""
    for name, value in flags.items():
        check_flag(name, value)
    check_integer("seed", seed, at_least=0)


def check_coupled(weight_bits, activation_bits):
    """Raises `ValueError` unless candidate i of the kernel can go with candidate i of the input."""
    tensors = [tuple(bits) if isinstance(bits, Iterable) else (bits,) for bits in (weight_bits, activation_bits)]
    if len(tensors[0]) != len(tensors[1]) or any(list(bits) != sorted(bits) for bits in tensors if len(bits) > 1):
        raise ValueError(
            "`coupled=True` pairs candidate i of the weights with candidate i of the activations: expected "
            "equally many of both, in increasing order, such as `weight_bits=(1, 2, 4), activation_bits=(2, 3, 4)`. "
            f"Received: weight_bits={weight_bits}, activation_bits={activation_bits}"
        )


def quantizer_pair(quantizer) -> tuple[str, str]:
    """Names of the weight and the activation quantizer, from one for both or a pair; each a name, class or instance."""
    one = isinstance(quantizer, str | type | quantizers.Quantizer)
    pair = (quantizer, quantizer) if one else quantizer
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(
            "`quantizer` must be a quantizer by name, class or instance, or a pair of these (weights, activations). "
            f"Received: {quantizer!r}"
        )
    weights, activations = map(quantizers.name_of, pair)
    other = quantizers.family(activations).activation_name
    if other is None:
        return weights, activations
    if one:
        return weights, other
    raise ValueError(
        f"Quantizer `{activations}` is for kernels. Received: quantizer={quantizer!r}. Name another one for "
        f'activations, "{other}" for example.'
    )


def quantizer_names(quantizer) -> str | tuple[str, str]:
    """The argument in names, for configurations: one for both tensors, or a pair."""
    if isinstance(quantizer, list | tuple):
        return tuple(map(quantizers.name_of, quantizer))
    return quantizers.name_of(quantizer)


def _probabilities(selector):
    return tf.ones((1,)) if selector is None else selector.probabilities()
