"""ResNet-8 for small images."""

from tfmp.networks._cifar_resnet import cifar_resnet


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
    return cifar_resnet(keras, blocks=1, image_size=image_size, num_classes=num_classes, width=width)
