"""ResNet-18 in the quantized form of EdMIPS."""

from tfmp.networks._preactivation_resnet import preactivation_resnet


def build(keras, *, image_size=224, num_classes=1000, width=1.0):
    """Returns a ResNet-18 whose blocks are normalization, activation, convolution.

    1.81 * 10^9 MACs and 11.70 * 10^6 parameters at the defaults.
    19 searched filters: 16 of 3x3 and 3 shortcuts.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: He et al., 2016, https://arxiv.org/abs/1512.03385; EdMIPS, section 5.1
    """
    return preactivation_resnet(
        keras,
        blocks=(2, 2, 2, 2),
        bottleneck=False,
        image_size=image_size,
        num_classes=num_classes,
        width=width,
    )
