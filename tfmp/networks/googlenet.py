"""GoogLeNet with batch normalization, without auxiliary heads."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, scaled
from tfmp.networks._inception_module import activated_convolution, inception_modules, maximum

_MODULES = {  # table 1 of the paper
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def build(keras: ModuleType, *, image_size: int = 224, num_classes: int = 1000, width: float = 1.0) -> KerasModel:
    """Returns a GoogLeNet; the layers of a module are named as in EdMIPS, fig. 2.

    1.58 * 10^9 MACs and 7.02 * 10^6 parameters at the defaults. 56 searched filters.

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
    x = maximum(keras, activated_convolution(keras, inputs, scaled(64, width), 7, "conv1", strides=2), "pool1")
    x = activated_convolution(keras, x, scaled(64, width), 1, "conv2red")
    x = maximum(keras, activated_convolution(keras, x, scaled(192, width), 3, "conv2"), "pool2")
    x = inception_modules(keras, x, _MODULES, width)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="googlenet")
