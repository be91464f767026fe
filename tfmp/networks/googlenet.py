"""GoogLeNet with batch normalization, without auxiliary heads."""

from tfmp.networks._convolution import classifier, convolution, normalization, scaled

# ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj: table 1 of the paper. None: a pooling.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def build(keras, *, image_size=224, num_classes=1000, width=1.0):
    """Returns a GoogLeNet; the layers of a module are named as in EdMIPS, fig. 2.

    1.58 * 10^9 MACs and 7.02 * 10^6 parameters at the defaults. 56 searched filters.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: Szegedy et al., 2015, https://arxiv.org/abs/1409.4842
    """
    layers = keras.layers

    def activated(x, filters, kernel_size, name, *, strides=1):
        x = convolution(keras, x, scaled(filters, width), kernel_size, name, strides=strides)
        return normalization(keras, x, name)

    def pooled(x, name, *, strides=2):
        return layers.MaxPooling2D(3, strides=strides, padding="same", name=name)(x)

    def inception(x, filters, name):
        ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj = filters
        branches = [
            activated(x, ch1x1, 1, f"{name}_ch1x1"),
            activated(activated(x, ch3x3red, 1, f"{name}_ch3x3red"), ch3x3, 3, f"{name}_ch3x3"),
            activated(activated(x, ch5x5red, 1, f"{name}_ch5x5red"), ch5x5, 5, f"{name}_ch5x5"),
            activated(pooled(x, f"{name}_pool", strides=1), pool_proj, 1, f"{name}_pool_proj"),
        ]
        return layers.Concatenate(name=f"{name}_concatenate")(branches)

    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = pooled(activated(inputs, 64, 7, "conv1", strides=2), "pool1")
    x = pooled(activated(activated(x, 64, 1, "conv2red"), 192, 3, "conv2"), "pool2")
    for name, filters in _MODULES.items():
        x = pooled(x, name) if filters is None else inception(x, filters, f"inception{name}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="googlenet")
