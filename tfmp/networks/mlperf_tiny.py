"""The networks of MLPerf Tiny for speech and for sounds; its others are `resnet8` and `mobilenet_v1_vww`."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, depthwise_convolution, normalization, scaled


def ds_cnn(
    keras: ModuleType, *, image_size: int | tuple[int, int] = (49, 10), num_classes: int = 12, width: float = 1.0
) -> KerasModel:
    """Returns a network of depthwise separable convolutions that finds keywords in speech.

    Convolutions have no bias, as normalizations follow them. 2.66 * 10^6 MACs and 24,332 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Time steps and cepstral coefficients of the input.
        num_classes: Number of logits.
        width: Factor on the number of channels.

    Returns:
        A functional model from `[time, coefficients, 1]` features to logits.

    Reference: Zhang et al., 2017, "Hello Edge: Keyword Spotting on Microcontrollers", https://arxiv.org/abs/1711.07128;
    Banbury et al., 2021, https://arxiv.org/abs/2106.07597
    """
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    filters = scaled(64, width)
    inputs = keras.Input((*size, 1), name="features")
    x = normalization(keras, convolution(keras, inputs, filters, (10, 4), "stem", strides=2), "stem")
    for number in range(1, 5):
        name = f"block{number}_depthwise"
        x = normalization(keras, depthwise_convolution(keras, x, 3, name), name)
        name = f"block{number}_pointwise"
        x = normalization(keras, convolution(keras, x, filters, 1, name), name)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="ds_cnn")


def dense_autoencoder(keras: ModuleType, *, num_features: int = 640, width: float = 1.0) -> KerasModel:
    """Returns an autoencoder of dense layers, whose error is large for sounds of a machine that is out of order.

    0.264 * 10^6 MACs and 269,992 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        num_features: Numbers of the input and of the output.
        width: Factor on the number of units.

    Returns:
        A functional model from `[num_features]` to `[num_features]`.

    Reference: Banbury et al., 2021, https://arxiv.org/abs/2106.07597
    """
    x = inputs = keras.Input((num_features,), name="features")
    for number, units in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128), start=1):
        x = keras.layers.Dense(scaled(units, width), kernel_initializer="he_normal", name=f"dense{number}")(x)
        x = normalization(keras, x, f"dense{number}")
    outputs = keras.layers.Dense(num_features, kernel_initializer="he_normal", name="reconstruction")(x)
    return keras.Model(inputs, outputs, name="dense_autoencoder")
