"""A block of a supernet with all its candidates, and the quantizer of its activations."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfmp import quantizers
from tfmp.annotations import KerasMixin, Tensor
from tfmp.joint.block_spec import CATEGORICALS, BlockCandidates
from tfmp.joint.search_space import BlockPlace
from tfmp.relaxation import mixture
from tfmp.relaxation.mixture import centres, first_channels, masked_mixture
from tfmp.search.search_settings import check_bits


class ChoiceQuantizerMixin(KerasMixin):
    """Quantizes an activation to a mixture of bits with weights that the caller gives.

    All candidates share one moving range.

    Args:
        bits: Candidates, integers from 1 to 8.
        signed: False for tensors that cannot be negative.
    """

    def __init__(self, bits: Sequence[int], *, signed: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.quantizers = check_bits(bits, "bits", "moving_range", signed)
        self.signed = signed

    def build(self, inputs_shape: Any, weights_shape: Any = None) -> None:
        def add_weight(*, name, shape, initializer, trainable):
            return self.add_statistic(name=name, shape=shape, initializer=initializer)

        self.range = self.quantizers[-1].build(add_weight)
        self.built = True

    def call(self, inputs: Tensor, weights: Tensor, observed: Any = None, training: bool | None = None) -> Tensor:
        """Quantizes.

        Args:
            inputs: The tensor.
            weights: `[candidates]`, summing to 1.
            observed: Values that the range follows while training; by default `inputs`.
            training: Python boolean.
        """
        if training:
            self.quantizers[-1].observe(inputs if observed is None else observed, self.range)
        return mixture(inputs, self.quantizers, [self.range] * len(self.quantizers), weights)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bits": [each.bits for each in self.quantizers], "signed": self.signed}


def chosen_maximum(values: Tensor, sizes: Sequence[int], weights: Tensor) -> Tensor:
    """Returns the expected maximum over the first channels, under a choice of their number.

    If one choice is certain, it is the maximum in the network of that choice; other channels do not matter.

    Args:
        values: Non-negative tensor, channels last.
        sizes: Numbers of channels, one per candidate.
        weights: `[candidates]`, summing to 1.

    Returns:
        `[1]` tensor.
    """
    per_channel = tf.reduce_max(values, axis=range(values.shape.rank - 1))
    return tf.tensordot(weights, tf.stack([tf.reduce_max(per_channel[:size]) for size in sizes]), axes=1)[None]


class SearchedBlockMixin(KerasMixin):
    """A mobile inverted bottleneck that computes a mixture of all its candidates.

    Each of its convolutions has one kernel, that of the largest candidate: smaller depthwise kernels are the centre of
    the largest, and fewer channels are its first ones. Architectures and bits are mixed in the kernels and inputs, so
    the block needs three convolutions for any number of candidates. Weights and inputs are always quantized: kernels by
    their maximum per output channel, inputs by a moving range.

    With a one-hot choice it computes the block of that choice. Hidden channels that are not chosen are computed too,
    but have no effect: normalization and depthwise convolution do not mix channels, the projection's kernel is zero
    there, and ranges ignore them.

    Args:
        place: `tfmp.joint.BlockPlace`, or its fields as a dict.
        first_row: Index of the first of its five rows in `choices`.

    Inputs: the images, and `choices`, `[rows, width]`: weights that sum to 1 over the candidates of each row.
    """

    def __init__(self, place: BlockPlace | Mapping[str, Any], *, first_row: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(place, BlockPlace):
            place = BlockPlace(**{**place, "candidates": BlockCandidates(**place["candidates"])})
        self.place, self.first_row = place, first_row
        candidates = place.candidates
        self.hidden_sizes = [each * place.in_channels for each in candidates.expansion]
        self.is_searched = candidates.skip != (True,)
        self.pointwise_quantizers = [quantizers.get("linear", bits=bits) for bits in candidates.pointwise_bits]
        self.depthwise_quantizers = [quantizers.get("linear", bits=bits) for bits in candidates.depthwise_bits]
        if not self.is_searched:
            return
        for part, bits, signed in (
            ("expand", candidates.pointwise_bits, True),
            ("depthwise", candidates.depthwise_bits, False),
            ("project", candidates.pointwise_bits, False),
        ):
            setattr(self, f"{part}_range", self.make_range(bits, signed=signed, name=f"{part}_range"))
            setattr(self, f"{part}_bn", self.make_normalization(name=f"{part}_bn"))
        if place.is_residual:  # inputs of additions are stored at 8 bits
            self.input_quantizer = self.make_quantizer(name="input_quantizer")
            self.output_quantizer = self.make_quantizer(name="output_quantizer")

    def build(self, inputs_shape: Any, choices_shape: Any) -> None:
        if self.is_searched:
            self._build_parts(tuple(inputs_shape), tuple(choices_shape))
        self.built = True

    def _build_parts(self, shape, choices_shape):
        place, hidden, side = self.place, self.hidden_sizes[-1], self.place.candidates.kernel_size[-1]
        kernels = {
            "expand": (1, 1, place.in_channels, hidden),
            "depthwise": (side, side, hidden, 1),
            "project": (1, 1, hidden, place.out_channels),
        }
        inner, outer = (*shape[:-1], hidden), (shape[0], place.output_size, place.output_size, hidden)
        read = {"expand": shape, "depthwise": inner, "project": outer}
        shapes = {"expand": inner, "depthwise": outer, "project": (*outer[:-1], place.out_channels)}
        for part, kernel_shape in kernels.items():
            kernel = self.add_weight(name=f"{part}_kernel", shape=kernel_shape, initializer="he_normal")
            setattr(self, f"{part}_kernel", kernel)
            getattr(self, f"{part}_range").build(read[part], choices_shape[-1:])
            getattr(self, f"{part}_bn").build(shapes[part])
        if place.is_residual:
            self.input_quantizer.build(shape)
            self.output_quantizer.build(shapes["project"])

    def call(self, inputs: Tensor, choices: Tensor, training: bool | None = None) -> Tensor:
        if not self.is_searched:
            return tf.identity(inputs)
        rows = (
            choices[self.first_row + index, : len(values)] for index, values in enumerate(self.place.candidates.fields)
        )
        chosen = dict(zip(CATEGORICALS, rows, strict=True))
        x = self.input_quantizer(inputs, training=training) if self.place.is_residual else inputs
        y = self._block(x, chosen, training)
        if self.place.is_residual:
            y = x + self.output_quantizer(y, training=training)
        if len(self.place.candidates.skip) == 1:
            return y
        return chosen["skip"][0] * y + chosen["skip"][1] * inputs

    def _block(self, x, chosen, training):
        pointwise, depthwise, expansion = chosen["pointwise_bits"], chosen["depthwise_bits"], chosen["expansion"]
        candidates, strides = self.place.candidates, self.place.strides
        whole = first_channels([self.place.in_channels])
        x = self.expand_range(x, pointwise, training=training)
        kernel = tf.convert_to_tensor(self.expand_kernel)
        kernel = masked_mixture(kernel, whole, (1.0,), self.pointwise_quantizers, pointwise, channel_axes=(-1,))
        x = tf.nn.relu6(self.expand_bn(tf.nn.conv2d(x, kernel, 1, "SAME"), training=training))

        observed = chosen_maximum(x, self.hidden_sizes, expansion) if training else None
        x = self.depthwise_range(x, depthwise, observed=observed, training=training)
        kernel = masked_mixture(
            tf.convert_to_tensor(self.depthwise_kernel),
            centres(candidates.kernel_size),
            chosen["kernel_size"],
            self.depthwise_quantizers,
            depthwise,
            channel_axes=(-2, -1),
        )
        x = tf.nn.depthwise_conv2d(x, kernel, [1, strides, strides, 1], "SAME")
        x = tf.nn.relu6(self.depthwise_bn(x, training=training))

        observed = chosen_maximum(x, self.hidden_sizes, expansion) if training else None
        x = self.project_range(x, pointwise, observed=observed, training=training)
        kernel = masked_mixture(
            tf.convert_to_tensor(self.project_kernel),
            first_channels(self.hidden_sizes),
            expansion,
            self.pointwise_quantizers,
            pointwise,
            channel_axes=(-1,),
        )
        return self.project_bn(tf.nn.conv2d(x, kernel, 1, "SAME"), training=training)

    def compute_output_shape(self, inputs_shape: Any, choices_shape: Any = None) -> tuple[Any, ...]:
        size = self.place.output_size
        return (inputs_shape[0], size, size, self.place.out_channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "place": dataclasses.asdict(self.place), "first_row": self.first_row}
