"""GoogLeNet with batch normalization, without auxiliary heads, and a small one for small images."""

from collections.abc import Mapping, Sequence
from types import ModuleType

from tfmp.annotations import KerasModel, Tensor
from tfmp.networks._convolution import classifier, convolution, normalization, scaled

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


def googlenet(keras: ModuleType, *, image_size: int = 224, num_classes: int = 1000, width: float = 1.0) -> KerasModel:
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


_SMALL_MODULES = {  # a quarter of the filters of GoogLeNet's modules of these names
    "3a": (16, 24, 32, 4, 8, 8),
    "3b": (32, 32, 48, 8, 24, 16),
    "pool3": None,
    "4a": (48, 24, 52, 4, 12, 16),
    "pool4": None,
    "5a": (64, 40, 80, 8, 32, 32),
}


def googlenet_cifar(
    keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0
) -> KerasModel:
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
    x = inception_modules(keras, x, _SMALL_MODULES, width)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="googlenet_cifar")


def activated_convolution(
    keras: ModuleType, x: Tensor, filters: int, kernel_size: int, name: str, *, strides: int = 1
) -> Tensor:
    """Applies a convolution, its normalization and activation."""
    return normalization(keras, convolution(keras, x, filters, kernel_size, name, strides=strides), name)


def maximum(keras: ModuleType, x: Tensor, name: str, *, strides: int = 2) -> Tensor:
    """Applies a maximum pooling of 3x3."""
    return keras.layers.MaxPooling2D(3, strides=strides, padding="same", name=name)(x)


def inception_modules(
    keras: ModuleType, x: Tensor, modules: Mapping[str, Sequence[int] | None], width: float
) -> Tensor:
    """Applies a sequence of modules; their layers are named as in EdMIPS, fig. 2.

    Args:
        keras: The Keras to build with.
        x: Input.
        modules: Name to the numbers of filters ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj; or to None, for a
            pooling of that name.
        width: Factor on the number of filters.
    """
    for name, filters in modules.items():
        x = maximum(keras, x, name) if filters is None else _module(keras, x, filters, f"inception{name}", width)
    return x


def _module(keras, x, filters, name, width):
    ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj = (scaled(count, width) for count in filters)

    def branch(x, count, kernel_size, suffix):
        return activated_convolution(keras, x, count, kernel_size, f"{name}_{suffix}")

    branches = [
        branch(x, ch1x1, 1, "ch1x1"),
        branch(branch(x, ch3x3red, 1, "ch3x3red"), ch3x3, 3, "ch3x3"),
        branch(branch(x, ch5x5red, 1, "ch5x5red"), ch5x5, 5, "ch5x5"),
        branch(maximum(keras, x, f"{name}_pool", strides=1), pool_proj, 1, "pool_proj"),
    ]
    return keras.layers.Concatenate(name=f"{name}_concatenate")(branches)
