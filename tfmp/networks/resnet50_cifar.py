"""ResNet-50 for small images, of blocks of two convolutions."""

from tfmp.networks._cifar_resnet import cifar_resnet


def build(keras, *, image_size=32, num_classes=10, width=1.0):
    """Returns a ResNet-50 for CIFAR: three stages of 8 residual blocks each.

    111.6 * 10^6 MACs and 762,362 parameters at the defaults. Its two shortcuts that change the size are 1x1
    convolutions.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Reference: He et al., 2016, section 4.2, https://arxiv.org/abs/1512.03385; DualPrecision, table 4
    """
    return cifar_resnet(keras, blocks=8, image_size=image_size, num_classes=num_classes, width=width)
