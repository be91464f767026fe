"""A search model of three searched layers, and what it costs."""

import keras
import numpy as np
from keras import layers as kl

import tfmp

LOGGED = {"expected_cost", "discrete_cost", "cost_gap", "multiplier", "selection_entropy", "mixture_variance"}
MACS = {"one": 6 * 6 * 3 * 3 * 3 * 4, "two": 6 * 6 * 3 * 3 * 4 * 5, "three": 5 * 6}
X = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 2, size=32)


def search_model(**options):
    """Three searched layers between a first and a last one in floating point; no normalization, no moving range."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 2))
    x = kl.Conv2D(3, 3, padding="same", activation="relu", name="first")(x)
    x = kl.Conv2D(4, 3, padding="same", activation="relu", name="one")(x)
    x = kl.Conv2D(5, 3, padding="same", activation="relu", name="two")(x)
    x = kl.Dense(6, activation="relu", name="three")(kl.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, kl.Dense(2, name="last")(x))
    options = {"weight_bits": (1, 2, 4), "activation_bits": (2, 4), **options}
    return tfmp.relax(model, first_and_last="float", calibration=X, **options)


def compiled(optimizer=None, *, run_eagerly=True, **options):
    model = search_model(**options)
    optimizer = optimizer or tfmp.SelectionOptimizer(keras.optimizers.SGD(0.01), keras.optimizers.Adam(0.03))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=run_eagerly)
    return model


def expected_bitops(model):
    """EdMIPS, eq. 12."""
    total = 0.0
    for name, macs in MACS.items():
        layer = model.get_layer(name)
        weights, activations = (
            np.exp(np.asarray(s.logits)) for s in (layer.weight_selector, layer.activation_selector)
        )
        total += macs * (weights @ (1, 2, 4) / weights.sum()) * (activations @ (2, 4) / activations.sum())
    return total


def randomize_logits(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name == "logits":
            variable.assign(rng.normal(size=variable.shape))


def outside(limit):
    """The first and the last layer, in floating point: 32 bits by 32 bits."""
    return 32 * 32 * (6 * 6 * 3 * 3 * 2 * 3 + 6 * 2) / limit
