"""A tiny classifier of digits, trained, and its data."""

import keras

from tests.compiled_functions import compiled
from tfmp import demo


def trained_digits(filters=8):
    """Returns a residual CNN with `filters` filters in its first layers, and `(x, y), (x_test, y_test)`."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = demo.load_digits()
    inputs = keras.Input((8, 8, 1), name="image")
    stem = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name="stem")(inputs)
    branch = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="branch")(stem)
    total = keras.layers.Add(name="total")([stem, branch])
    body = keras.layers.Conv2D(2 * filters, 3, activation="relu", name="body")(total)
    flat = keras.layers.Flatten(name="flat")(body)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="head")(flat), name="tiny_digits")
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    with compiled():
        model.fit(x, y, batch_size=32, epochs=6, verbose=0)
    return model, ((x[:256], y[:256]), (x_test[:120], y_test[:120]))
