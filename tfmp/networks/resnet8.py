"""ResNet-8 for small images."""


def build(keras, *, input_shape=(32, 32, 3), num_classes=10, width=1.0):
    """Returns a ResNet-8 like that of MLPerf Tiny: three stages of one residual block each.

    78,714 parameters at the defaults: convolutions have no bias, and the shortcuts a normalization as well.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        input_shape: Height, width and channels.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Reference: Banbury et al., 2021, "MLPerf Tiny Benchmark", https://arxiv.org/abs/2106.07597
    """
    layers = keras.layers

    def convolution(x, filters, kernel_size, strides, name):
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(1e-4),
            name=name,
        )(x)
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    filters = [max(1, round(width * base)) for base in (16, 32, 64)]
    inputs = keras.Input(input_shape, name="image")
    x = layers.ReLU(name="stem_relu")(convolution(inputs, filters[0], 3, 1, "stem"))
    for stage, count in enumerate(filters, start=1):
        strides = 1 if stage == 1 else 2
        y = layers.ReLU(name=f"stage{stage}_relu1")(convolution(x, count, 3, strides, f"stage{stage}_conv1"))
        y = convolution(y, count, 3, 1, f"stage{stage}_conv2")
        if strides > 1:
            x = convolution(x, count, 1, strides, f"stage{stage}_shortcut")
        x = layers.ReLU(name=f"stage{stage}_relu2")(layers.Add(name=f"stage{stage}_add")([x, y]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(num_classes, kernel_initializer="he_normal", name="classifier")(x)
    return keras.Model(inputs, logits, name="resnet8")
