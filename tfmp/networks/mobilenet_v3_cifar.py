"""A small MobileNetV3 for small images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, depthwise_convolution, scaled

# Kernel size, expanded channels, channels, squeeze and excitation, hard swish, strides: table 2 of Howard et al.
_ROWS = (
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


def build(keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0) -> KerasModel:
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
    for number, row in enumerate(_ROWS, start=1):
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
