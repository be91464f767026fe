"""A small GoogLeNet for small images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, scaled
from tfmp.networks._inception_module import activated_convolution, inception_modules, maximum

_MODULES = {  # a quarter of the filters of GoogLeNet's modules of these names
    "3a": (16, 24, 32, 4, 8, 8),
    "3b": (32, 32, 48, 8, 24, 16),
    "pool3": None,
    "4a": (48, 24, 52, 4, 12, 16),
    "pool4": None,
    "5a": (64, 40, 80, 8, 32, 32),
}


def build(keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0) -> KerasModel:
    """Returns four modules of GoogLeNet with a quarter of its filters, after one 3x3 convolution.

    11.9 * 10^6 MACs and 0.116 * 10^6 parameters at the defaults. 24 searched filters.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: Szegedy et al., 2015, https://arxiv.org/abs/1409.4842
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = maximum(keras, activated_convolution(keras, inputs, scaled(32, width), 3, "stem"), "pool1")
    x = inception_modules(keras, x, _MODULES, width)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="googlenet_cifar")
