"""Modules of GoogLeNet, and the layers before and between them."""

from types import ModuleType

from tfmp.annotations import Tensor
from tfmp.networks._convolution import convolution, normalization, scaled


def activated_convolution(
    keras: ModuleType, x: Tensor, filters: int, kernel_size: int, name: str, *, strides: int = 1
) -> Tensor:
    """Applies a convolution, its normalization and activation."""
    return normalization(keras, convolution(keras, x, filters, kernel_size, name, strides=strides), name)


def maximum(keras: ModuleType, x: Tensor, name: str, *, strides: int = 2) -> Tensor:
    """Applies a maximum pooling of 3x3."""
    return keras.layers.MaxPooling2D(3, strides=strides, padding="same", name=name)(x)


def inception_modules(keras, x, modules, width):
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
