"""ResNet-26 of inverted residual blocks."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, normalization, scaled
from tfmp.networks._inverted_residual import inverted_residual


def build(keras: ModuleType, *, image_size: int = 32, num_classes: int = 10, width: float = 1.0) -> KerasModel:
    """Returns a ResNet-26 for CIFAR with the blocks of MobileNetV2: three stages of four, expanded six times.

    47.5 * 10^6 MACs and 291,322 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from images to logits.

    Reference: DualPrecision, table 5
    """
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = convolution(keras, inputs, scaled(16, width), 3, "stem")
    x = normalization(keras, x, "stem", max_value=6.0)
    for stage, base in enumerate((16, 32, 64), start=1):
        for block in range(1, 5):
            x = inverted_residual(
                keras,
                x,
                expanded=scaled(6 * base, width),
                filters=scaled(base, width),
                strides=2 if stage > 1 and block == 1 else 1,
                name=f"stage{stage}_block{block}",
            )
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="inv_resnet26")
