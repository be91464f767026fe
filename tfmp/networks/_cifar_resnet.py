"""Residual networks for small images."""

from tfmp.networks._convolution import convolution, scaled

_STAGES = (16, 32, 64)


def cifar_resnet(keras, *, blocks, image_size, num_classes, width):
    """Returns a residual network whose blocks are two convolutions, with the activation behind the sum.

    Where the sizes of a sum differ, a 1x1 convolution with normalization is the shortcut.

    Args:
        keras: The Keras to build with.
        blocks: Number of blocks of each of the three stages.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.
    """
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
    return keras.Model(inputs, logits, name=f"resnet{6 * blocks + 2}")
