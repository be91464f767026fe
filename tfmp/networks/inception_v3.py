"""Inception-V3 without auxiliary heads."""

from types import ModuleType

from tfmp.annotations import KerasModel
from tfmp.networks._convolution import classifier, convolution, normalization, scaled


def inception_v3(
    keras: ModuleType, *, image_size: int = 299, num_classes: int = 1000, width: float = 1.0
) -> KerasModel:
    """Returns an Inception-V3; modules are named after EdMIPS, section 5.3 (A to E).

    5.71 * 10^9 MACs and 23.87 * 10^6 parameters at the defaults. 93 searched filters.

    Args:
        keras: The Keras to build with, `keras` or `tf_keras`.
        image_size: Height and width, at least 75.
        num_classes: Number of logits.
        width: Factor on the number of filters.

    Returns:
        A functional model from images to logits.

    Reference: Szegedy et al., 2016, https://arxiv.org/abs/1512.00567
    """
    modules = _Modules(keras, width)
    inputs = keras.Input((image_size, image_size, 3), name="image")
    x = modules.chain(inputs, "conv1", [(32, 3, 2)], padding="valid")
    x = modules.chain(x, "conv2", [(32, 3, 1)], padding="valid")
    x = modules.chain(x, "conv3", [(64, 3, 1)])
    x = modules.maximum(x, "pool1")
    x = modules.chain(x, "conv4", [(80, 1, 1)], padding="valid")
    x = modules.chain(x, "conv5", [(192, 3, 1)], padding="valid")
    x = modules.maximum(x, "pool2")
    for index, pool_filters in enumerate((32, 64, 64), start=1):
        x = modules.a(x, f"module_a{index}", pool_filters)
    x = modules.b(x, "module_b")
    for index, filters in enumerate((128, 160, 160, 192), start=1):
        x = modules.c(x, f"module_c{index}", filters)
    x = modules.d(x, "module_d")
    for index in (1, 2):
        x = modules.e(x, f"module_e{index}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(keras, x, num_classes), name="inception_v3")


class _Modules:
    """The five kinds of modules; a branch is a chain of (filters, kernel size, strides)."""

    def __init__(self, keras, width):
        self.keras, self.width = keras, width

    def chain(self, x, name, convolutions, padding="same"):
        for index, (filters, kernel_size, strides) in enumerate(convolutions, start=1):
            layer_name = name if len(convolutions) == 1 else f"{name}_{index}"
            # Only convolutions that halve the image have no padding.
            edge = padding if strides == 1 else "valid"
            filters = scaled(filters, self.width)
            x = convolution(self.keras, x, filters, kernel_size, layer_name, strides=strides, padding=edge)
            x = normalization(self.keras, x, layer_name)
        return x

    def maximum(self, x, name):
        return self.keras.layers.MaxPooling2D(3, strides=2, name=name)(x)

    def average(self, x, name):
        return self.keras.layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)

    def joined(self, branches, name):
        return self.keras.layers.Concatenate(name=f"{name}_concatenate")(branches)

    def a(self, x, name, pool_filters):
        branches = [
            self.chain(x, f"{name}_1x1", [(64, 1, 1)]),
            self.chain(x, f"{name}_5x5", [(48, 1, 1), (64, 5, 1)]),
            self.chain(x, f"{name}_3x3", [(64, 1, 1), (96, 3, 1), (96, 3, 1)]),
            self.chain(self.average(x, f"{name}_pool"), f"{name}_pool_proj", [(pool_filters, 1, 1)]),
        ]
        return self.joined(branches, name)

    def b(self, x, name):
        branches = [
            self.chain(x, f"{name}_3x3", [(384, 3, 2)]),
            self.chain(x, f"{name}_double", [(64, 1, 1), (96, 3, 1), (96, 3, 2)]),
            self.maximum(x, f"{name}_pool"),
        ]
        return self.joined(branches, name)

    def c(self, x, name, filters):
        row, column = (1, 7), (7, 1)
        double = [(filters, 1, 1), (filters, column, 1), (filters, row, 1), (filters, column, 1), (192, row, 1)]
        branches = [
            self.chain(x, f"{name}_1x1", [(192, 1, 1)]),
            self.chain(x, f"{name}_7x7", [(filters, 1, 1), (filters, row, 1), (192, column, 1)]),
            self.chain(x, f"{name}_double", double),
            self.chain(self.average(x, f"{name}_pool"), f"{name}_pool_proj", [(192, 1, 1)]),
        ]
        return self.joined(branches, name)

    def d(self, x, name):
        branches = [
            self.chain(x, f"{name}_3x3", [(192, 1, 1), (320, 3, 2)]),
            self.chain(x, f"{name}_7x7", [(192, 1, 1), (192, (1, 7), 1), (192, (7, 1), 1), (192, 3, 2)]),
            self.maximum(x, f"{name}_pool"),
        ]
        return self.joined(branches, name)

    def e(self, x, name):
        branches = [self.chain(x, f"{name}_1x1", [(320, 1, 1)])]
        for branch, convolutions in (("3x3", [(384, 1, 1)]), ("double", [(448, 1, 1), (384, 3, 1)])):
            y = self.chain(x, f"{name}_{branch}", convolutions)
            branches.append(self.chain(y, f"{name}_{branch}_row", [(384, (1, 3), 1)]))
            branches.append(self.chain(y, f"{name}_{branch}_column", [(384, (3, 1), 1)]))
        branches.append(self.chain(self.average(x, f"{name}_pool"), f"{name}_pool_proj", [(192, 1, 1)]))
        return self.joined(branches, name)
