"""Residual networks for small images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.checks import check_integer
from tfmp.networks._convolution import convolution, scaled

_STAGES = (16, 32, 64)


def build(
    keras: ModuleType, *, depth: int = 20, image_size: int = 32, num_classes: int = 10, width: float = 1.0
) -> KerasModel:
    """Returns a residual network whose blocks are two convolutions, with the activation after the sum.

    If the shapes of a sum differ, the shortcut is a 1x1 convolution with normalization. Convolutions have no bias.
    40.8 * 10^6 MACs and 274,042 parameters at the defaults. Depth 8 is like the network of MLPerf Tiny, with a
    normalization in its shortcuts too: 78,714 parameters.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        depth: Number of layers, 6 n + 2 for n blocks in each of the three stages; 1x1 shortcuts are not counted.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Raises:
        ValueError: If no number of blocks gives the depth.

    Reference: He et al., 2016, section 4.2, https://arxiv.org/abs/1512.03385; DualPrecision, table 4; Banbury et al.,
    2021, "MLPerf Tiny Benchmark", https://arxiv.org/abs/2106.07597
    """
    blocks, rest = divmod(check_integer("depth", depth, at_least=8) - 2, 6)
    if rest:
        raise ValueError(f"`depth` must be 6 n + 2: 8, 14, 20, ... Received: {depth}")
    layers = keras.layers

    def normalized(x, filters, kernel_size, strides, name):
        x = convolution(keras, x, filters, kernel_size, name, strides=strides)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = normalized(inputs, scaled(_STAGES[0], width), 3, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, base in enumerate(_STAGES, start=1):
        filters = scaled(base, width)
        for block in range(1, blocks + 1):
            name = f"stage{stage}" if blocks == 1 else f"stage{stage}_block{block}"
            strides = 2 if stage > 1 and block == 1 else 1
            y = layers.ReLU(name=f"{name}_relu1")(normalized(x, filters, 3, strides, f"{name}_conv1"))
            y = normalized(y, filters, 3, 1, f"{name}_conv2")
            if strides > 1 or x.shape[-1] != filters:
                x = normalized(x, filters, 1, strides, f"{name}_shortcut")
            x = layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(num_classes, kernel_initializer="he_normal", name="classifier")(x)
    return keras.Model(inputs, logits, name=f"resnet{depth}")
