"""Activations whose operations depend on the grids around them."""

import keras
import numpy as np
import pytest

from tests.tflite import integer_reference
from tfmp import layers
from tfmp.bindings.framework import framework_of
from tfmp.graph import Grid
from tfmp.graph.runtime_limits import LEAKY_RELU_FACTORS
from tfmp.lowering.lowering import Lowering
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

SMALLEST, LARGEST = LEAKY_RELU_FACTORS


class Grids:
    """Gives the first layer that stores its input a grid with one scale, and the second a grid of scale 1."""

    def __init__(self, scale):
        self.scales = {"before": scale, "after": 1.0}

    def grid(self, layer):
        return Grid(self.scales[layer.name], -128, 127)


@pytest.mark.parametrize(
    ("ratio", "slope", "function"),
    [
        (LARGEST, 1.0, True),
        (np.nextafter(np.float32(LARGEST), np.float32(200)), 0.5, False),
        (2.0**7, 0.5, False),
        (1.0, SMALLEST, True),
        (1.0, np.nextafter(np.float32(SMALLEST), np.float32(0)), False),
        (SMALLEST, 1.0, True),
        (SMALLEST / 2, 1.0, False),
    ],
)
def test_a_leaky_relu_is_one_operation_exactly_where_the_runtime_has_it(ratio, slope, function):
    x = inputs = keras.Input((8,), name="numbers")
    x = keras.layers.LeakyReLU(float(slope), name="leaky")(layers.Quantize(8, signed=True, name="before")(x))
    model = keras.Model(inputs, layers.Quantize(8, signed=True, name="after")(x))
    graph = Lowering(framework_of(model).read(model), Grids(float(ratio))).run()
    assert any(operation.kind == "activation" for operation in graph.operations) == function
    numbers = np.linspace(-1, 1, 32 * 8, dtype=np.float32).reshape(32, 8) * np.float32(128 * ratio)
    (found,) = Interpreter(write_tflite(graph)).run(numbers).values()
    expected = integer_reference.run(graph, {"numbers": numbers})
    np.testing.assert_array_equal(found, expected[graph.outputs[0]])
