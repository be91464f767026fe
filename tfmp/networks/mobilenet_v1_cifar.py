"""MobileNetV1 for small images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, depthwise_convolution, normalization, scaled

# Channels and strides of the separable convolutions, table 1 of Howard et al.
_ROWS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def build(keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0) -> KerasModel:
    """Returns a MobileNetV1 whose first convolution keeps the size of the image.

    46.4 * 10^6 MACs and 3.24 * 10^6 parameters at the defaults; 3.3 * 10^6 and 221,114 at width 0.25.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels.

    Returns:
        A functional model from images to logits.

    Reference: Howard et al., 2017, https://arxiv.org/abs/1704.04861
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = normalization(keras, convolution(keras, inputs, scaled(32, width), 3, "stem"), "stem")
    for number, (channels, strides) in enumerate(_ROWS, start=1):
        x = depthwise_convolution(keras, x, 3, f"block{number}_depthwise", strides=strides)
        x = normalization(keras, x, f"block{number}_depthwise")
        x = convolution(keras, x, scaled(channels, width), 1, f"block{number}_pointwise")
        x = normalization(keras, x, f"block{number}_pointwise")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="mobilenet_v1_cifar")
