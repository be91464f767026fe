import math
import pathlib

import keras
import numpy as np
import pytest

import tfmp
from recipes import assignments, experiment

IMAGES = np.random.default_rng(0).normal(size=(64, 12, 12, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def search_model():
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Conv2D(4, 3, strides=1 + (name == "conv_b"), padding="same", name=name)
        for name in ("first", "conv_a", "conv_b", "last")
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers, keras.layers.Flatten()])
    config = experiment.load_config("resnet8_cifar10")
    return assignments.relaxed(model, config, 0, IMAGES)


def bits_of(search_model, assignment, **config):
    config = experiment.load_config("resnet8_cifar10") | {"assignment": assignment, **config}
    run = experiment.Run("retrained", config, 0, pathlib.Path("work"), pathlib.Path("results"))
    return assignments.assignment_of(run, search_model, IMAGES)


def test_equivalent_bits_are_those_of_the_uniform_network(search_model):
    assert assignments.equivalent_bits(search_model, {"conv_a": (2, 3), "conv_b": (2, 3)}) == pytest.approx(6**0.5)
    # The second has a quarter of the places.
    mixed = assignments.equivalent_bits(search_model, {"conv_a": (1, 2), "conv_b": (4, 4)})
    assert mixed == pytest.approx(math.sqrt((4 * 2 + 16) / 5))


def test_the_last_pattern_that_fits_counts(search_model):
    found = bits_of(search_model, {"*": [2, 2], "*_b": [4, 3], "other": [1, 2]})
    assert found == {"conv_a": [2, 2], "conv_b": [4, 3]}
    with pytest.raises(ValueError, match=r"No pattern of `assignment` fits conv_a"):
        bits_of(search_model, {"*_b": [4, 3]})


def test_random_bits_spend_the_budget_and_depend_on_the_draw(search_model):
    drawn = [bits_of(search_model, "random", draw=draw, uniform_bits=[2, 4]) for draw in range(6)]
    assert len({str(bits) for bits in drawn}) > 1
    for bits in drawn:
        assert 0.98 * 8 <= assignments.equivalent_bits(search_model, bits) ** 2 <= 8 * (1 + 1e-9)


def test_the_strategy_discretizes(search_model):
    config = experiment.load_config("resnet8_cifar10")
    tfmp.initialize_search(search_model, {"conv_a": (4, 4), "conv_b": (1, 2)}, confidence=0.6)
    argmax = assignments.discretized(search_model, {**config, "strategy": "argmax"}, 0, IMAGES)
    assert argmax == {"conv_a": [4, 4], "conv_b": [1, 2]}
    budget = assignments.discretized(search_model, config, 0, IMAGES)
    assert assignments.equivalent_bits(search_model, budget) <= 2
    sampled = [
        assignments.discretized(search_model, {**config, "strategy": "sample", "draw": draw}, 0, IMAGES)
        for draw in range(5)
    ]
    assert len({str(bits) for bits in sampled}) > 1
