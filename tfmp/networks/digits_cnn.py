"""A small residual network for 8x8 images."""


def build(keras, *, image_size=8, num_classes=10, width=16):
    """Returns a network with one of each: convolution, residual addition, depthwise and pointwise convolution, dense.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Channels of the first stage.

    Returns:
        A functional model from images to logits.
    """
    layers = keras.layers

    def normalized(x, name, activation=True):
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if activation else x

    def convolution(x, filters, kernel_size, name, *, strides=1, activation=True):
        x = layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False, name=name)(x)
        return normalized(x, name, activation)

    inputs = keras.Input((image_size, image_size, 1), name="image")
    x = convolution(inputs, width, 3, "stem")
    y = convolution(x, width, 3, "block_conv1")
    y = convolution(y, width, 3, "block_conv2", activation=False)
    x = layers.ReLU(name="block_relu")(layers.Add(name="block_add")([x, y]))
    x = convolution(x, 2 * width, 3, "reduce", strides=2)
    x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x), "depthwise")
    x = convolution(x, 4 * width, 1, "pointwise")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(num_classes, name="classifier")(x), name="digits_cnn")
