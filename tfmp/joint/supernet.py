"""Builds the supernet of a search space in Keras 3."""

from collections.abc import Sequence
from typing import Any

import keras

from tfmp.annotations import KerasLayer, KerasModel
from tfmp.bindings.keras3.layers import MixedPrecisionConv2D, MixedPrecisionDense, Quantize
from tfmp.bindings.keras3.selecting_layer import Statistics
from tfmp.joint.block_spec import CATEGORICALS
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import ENDS_BITS
from tfmp.joint.search_space import SearchSpace
from tfmp.joint.searched_block import ChoiceQuantizerMixin, SearchedBlockMixin

_register = keras.saving.register_keras_serializable(package="tfmp")
_QUANTIZER = ("linear", "moving_range")


@_register
class ChoiceQuantizer(Statistics, ChoiceQuantizerMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = ChoiceQuantizerMixin.__doc__


@_register
class SearchedBlock(Statistics, SearchedBlockMixin, keras.layers.Layer):  # noqa: D101 (the mixin says it)
    __doc__ = SearchedBlockMixin.__doc__

    def make_range(self, bits: Sequence[int], **arguments: Any) -> ChoiceQuantizer:
        return ChoiceQuantizer(bits, dtype="float32", **arguments)

    def make_normalization(self, *, name: str) -> KerasLayer:
        return _normalization(name)

    def make_quantizer(self, *, name: str) -> Quantize:
        return Quantize(ENDS_BITS, name=name)


def supernet(space: SearchSpace) -> KerasModel:
    """Returns the supernet, a model that contains every network of a space.

    It computes logits from two inputs: images, and choices `[rows, width]`, the weights of the candidates as
    `tfmp.joint.Categoricals` orders them. Its number of weights is that of the largest network.

    Args:
        space: The search space.
    """
    categoricals = Categoricals(space)
    images = keras.Input((space.image_size, space.image_size, 3), name="image")
    choices = keras.Input(batch_shape=categoricals.shape, name="choices")
    channels, strides = space.stem
    x = _convolution(images, channels, 3, "stem", strides=strides, signed_input=True)
    for number, place in enumerate(space.blocks):
        x = SearchedBlock(place, first_row=number * len(CATEGORICALS), name=place.name)(x, choices)
    x = _convolution(x, space.last_channels, 1, "last", signed_input=True)
    x = Quantize(ENDS_BITS, signed=False, name="last_relu_quantizer")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = MixedPrecisionDense(
        space.num_classes,
        kernel_initializer="he_normal",
        weight_bits=ENDS_BITS,
        activation_bits=ENDS_BITS,
        quantizer=_QUANTIZER,
        name="classifier",
    )(x)
    return keras.Model([images, choices], Quantize(ENDS_BITS, name="classifier_quantizer")(x), name="supernet")


def _convolution(x, filters, kernel_size, name, *, strides=1, signed_input):
    x = MixedPrecisionConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        weight_bits=ENDS_BITS,
        activation_bits=ENDS_BITS,
        quantizer=_QUANTIZER,
        signed_input=signed_input,
        name=name,
    )(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(_normalization(f"{name}_bn")(x))


def _normalization(name):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_constraint="non_neg", name=name)
