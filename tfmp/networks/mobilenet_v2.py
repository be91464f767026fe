"""MobileNetV2."""

from collections.abc import Sequence
from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, normalization, scaled
from tfmp.networks._inverted_residual import inverted_residual

# Expansion, channels and number of blocks of each row of table 2 of Sandler et al.
_ROWS = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


def build(
    keras: ModuleType,
    *,
    name: str = "mobilenet_v2",
    strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
    image_size: int = 224,
    num_classes: int = 1000,
    width: float = 1.0,
) -> KerasModel:
    """Returns a MobileNetV2.

    0.301 * 10^9 MACs and 3.54 * 10^6 parameters at the defaults. The variant for small images, `mobilenet_v2_cifar`,
    halves the image only in the first convolution and at 96 channels: 189.0 * 10^6 MACs and 2.27 * 10^6 parameters.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        name: Name of the model.
        strides: Strides of the first block of each of the seven rows of table 2.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels, not to multiples of 8.

    Returns:
        A functional model from images to logits.

    Reference: Sandler et al., 2018, https://arxiv.org/abs/1801.04381; DualPrecision, appendix C, whose fifth bottleneck
    is read as the fifth row of Sandler's table 2
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = convolution(keras, inputs, scaled(32, width), 3, "stem", strides=2)
    x = normalization(keras, x, "stem", max_value=6.0)
    for row, ((expansion, channels, count), stride) in enumerate(zip(_ROWS, strides, strict=True), start=1):
        for block in range(1, count + 1):
            x = inverted_residual(
                keras,
                x,
                expanded=None if expansion == 1 else expansion * x.shape[-1],
                filters=scaled(channels, width),
                strides=stride if block == 1 else 1,
                name=f"row{row}_block{block}",
            )
    x = normalization(keras, convolution(keras, x, scaled(1280, width), 1, "last"), "last", max_value=6.0)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name=name)
