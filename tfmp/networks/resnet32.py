"""ResNet-32 for small images."""

from tfmp.networks._cifar_resnet import cifar_resnet


def build(keras, *, image_size=32, num_classes=10, width=1.0):
    """Returns a ResNet-32 for CIFAR: three stages of 5 residual blocks each.

    69.1 * 10^6 MACs and 469,370 parameters at the defaults. Its two shortcuts that change the size are 1x1
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
    return cifar_resnet(keras, blocks=5, image_size=image_size, num_classes=num_classes, width=width)
