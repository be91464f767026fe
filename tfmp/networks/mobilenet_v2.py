"""MobileNetV2."""

from tfmp.networks._mobilenet_v2 import mobilenet_v2


def build(keras, *, image_size=224, num_classes=1000, width=1.0):
    """Returns a MobileNetV2.

    0.301 * 10^9 MACs and 3.54 * 10^6 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels, not to multiples of 8.

    Returns:
        A functional model from images to logits.

    Reference: Sandler et al., 2018, https://arxiv.org/abs/1801.04381
    """
    return mobilenet_v2(
        keras,
        name="mobilenet_v2",
        strides=(1, 2, 2, 2, 1, 2, 1),
        image_size=image_size,
        num_classes=num_classes,
        width=width,
    )
