"""ResNet-8 for small images."""

from tfmp.networks._convolution import convolution, scaled


def build(keras, *, image_size=32, num_classes=10, width=1.0):
    """Returns a ResNet-8 like that of MLPerf Tiny: three stages of one residual block each.

    78,714 parameters at the defaults: convolutions have no bias, and the shortcuts a normalization as well.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Reference: Banbury et al., 2021, "MLPerf Tiny Benchmark", https://arxiv.org/abs/2106.07597
    """
    layers = keras.layers

    def normalized(x, filters, kernel_size, strides, name):
        x = convolution(keras, x, filters, kernel_size, name, strides=strides)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    filters = [scaled(base, width) for base in (16, 32, 64)]
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = layers.ReLU(name="stem_relu")(normalized(inputs, filters[0], 3, 1, "stem"))
    for stage, count in enumerate(filters, start=1):
        strides = 1 if stage == 1 else 2
        y = layers.ReLU(name=f"stage{stage}_relu1")(normalized(x, count, 3, strides, f"stage{stage}_conv1"))
        y = normalized(y, count, 3, 1, f"stage{stage}_conv2")
        if strides > 1:
            x = normalized(x, count, 1, strides, f"stage{stage}_shortcut")
        x = layers.ReLU(name=f"stage{stage}_relu2")(layers.Add(name=f"stage{stage}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(num_classes, kernel_initializer="he_normal", name="classifier")(x)
    return keras.Model(inputs, logits, name="resnet8")
