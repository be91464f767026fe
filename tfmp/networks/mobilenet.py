"""MobileNetV1 to V3, for ImageNet and for small images."""

from collections.abc import Sequence
from types import ModuleType

from tfmp.annotations import KerasModel, Tensor
from tfmp.networks._convolution import classifier, convolution, depthwise_convolution, normalization, scaled

# Channels and strides of the separable convolutions, table 1 of Howard et al.
_V1_ROWS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def mobilenet_v1(
    keras: ModuleType,
    *,
    name: str = "mobilenet_v1_cifar",
    strides: int = 1,
    image_size: int = 32,
    num_classes: int = 10,
    width: float = 1.0,
) -> KerasModel:
    """Returns a MobileNetV1.

    46.4 * 10^6 MACs and 3.24 * 10^6 parameters at the defaults, those of `mobilenet_v1_cifar`; 3.3 * 10^6 and 221,114
    at width 0.25. `mobilenet_v1_vww`, the network of MLPerf Tiny that sees whether there is a person, has width 0.25.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        name: Name of the model.
        strides: Strides of the first convolution.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels.

    Returns:
        A functional model from images to logits.

    Reference: Howard et al., 2017, https://arxiv.org/abs/1704.04861; Banbury et al., 2021,
    https://arxiv.org/abs/2106.07597
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = normalization(keras, convolution(keras, inputs, scaled(32, width), 3, "stem", strides=strides), "stem")
    for number, (channels, stride) in enumerate(_V1_ROWS, start=1):
        x = depthwise_convolution(keras, x, 3, f"block{number}_depthwise", strides=stride)
        x = normalization(keras, x, f"block{number}_depthwise")
        x = convolution(keras, x, scaled(channels, width), 1, f"block{number}_pointwise")
        x = normalization(keras, x, f"block{number}_pointwise")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name=name)


# Expansion, channels and number of blocks of each row of table 2 of Sandler et al.
_V2_ROWS = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


def mobilenet_v2(
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
    for row, ((expansion, channels, count), stride) in enumerate(zip(_V2_ROWS, strides, strict=True), start=1):
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


# Kernel size, expanded channels, channels, squeeze and excitation, hard swish, strides: table 2 of Howard et al.
_V3_ROWS = (
    (3, 16, 16, True, False, 1),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)
_SQUEEZE = 4


def mobilenet_v3_cifar(
    keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0
) -> KerasModel:
    """Returns a MobileNetV3-Small that halves the image three times and ends in one dense layer.

    Its blocks have squeeze-and-excitation and hard swish in the same places as in the paper.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels.

    Returns:
        A functional model from images to logits.

    Reference: Howard et al., 2019, https://arxiv.org/abs/1905.02244, table 2
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = _activated(keras, convolution(keras, inputs, scaled(16, width), 3, "stem"), "stem", hard_swish=True)
    for number, row in enumerate(_V3_ROWS, start=1):
        x = _block(keras, x, row, width, f"block{number}")
    x = convolution(keras, x, scaled(576, width), 1, "last")
    x = _activated(keras, x, "last", hard_swish=True)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="mobilenet_v3_cifar")


def _block(keras, x, row, width, name):
    kernel_size, expanded, filters, squeezed, hard_swish, strides = row
    expanded, filters = scaled(expanded, width), scaled(filters, width)
    y = _activated(keras, convolution(keras, x, expanded, 1, f"{name}_expand"), f"{name}_expand", hard_swish)
    y = depthwise_convolution(keras, y, kernel_size, f"{name}_depthwise", strides=strides)
    y = _activated(keras, y, f"{name}_depthwise", hard_swish)
    if squeezed:
        y = _squeeze_and_excitation(keras, y, expanded, f"{name}_squeeze")
    y = convolution(keras, y, filters, 1, f"{name}_project")
    y = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_project_bn")(y)
    if strides > 1 or x.shape[-1] != filters:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _squeeze_and_excitation(keras, x, channels, name):
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=name)(x)
    gate = keras.layers.Conv2D(
        max(1, channels // _SQUEEZE), 1, activation="relu", kernel_initializer="he_normal", name=f"{name}_reduce"
    )(gate)
    # relu6(x + 3) / 6, from layers that both Kerases have.
    gate = keras.layers.Conv2D(channels, 1, kernel_initializer="he_normal", name=f"{name}_excite")(gate)
    gate = keras.layers.Rescaling(1.0, offset=3.0, name=f"{name}_shift")(gate)
    gate = keras.layers.ReLU(max_value=6.0, name=f"{name}_clip")(gate)
    gate = keras.layers.Rescaling(1 / 6, name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, gate])


def _activated(keras, x, name, hard_swish):
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    if not hard_swish:
        return keras.layers.ReLU(name=f"{name}_relu")(x)
    gate = keras.layers.Rescaling(1.0, offset=3.0, name=f"{name}_shift")(x)
    gate = keras.layers.ReLU(max_value=6.0, name=f"{name}_clip")(gate)
    gate = keras.layers.Rescaling(1 / 6, name=f"{name}_gate")(gate)
    return keras.layers.Multiply(name=f"{name}_hard_swish")([x, gate])


def inverted_residual(
    keras: ModuleType, x: Tensor, *, expanded: int | None, filters: int, strides: int, name: str, kernel_size: int = 3
) -> Tensor:
    """Applies a 1x1 convolution to more channels, a depthwise one, and a linear 1x1 convolution to fewer channels.

    If input and output have the same shape, the input is added.

    Args:
        keras: The Keras to build with.
        x: The input.
        expanded: Channels of the depthwise convolution; None for those of the input, without the first convolution.
        filters: Channels of the output.
        strides: Strides of the depthwise convolution.
        name: Prefix of the layers' names.
        kernel_size: Side of the depthwise kernel.
    """
    y = x
    if expanded is not None:
        y = normalization(keras, convolution(keras, y, expanded, 1, f"{name}_expand"), f"{name}_expand", max_value=6.0)
    y = depthwise_convolution(keras, y, kernel_size, f"{name}_depthwise", strides=strides)
    y = normalization(keras, y, f"{name}_depthwise", max_value=6.0)
    y = convolution(keras, y, filters, 1, f"{name}_project")
    y = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_project_bn")(y)
    if strides > 1 or x.shape[-1] != filters:
        return y
    return keras.layers.Add(name=f"{name}_add")([x, y])
