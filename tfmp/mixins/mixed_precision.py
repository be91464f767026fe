"""What the four mixed-precision layers share."""

import zlib

import tensorflow as tf

from tfmp import quantizers, selection
from tfmp.mixins.bit_selector import check_bits


class MixedPrecisionMixin:
    """A layer with a kernel that quantizes its own kernel and input by relaxed selection.

    It computes one ordinary convolution (or product) of the mixed input with the mixed kernel, however many candidates
    there are (EdMIPS, eq. 14, with the shared weights of eq. 16). With one candidate each it is the fixed layer.

    A class of a framework adds `operation(inputs, kernel)`, the plain layer's mathematics without bias and activation,
    and `make_selector`, `make_selection_cost`, which return its own child layers.
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
        num_calls=1,
        seed=0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        selection.check_relaxation(relaxation)
        weight_quantizer, activation_quantizer = quantizer_pair(quantizer)
        if weight_bits is not None:
            weight_bits = tuple(q.bits for q in check_bits(weight_bits, "weight_bits", weight_quantizer, True))
        if activation_bits is not None:
            if activation_quantizer == "hwgq" and signed_input:
                raise ValueError(
                    f"Layer `{self.searched_name}`: half-wave quantization cannot represent a signed input. "
                    'Expected `signed_input=False` with `quantizer="hwgq"`; use "lsq" for signed inputs.'
                )
            found = check_bits(activation_bits, "activation_bits", activation_quantizer, signed_input)
            activation_bits = tuple(q.bits for q in found)
        self.weight_bits = weight_bits
        self.activation_bits = activation_bits
        self.quantizer = quantizer if isinstance(quantizer, str) else tuple(quantizer)
        self.signed_input = signed_input
        self.relaxation = relaxation
        self.shared_range = shared_range
        self.num_calls = num_calls
        self.seed = seed
        options = {"relaxation": relaxation, "shared_range": shared_range}
        self.weight_selector = self.activation_selector = self.selection_cost = None
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
            self.selection_cost = self.make_selection_cost(*sizes, num_calls=num_calls, name="selection_cost")

    @property
    def searched_name(self) -> str:
        """The name under which assignments have the layer."""
        return self.name

    def _noise_seed(self, tensor):
        return zlib.crc32(f"{self.seed}/{self.searched_name}/{tensor}".encode()) & 0x7FFFFFFF

    def build(self, input_shape):
        super().build(input_shape)
        if self.weight_selector is not None:
            self.weight_selector.start_from(lambda: tf.convert_to_tensor(self.kernel))
            self.weight_selector.build(tuple(self.kernel.shape))
        if self.activation_selector is not None:
            self.activation_selector.build(tuple(input_shape))
        if self.selection_cost is not None:
            self.selection_cost.build()
        self.built = True

    def call(self, inputs, training=None):
        kernel = tf.convert_to_tensor(self.kernel)
        if self.weight_selector is not None:
            kernel = self.weight_selector(kernel, training=training)
        kernel = tf.cast(kernel, inputs.dtype)
        inputs = self.quantize_input(inputs, training)
        outputs = self.operation(inputs, kernel)
        if self.use_bias:
            channels_first = getattr(self, "data_format", "channels_last") == "channels_first"
            bias = tf.cast(tf.convert_to_tensor(self.bias), outputs.dtype)
            outputs = tf.nn.bias_add(outputs, bias, data_format="NCHW" if channels_first else None)
        return outputs if self.activation is None else self.activation(outputs)

    def quantize_input(self, inputs, training):
        """Returns the mixed input; while training, adds the price of the layer's choice to the loss."""
        if self.activation_selector is not None:
            inputs = tf.cast(self.activation_selector(inputs, training=training), inputs.dtype)
        if training and self.selection_cost is not None:
            self.selection_cost(_probabilities(self.weight_selector), _probabilities(self.activation_selector))
        return inputs

    def get_config(self):
        return {
            **super().get_config(),
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "quantizer": self.quantizer,
            "signed_input": self.signed_input,
            "relaxation": self.relaxation,
            "shared_range": self.shared_range,
            "num_calls": self.num_calls,
            "seed": self.seed,
        }


def quantizer_pair(quantizer) -> tuple[str, str]:
    """Names of the weight and the activation quantizer, from one name for both or a pair."""
    pair = (quantizer, quantizer) if isinstance(quantizer, str) else quantizer
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(
            "`quantizer` must be the name of a quantizer, or a pair of names (weights, activations). "
            f"Received: {quantizer!r}"
        )
    weights, activations = (quantizers.get(name, bits=quantizers.MAX_BITS) for name in pair)
    if activations.activation_name is None:
        return weights.name, activations.name
    if isinstance(quantizer, str):
        return weights.name, activations.activation_name
    raise ValueError(
        f"Quantizer `{activations.name}` is for kernels. Received: quantizer={quantizer!r}. Name another one for "
        f'activations, "{activations.activation_name}" for example.'
    )


def _probabilities(selector):
    return tf.ones((1,)) if selector is None else selector.probabilities()
