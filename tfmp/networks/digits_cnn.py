"""A small residual network for 8x8 images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import scaled


def build(keras: ModuleType, *, image_size: int = 8, num_classes: int = 10, width: float = 1.0) -> KerasModel:
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
