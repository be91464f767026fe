"""Residual networks for small images and for ImageNet."""

from collections.abc import Sequence
from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.checks import check_integer
from tfmp.networks._convolution import classifier, convolution, normalization, scaled
from tfmp.networks.mobilenet import inverted_residual

_CIFAR_STAGES = (16, 32, 64)


def cifar_resnet(
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
    x = normalized(inputs, scaled(_CIFAR_STAGES[0], width), 3, 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, base in enumerate(_CIFAR_STAGES, start=1):
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


_IMAGENET_STAGES = (64, 128, 256, 512)


def preactivation_resnet(
    keras: ModuleType,
    *,
    blocks: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
    image_size: int = 224,
    num_classes: int = 1000,
    width: float = 1.0,
) -> KerasModel:
    """Returns a residual network in the order normalization, quantized activation, convolution, as in EdMIPS.

    ResNet-18 at the defaults: 1.81 * 10^9 MACs, 11.70 * 10^6 parameters and 19 searched filters, 16 of 3x3 and 3
    shortcuts. ResNet-50 has 3, 4, 6 and 3 blocks with bottlenecks: 4.09 * 10^9 MACs, 25.60 * 10^6 parameters and 52
    searched filters; the stride is in the 3x3 convolution.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        blocks: Number of blocks of each of the four stages.
        bottleneck: True for blocks of three convolutions, 1x1, 3x3 (with the stride) and 1x1 of four times the filters.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385; EdMIPS, section 5.1
    """
    layers = keras.layers
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = convolution(keras, inputs, scaled(64, width), 7, "conv1", strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(normalization(keras, x, "conv1"))
    for stage, count in enumerate(blocks, start=1):
        filters = scaled(_IMAGENET_STAGES[stage - 1], width)
        for block in range(1, count + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(keras, x, filters, strides, bottleneck, f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(normalization(keras, x, "last"))
    depth = 2 + sum(blocks) * (3 if bottleneck else 2)
    return keras.Model(inputs, classifier(keras, x, num_classes), name=f"resnet{depth}")


def _block(keras, x, filters, strides, bottleneck, name):
    if bottleneck:
        convolutions = [(filters, 1, 1), (filters, 3, strides), (4 * filters, 1, 1)]
    else:
        convolutions = [(filters, 3, strides), (filters, 3, 1)]
    out_filters = convolutions[-1][0]
    shortcut = x
    y = normalization(keras, x, name)
    if strides > 1 or x.shape[-1] != out_filters:
        shortcut = convolution(keras, y, out_filters, 1, f"{name}_shortcut", strides=strides)
    for index, (count, kernel_size, step) in enumerate(convolutions, start=1):
        if index > 1:
            y = normalization(keras, y, f"{name}_conv{index - 1}")
        y = convolution(keras, y, count, kernel_size, f"{name}_conv{index}", strides=step)
    return keras.layers.Add(name=f"{name}_add")([shortcut, y])


def inv_resnet26(keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0) -> KerasModel:
    """Returns a ResNet-26 for CIFAR with the blocks of MobileNetV2: three stages of four, expanded six times.

    47.5 * 10^6 MACs and 291,322 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Reference: DualPrecision, table 5
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = convolution(keras, inputs, scaled(16, width), 3, "stem")
    x = normalization(keras, x, "stem", max_value=6.0)
    for stage, base in enumerate((16, 32, 64), start=1):
        for block in range(1, 5):
            x = inverted_residual(
                keras,
                x,
                expanded=scaled(6 * base, width),
                filters=scaled(base, width),
                strides=2 if stage > 1 and block == 1 else 1,
                name=f"stage{stage}_block{block}",
            )
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="inv_resnet26")


def digits_cnn(keras: ModuleType, *, image_size: int = 8, num_classes: int = 10, width: float = 1.0) -> KerasModel:
    """Returns a small network with convolutions, a residual addition, a depthwise convolution and a dense layer.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, 16 in the first stage.

    Returns:
        A functional model from images to logits.
    """
    layers, filters = keras.layers, scaled(16, width)

    def normalized(x, name, activation=True):
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if activation else x

    def convolution(x, count, kernel_size, name, *, strides=1, activation=True):
        x = layers.Conv2D(count, kernel_size, strides=strides, padding="same", use_bias=False, name=name)(x)
        return normalized(x, name, activation)

    inputs = keras.Input((image_size, image_size, 1), name="image")
    x = convolution(inputs, filters, 3, "stem")
    y = convolution(x, filters, 3, "block_conv1")
    y = convolution(y, filters, 3, "block_conv2", activation=False)
    x = layers.ReLU(name="block_relu")(layers.Add(name="block_add")([x, y]))
    x = convolution(x, 2 * filters, 3, "reduce", strides=2)
    x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x), "depthwise")
    x = convolution(x, 4 * filters, 1, "pointwise")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(num_classes, name="classifier")(x), name="digits_cnn")
