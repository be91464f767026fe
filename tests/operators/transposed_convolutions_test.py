"""Transposed convolutions of every output size, in the file: against the layer, and against the NumPy model."""

import keras
import numpy as np
import pytest

import tfmp
from tests.transform.segments import check_segments
from tfmp import layers
from tfmp.costs.micro_bytes import MicroBytes
from tfmp.costs.tflite_bytes import TFLiteBytes
from tfmp.graph.targets import TARGETS
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


@pytest.fixture(scope="module")
def decoder():
    """A relaxed network that upsamples, and its inputs."""
    image = keras.Input((4, 4, 3), name="image")
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(image)
    x = keras.layers.Conv2DTranspose(8, 3, strides=2, padding="same", use_bias=False, name="up")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2DTranspose(4, 2, dilation_rate=2, name="wide")(x)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="last")(x))
    numbers = np.random.default_rng(0).normal(size=(32, 4, 4, 3)).astype(np.float32)
    return tfmp.relax(model, weight_bits=(2, 3, 4, 8), activation_bits=(4, 8), calibration=numbers), numbers


@pytest.mark.parametrize(("target", "mode"), [("litert", "fast"), ("litert", "small"), ("micro", "small")])
def test_searched_bits_are_shipped_in_the_foreseen_bytes(decoder, target, mode, tmp_path):
    if not TARGETS[target].is_installed:
        pytest.skip("the package tflite-micro (extra `micro`) is not installed")
    search_model, numbers = decoder
    fixed = tfmp.fix(search_model, {"up": (3, 4), "wide": (2, 8)}, calibration=numbers)
    cost = (MicroBytes if target == "micro" else TFLiteBytes)(mode)
    path = tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, target=target, mode=mode, verify=numbers)
    assert report.operators and all(operator.equal_share == 1 for operator in report.operators)
    assert tfmp.cost(fixed, cost) == pytest.approx(path.stat().st_size, abs=120)


@pytest.mark.parametrize("method", ["output", "gradient"])
def test_sensitivities_count_transposed_convolutions(decoder, method):
    search_model, numbers = decoder
    found = tfmp.measure_sensitivity(search_model, numbers, method=method)
    assert {*found.scores} == {"up", "wide"}
    assert all(scores["weights"][2] > scores["weights"][4] > 0 for scores in found.scores.values())
