"""CIFAR-100."""

import numpy as np

NUM_CLASSES = 100


def load_cifar100():
    """Loads CIFAR-100 from `keras.datasets`, which keeps a copy: 50,000 training and 10,000 test images.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images `[N, 32, 32, 3]`, int64 labels `[N]` from 0 to 99.
    """
    import keras

    (x_train, y_train), (x_test, y_test) = keras.datasets.cifar100.load_data(label_mode="fine")
    return tuple((x, np.asarray(y, np.int64).reshape(-1)) for x, y in ((x_train, y_train), (x_test, y_test)))
