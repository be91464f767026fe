"""Transposed convolutions of every output size, in the file: against the layer, and against the NumPy model."""

import keras
import numpy as np
import pytest

import tfmp
from tests.transform.segments import check_segments
from tfmp import layers
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

BITS = {"weight_bits": 8, "activation_bits": 8, "signed_input": True}


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "options"),
    [
        ((3, 3), 2, {"output_padding": 0}),
        ((3, 3), 2, {"output_padding": 1}),
        ((1, 5), 3, {"output_padding": (2, 1)}),
        ((2, 3), 1, {"dilation_rate": 2}),
        ((5, 1), (2, 3), {}),
    ],
)
def test_any_output_size(kernel_size, strides, options, padding):
    image = keras.Input((4, 3, 2), name="image")
    arguments = {"kernel_size": kernel_size, "strides": strides, "padding": padding, "name": "up", **options, **BITS}
    x = layers.MixedPrecisionConv2DTranspose(filters=3, **arguments)(image)
    check(keras.Model(image, layers.Quantize(name="after")(x)), (4, 3, 2))


@pytest.mark.parametrize("options", [{"output_padding": 0, "padding": "same"}, {"strides": 1, "dilation_rate": 3}])
def test_one_axis(options):
    signal = keras.Input((5, 2), name="signal")
    x = layers.MixedPrecisionConv1DTranspose(3, 3, **{"strides": 2, "name": "up", **options, **BITS})(signal)
    check(keras.Model(signal, layers.Quantize(name="after")(x)), (5, 2))


def check(model, shape):
    numbers = np.random.default_rng(0).normal(size=(16, *shape)).astype(np.float32)
    model(numbers, training=True)  # sets the ranges
    (name,) = (tensor.name for tensor in model.inputs)
    graph, codes, _ = check_segments(model, {name: numbers})
    (found,) = Interpreter(write_tflite(graph, batch_size=16)).run(numbers).values()
    np.testing.assert_array_equal(found, codes[graph.outputs[0]])
    np.testing.assert_array_equal(found, tfmp.fold(model)(numbers))
