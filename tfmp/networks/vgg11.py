"""VGG-11 for small images."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.checks import check_choice, check_integers
from tfmp.networks._convolution import classifier, convolution, depthwise_convolution, normalization, scaled

# Filters between the poolings, and the number of separable convolutions after the first, by variant.
_GROUPS = ((64,), (128,), (256, 256), (512, 512), (512, 512))
_NUM_SEPARABLE = {"": 0, "a": 1, "b": 4, "c": 7}


def vgg11(
    keras: ModuleType,
    *,
    image_size: int = 32,
    num_classes: int = 10,
    width: float = 1.0,
    variant: str = "",
    fan_in: tuple[int, int] = (1, 3),
) -> KerasModel:
    """Returns a VGG-11 with batch normalization and one dense layer, or a variant with depthwise convolutions.

    152.8 * 10^6 MACs and 9.23 * 10^6 parameters at the defaults.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width, at least 32.
        num_classes: Number of logits.
        width: Factor on the number of filters.
        variant: `"a"`, `"b"` or `"c"` makes one, four or all seven convolutions after the first one separable: a 1x1
            convolution, then a 3x3 depthwise one.
        fan_in: Input channels and window side of each filter of these depthwise convolutions. With more than one
            channel, they are grouped convolutions, and their filters are rounded to multiples of it.

    Returns:
        A functional model from images to logits.

    Raises:
        ValueError: If `variant` is unknown, or `fan_in` are not two positive integers.

    Reference: Simonyan and Zisserman, 2015, https://arxiv.org/abs/1409.1556; DualPrecision, table 6
    """
    check_choice("variant", variant, _NUM_SEPARABLE)
    check_integers("fan_in", fan_in, count=2, at_least=1, hint="Give channels and side")
    inputs = x = keras.Input((image_size, image_size, 3), name="image")
    index = 0
    for group, convolutions in enumerate(_GROUPS, start=1):
        for base in convolutions:
            index += 1
            filters = scaled(base, width)
            name = f"conv{index}"
            if 1 < index <= 1 + _NUM_SEPARABLE[variant]:
                filters = fan_in[0] * scaled(filters, 1 / fan_in[0])
                x = normalization(keras, convolution(keras, x, filters, 1, f"{name}_pointwise"), f"{name}_pointwise")
                name = f"{name}_depthwise"
                x = _spatial_convolution(keras, x, fan_in, name)
            else:
                x = convolution(keras, x, filters, 3, name)
            x = normalization(keras, x, name)
        x = keras.layers.MaxPooling2D(2, name=f"pool{group}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name=f"vgg11{variant}")


def _spatial_convolution(keras, x, fan_in, name):
    channels, side = fan_in
    if channels == 1:
        return depthwise_convolution(keras, x, side, name)
    return convolution(keras, x, x.shape[-1], side, name, groups=x.shape[-1] // channels)
