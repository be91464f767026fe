"""Weights of layers in floating point, as 8-bit codes in the file."""

import keras
import numpy as np
import pytest

import tfmp
from tests.costs.network_sizes import apart, check_size
from tests.transform.fold_models import UNTRAINED, fixed_model, randomized, samples
from tfmp.bindings.float_weights import with_codes
from tfmp.graph.float_network import FloatNetwork, FloatOperator, FloatTensor
from tfmp.tflite.interpreter import Interpreter

KL = keras.layers


def rounded(weights):
    """Kernels at 8 bits, a scale for each column, in double precision; biases, of one or two rows, are not rounded."""
    if weights.ndim < 2 or len(weights) < 8:
        return weights
    scales = np.abs(weights).max(0) / 127
    return np.rint(weights / scales) * scales


def network(layer):
    x = keras.Input((4, 12), name="sequence")
    y = KL.Dense(6, name="first")(layer(x))
    return keras.Model(x, KL.Dense(3, name="last")(KL.Dense(5, name="middle")(y)), name="recurrent_network")


@pytest.mark.default_cases("GRU")
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "SimpleRNN"])
def test_a_recurrent_layer_computes_with_its_rounded_weights(kind, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(network(getattr(KL, kind)(20, name="recurrent")))
    data = samples(model)
    fixed = apart(fixed_model(model, [(4, 8)], data))
    path = tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, verify=data, tolerance=UNTRAINED)
    assert report.first_difference is None
    whole = fixed.get_layer("recurrent")
    with_rounded = type(whole).from_config(whole.get_config())
    with_rounded.build(data.shape)
    with_rounded.set_weights([rounded(each.astype(np.float64)) for each in whole.get_weights()])
    expected = np.asarray(with_rounded(data))
    np.testing.assert_allclose(Interpreter(path).codes(data)["recurrent"], expected, atol=1e-5)
    assert np.abs(np.asarray(whole(data)) - expected).max() > 1e-4  # that of the float weights
    (size,) = [layer.size_bytes for layer in report.file.layers if layer.name == "recurrent"]
    count = whole.count_params()
    assert list(report.file.float_layers) == ["recurrent"] and count < size < 2 * count
    check_size(fixed, tmp_path / "again.tflite", mode="fast")


@pytest.mark.parametrize("axis", range(3))
def test_codes_are_found_in_any_layout(axis):
    rng = np.random.default_rng(axis)
    scales = rng.uniform(0.001, 0.1, 8).astype(np.float32)
    codes = rng.integers(-127, 128, (15, 9, 8)).astype(np.float32)
    codes[0, 0], codes[:, :, 3] = 127, 0
    values = np.moveaxis(codes * scales, 2, axis)
    stored = with_codes(constants(values, values + np.float32(1e-5), values[:2, :2, :2]))
    assert [operator.kind for operator in stored.operators] == ["DEQUANTIZE", "CONCATENATION"]
    (source,), (target,) = stored.operators[0].inputs, stored.operators[0].outputs
    found = stored.tensors[source]
    assert target == 0 and stored.tensors[0].values is None and found.values.dtype == np.int8 and found.axis == axis
    assert np.array_equal(np.moveaxis(found.values, axis, 2) * found.scales, np.moveaxis(values, axis, 2))
    assert stored.tensors[1].values is not None and stored.tensors[2].values is not None  # no codes; too small


def constants(*arrays):
    """A network that only reads constants."""
    tensors = [*(FloatTensor(each.shape, "float32", each) for each in arrays), FloatTensor((1,), "float32")]
    inputs, output = tuple(range(len(arrays))), len(arrays)
    return FloatNetwork(tensors, [FloatOperator("CONCATENATION", 1, inputs, (output,))], (), (output,))
