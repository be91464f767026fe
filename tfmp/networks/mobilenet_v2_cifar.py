"""MobileNetV2 for small images."""

from tfmp.networks._mobilenet_v2 import mobilenet_v2


def build(keras, *, image_size=32, num_classes=10, width=1.0):
    """Returns a MobileNetV2 that halves the image twice, in the first convolution and at 96 channels.

    189.0 * 10^6 MACs and 2.27 * 10^6 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels, rounded to whole channels, not to multiples of 8.

    Returns:
        A functional model from images to logits.

    Reference: Sandler et al., 2018, https://arxiv.org/abs/1801.04381; DualPrecision, appendix C, whose fifth bottleneck
    is read as the fifth row of Sandler's table 2
    """
    return mobilenet_v2(
        keras,
        name="mobilenet_v2_cifar",
        strides=(1, 1, 1, 1, 2, 1, 1),
        image_size=image_size,
        num_classes=num_classes,
        width=width,
    )
