"""Convolutions, normalization and classifier of the networks."""

import types
from types import ModuleType
from typing import Any

from tfmp.annotations import Tensor
from tfmp.checks import check_instance

WEIGHT_DECAY = 1e-4


def check_keras(keras: Any) -> None:
    """Raises `TypeError` unless the argument is a Keras module."""
    check_instance("keras", keras, types.ModuleType, "the module `keras` or `tf_keras`")
    if not (hasattr(keras, "layers") and hasattr(keras, "Input")):
        raise TypeError(f"`keras` must be the module `keras` or `tf_keras`. Received: {keras!r}")


def convolution(
    keras: ModuleType,
    x: Tensor,
    filters: int,
    kernel_size: int | tuple[int, int],
    name: str,
    *,
    strides: int = 1,
    padding: str = "same",
    groups: int = 1,
) -> Tensor:
    """Applies a convolution with He initialization and weight decay 1e-4, without bias: a normalization follows."""
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        groups=groups,
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
        name=name,
    )(x)


def depthwise_convolution(keras: ModuleType, x: Tensor, kernel_size: int, name: str, *, strides: int = 1) -> Tensor:
    """Applies a depthwise convolution, otherwise like `convolution`."""
    return keras.layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        depthwise_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
        name=name,
    )(x)


def normalization(keras: ModuleType, x: Tensor, name: str, *, max_value: float | None = None) -> Tensor:
    """Applies a batch normalization and a ReLU, which a quantized input replaces (EdMIPS, section 5.1; HWGQ-Net)."""
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.ReLU(max_value=max_value, name=f"{name}_relu")(x)


def classifier(keras: ModuleType, x: Tensor, num_classes: int) -> Tensor:
    """Returns the logits of a dense layer."""
    return keras.layers.Dense(
        num_classes,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
        name="classifier",
    )(x)


def scaled(filters: int, width: float) -> int:
    """Returns a number of filters times a width multiplier, at least 1."""
    return max(1, round(filters * width))
