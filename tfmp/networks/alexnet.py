"""AlexNet with batch normalization."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import WEIGHT_DECAY, classifier, convolution, normalization, scaled


def alexnet(keras: ModuleType, *, image_size: int = 227, num_classes: int = 1000, width: float = 1.0) -> KerasModel:
    """Returns an AlexNet without groups, with batch normalization instead of local response normalization and dropout.

    1.14 * 10^9 MACs and 62.4 * 10^6 parameters at the defaults.
    6 searched filters: four convolutions and two dense layers.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width, at least 67.
        num_classes: Number of logits.
        width: Factor on the number of filters and units.

    Returns:
        A functional model from images to logits.

    Reference: Krizhevsky et al., 2012; Cai et al., 2017 (HWGQ-Net), https://arxiv.org/abs/1702.00953
    """
    layers = keras.layers

    def activated(x, filters, kernel_size, name, **arguments):
        return normalization(keras, convolution(keras, x, scaled(filters, width), kernel_size, name, **arguments), name)

    def pooled(x, name):
        return layers.MaxPooling2D(3, strides=2, name=name)(x)

    def dense(x, units, name):
        x = layers.Dense(
            scaled(units, width),
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(WEIGHT_DECAY),
            name=name,
        )(x)
        return normalization(keras, x, name)

    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = pooled(activated(inputs, 96, 11, "conv1", strides=4, padding="valid"), "pool1")
    x = pooled(activated(x, 256, 5, "conv2"), "pool2")
    x = activated(activated(x, 384, 3, "conv3"), 384, 3, "conv4")
    x = layers.Flatten(name="flatten")(pooled(activated(x, 256, 3, "conv5"), "pool5"))
    x = dense(dense(x, 4096, "fc6"), 4096, "fc7")
    return keras.Model(inputs, classifier(keras, x, num_classes), name="alexnet")
