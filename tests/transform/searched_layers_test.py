"""Uniform bits of the layers that are searched."""

import keras
import pytest

import tfmp
from tests.transform.small_networks import residual
from tfmp.graph import BitAssignment


def test_uniform_bits_of_named_layers_and_of_models():
    expected = BitAssignment({"inside": (8, 4), "before_addition": (8, 4), "after_addition": (8, 4)})
    model = residual()
    assert BitAssignment.uniform(model, 8, 4) == BitAssignment.uniform(tfmp.relax(model), 8, 4) == expected
    assert BitAssignment.uniform(list(expected), 8, 4) == expected
    for bits in ((0, 8), (8, 33), ("8", 8)):
        with pytest.raises(ValueError, match="integers from 1 to 32"):
            BitAssignment.uniform(["conv"], *bits)
    with pytest.raises(TypeError, match="list of names. Received: 'conv'"):
        BitAssignment.uniform("conv", 8, 8)
    with pytest.raises(TypeError, match="Keras model"):
        BitAssignment.uniform(8, 8, 8)
    assert BitAssignment.uniform(tfmp.fix(tfmp.relax(model), expected), 8, 4) == expected
    ends = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must have layers whose bits are searched"):
        BitAssignment.uniform(ends, 8, 8)
