"""The block of MobileNetV2."""

from types import ModuleType

from tfmp.annotations import Tensor
from tfmp.networks._convolution import convolution, depthwise_convolution, normalization


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
