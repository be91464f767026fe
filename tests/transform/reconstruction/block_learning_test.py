"""A dense layer whose best rounding is known from trying them all."""

import itertools

import keras
import numpy as np
import pytest

from tests.transform.reconstruction.soft_rounding_test import codes, dense
from tfmp.transform.reconstruction.block_learning import Along, BlockLearning
from tfmp.transform.reconstruction.soft_rounding import SoftRounding

RNG = np.random.default_rng(3)
# Correlated inputs: rounding two weights in opposite directions is better than each to its nearest level.
INPUTS = (RNG.normal(size=(128, 1)) + 0.3 * RNG.normal(size=(128, 6))).astype(np.float32)
KERNEL = RNG.normal(size=(6, 3)).astype(np.float32)


def error(kernel):
    """The error of the outputs in units of their mean variance, in float64."""
    exact, outputs = (INPUTS.astype(np.float64) @ each for each in (KERNEL, kernel))
    return np.square(outputs - exact).sum(axis=-1).mean() / exact.var(axis=0).mean()


def best_error(rounding):
    """The smallest error of all roundings: outputs are independent of each other, each has 2**6."""
    exact = INPUTS.astype(np.float64) @ KERNEL
    lower, upper = (np.array(levels) for levels in bounds(rounding))
    total = 0.0
    for channel in range(3):
        choices = np.array(list(itertools.product((0, 1), repeat=6)))
        kernels = np.where(choices, upper[:, channel], lower[:, channel])
        total += np.square(INPUTS.astype(np.float64) @ kernels.T - exact[:, [channel]]).mean(axis=0).min()
    return total / exact.var(axis=0).mean()


def bounds(rounding):
    for value in (-20.0, 20.0):
        rounding.logits.assign(np.full((6, 3), value))
        yield rounding.rounded()


def learning(rounding, along=()):
    inputs = keras.Input((6,))
    layer = keras.layers.Dense(3, name="dense")
    block = keras.Model([inputs], [layer(inputs)])
    layer.kernel.assign(rounding.nearest())
    layer.bias.assign(np.zeros(3))
    along = [Along(layer.bias.value, 0.01) for _ in along]
    return layer, BlockLearning(block, [(layer.kernel.value, rounding)], along, [INPUTS], [INPUTS @ KERNEL])


SETTINGS = {"iterations": 300, "batch_size": 32, "learning_rate": 0.1, "regularization": 5.0, "warm_up": 0.2}


@pytest.mark.compiled
@pytest.mark.parametrize("bits", [2, 3])
def test_learned_rounding_is_near_the_best_of_all(bits):
    layer, learned = learning(SoftRounding(dense(KERNEL, bits)))
    nearest, final = learned.learn(**SETTINGS, seed=(0, 0))
    rounding = SoftRounding(dense(KERNEL, bits))
    assert nearest == pytest.approx(error(rounding.nearest()), rel=1e-4)
    assert final == pytest.approx(error(np.asarray(layer.kernel)), rel=1e-4)
    best = best_error(SoftRounding(dense(KERNEL, bits)))
    assert best <= final * (1 + 1e-5)
    assert final < 0.9 * nearest and final < 3 * best, (nearest, final, best)
    found, scale = codes(dense(KERNEL, bits), np.asarray(layer.kernel))
    np.testing.assert_array_equal(layer.kernel, (found * scale).astype(np.float32))


def test_what_is_not_better_is_discarded():
    layer, learned = learning(SoftRounding(dense(KERNEL, 3)), along=["bias"])
    before = [np.asarray(variable) for variable in layer.weights]
    errors = learned.learn(**{**SETTINGS, "iterations": 3, "learning_rate": 1e3, "regularization": 0.0}, seed=(0, 0))
    assert errors[0] == errors[1] == pytest.approx(error(before[0]), rel=1e-4)
    for variable, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)
