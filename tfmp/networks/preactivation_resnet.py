"""Residual networks whose blocks normalize and quantize before each convolution."""

from collections.abc import Sequence
from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, normalization, scaled

_STAGES = (64, 128, 256, 512)


def build(
    keras: ModuleType,
    *,
    blocks: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    image_size: int = 224,
    num_classes: int = 1000,
    width: float = 1.0,
) -> KerasModel:
    """Returns a residual network in the order normalization, quantized activation, convolution, as in EdMIPS.

    ResNet-18 at the defaults: 1.81 * 10^9 MACs, 11.70 * 10^6 parameters and 19 searched filters, 16 of 3x3 and 3
    shortcuts. ResNet-50 has 3, 4, 6 and 3 blocks with bottlenecks: 4.09 * 10^9 MACs, 25.60 * 10^6 parameters and 52
    searched filters; the stride is in the 3x3 convolution.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        blocks: Number of blocks of each of the four stages.
        bottleneck: True for blocks of three convolutions, 1x1, 3x3 (with the stride) and 1x1 of four times the filters.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385; EdMIPS, section 5.1
    """
    layers = keras.layers
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = convolution(keras, inputs, scaled(64, width), 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(normalization(keras, x, "conv1"))
    for stage, count in enumerate(blocks, start=1):
        filters = scaled(_STAGES[stage - 1], width)
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(keras, x, filters, strides, bottleneck, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(normalization(keras, x, "last"))
    depth = 2 + sum(blocks) * (3 if bottleneck else 2)
    return keras.Model(inputs, classifier(keras, x, num_classes), name=f"resnet{depth}")


def _block(keras, x, filters, strides, bottleneck, name):
    if bottleneck:
        convolutions = [(filters, 1, 1), (filters, 3, strides), (4 * filters, 1, 1)]
    else:
        convolutions = [(filters, 3, strides), (filters, 3, 1)]
    out_filters = convolutions[-1][0]
    shortcut = x
    y = normalization(keras, x, name)
    if strides > 1 or x.shape[-1] != out_filters:
        shortcut = convolution(keras, y, out_filters, 1, f"{name}_shortcut", strides=strides)
    for index, (count, kernel_size, step) in enumerate(convolutions, start=1):
        if index > 1:
            y = normalization(keras, y, f"{name}_conv{index - 1}")
        y = convolution(keras, y, count, kernel_size, f"{name}_conv{index}", strides=step)
    return keras.layers.Add(name=f"{name}_add")([shortcut, y])
