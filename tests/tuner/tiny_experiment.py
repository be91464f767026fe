"""A network and data so small that a trial takes a second."""

import keras
import numpy as np

import tfmp
from tfmp.tuner import MixedPrecisionHyperModel, Training, register_strategy

BUDGETS = tuple(tfmp.Budget("bitops", like_uniform=(bits, bits)) for bits in (1, 2))
BITS = {"weight_bits": (1, 2), "activation_bits": (1, 2)}


def build(width=1.0):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,), name="features")
    x = keras.layers.Dense(round(8 * width), activation="relu", name="first")(inputs)
    x = keras.layers.Dense(round(8 * width), activation="relu", name="middle")(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="last")(x), name="tiny")


def data():
    """Training inputs and targets, and validation data, of three classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4)).astype(np.float32)
    y = (x @ rng.normal(size=(4, 3))).argmax(1)
    return (x[:64], y[:64]), (x[64:], y[64:])


def training(**arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Training(**{"loss": loss, "search_epochs": 1, "finetune_epochs": 1, "float_epochs": 2, **arguments})


def hypermodel(model=build, budgets=BUDGETS, *, strategies=("mixed",), choices=None, sensitivity=None, **arguments):
    return MixedPrecisionHyperModel(
        model,
        budgets,
        training=training(**arguments),
        strategies=strategies,
        choices={**BITS, **(choices or {})},
        sensitivity=sensitivity,
    )


def search(tuner, **arguments):
    (x, y), validation = data()
    tuner.search(x, y, **{"validation_data": validation, "batch_size": 32, "verbose": 0, **arguments})


def untrained(run):
    """A strategy that trains nothing: for tests of what is around trials."""
    return run.float_model, None


register_strategy("untrained", untrained)
