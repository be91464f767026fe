"""Harm of few bits against NumPy; the networks have no bias in between, so that nothing is corrected unless said."""

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.quantizers.least_squares import data_step
from tfmp.transform.calibration.output_error import divergence_of

BITS = (1, 2, 4)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 12)).astype(np.float32)


def network(activation="linear", bias=False):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((12,)),
            kl.Dense(16, activation="relu", use_bias=False, name="first"),
            kl.Dense(14, activation="relu", use_bias=bias, name="middle"),
            kl.Dense(5, activation=activation, use_bias=False, name="head"),
        ]
    )


def harm(model, data=X, **options):
    bits = {"weight_bits": BITS, "activation_bits": (2, 3), **options.pop("bits", {})}
    scores = tfmp.measure_sensitivity(
        tfmp.relax(model, quantizer="lsq(granularity='tensor')", **bits), data, **options
    ).scores
    return {name: [np.array([*values.values()]) for values in tensors.values()] for name, tensors in scores.items()}


def quantized(x, low, high, offset=0.0):
    step = data_step(x, low, high, offset)
    return (np.clip(np.rint(x / step - offset), low, high) + offset) * step


def oracle(model, loss, bias_of=None):
    """`loss(outputs)` with the kernel or the input of `middle` at few bits and nothing else rounded, at 8 bits less."""
    first, middle, head = (np.asarray(model.get_layer(n).kernel, np.float64) for n in ("first", "middle", "head"))
    x = np.maximum(X @ first, 0)

    def outputs(x_now, kernel):
        product = x_now @ kernel
        if bias_of is not None:
            product += (x @ middle).mean(0) - product.mean(0)
        return np.maximum(product, 0) @ head

    levels = {1: (-1, 0, 0.5), 2: (-2, 1), 4: (-8, 7)}
    start = loss(outputs(x, middle))
    weights = [loss(outputs(x, quantized(middle, *levels[b]))) - start for b in BITS]
    return weights, [loss(outputs(quantized(x, 0, 2**b - 1), middle)) - start for b in (2, 3)]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def reference(model):
    x = X
    for name in ("first", "middle"):
        x = np.maximum(x @ np.asarray(model.get_layer(name).kernel, np.float64), 0)
    return x @ np.asarray(model.get_layer("head").kernel, np.float64)


def squared_error(model):
    y = reference(model)
    return lambda outputs: np.square(outputs - y).mean() / y.var()


def kl_divergence(model):
    p = softmax(reference(model))
    return lambda outputs: (p * np.log(p / softmax(outputs))).sum(-1).mean()


@pytest.mark.default_cases("*-kl_divergence")
@pytest.mark.parametrize(
    ("activation", "divergence", "expected"),
    [
        ("linear", None, squared_error),
        ("linear", "kl", kl_divergence),
        ("softmax", None, kl_divergence),
    ],
)
def test_one_tensor_at_a_time(activation, divergence, expected):
    model = network(activation)
    found = harm(model, divergence=divergence)
    assert list(found) == ["middle"]
    for actual, exact in zip(found["middle"], oracle(model, expected(model)), strict=True):
        # What remains is the rounding of all else to 8 bits.
        np.testing.assert_allclose(actual, exact, rtol=0.05, atol=2e-4)


def test_a_loss_of_ones_own():
    model = network()
    labels = reference(model).argmax(-1)

    def mean_loss(outputs):
        return -np.log(softmax(outputs)[np.arange(len(X)), labels]).mean()

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = harm(model, (X, labels), loss=loss)
    for actual, exact in zip(found["middle"], oracle(model, mean_loss), strict=True):
        np.testing.assert_allclose(actual, exact, rtol=0.05, atol=5e-3)


def test_harm_is_what_remains_after_the_correction_of_the_mean():
    model = network(bias=True)
    corrected = harm(model)["middle"]
    for actual, exact in zip(corrected, oracle(model, squared_error(model), bias_of="middle"), strict=True):
        np.testing.assert_allclose(actual, exact, rtol=0.06, atol=2e-4)
    assert abs(corrected[0][0] - oracle(model, squared_error(model))[0][0]) > 0.02  # it made a difference


@pytest.mark.parametrize("method", ["output", "gradient"])
def test_the_error_of_8_bits_is_that_of_a_network_at_8_bits(method, tmp_path):
    model = network()
    relaxed = tfmp.relax(model, weight_bits=BITS, activation_bits=(2, 3))
    found = tfmp.measure_sensitivity(relaxed, X, method=method, divergence="squared_error")
    fixed = tfmp.quantize(model, 8, calibration=X, post_training="ranges")
    error = squared_error(model)(np.asarray(fixed(X), np.float64))
    # Of all tensors in place of those of one layer, and with another quantizer.
    assert error / 10 < found.eight_bit_error < error < min(found.scores["middle"]["weights"].values())
    found.save(tmp_path / "sensitivity.json")
    assert tfmp.Sensitivity.load(tmp_path / "sensitivity.json").eight_bit_error == found.eight_bit_error


def test_a_tensor_without_a_choice_does_no_harm(capsys):
    found = harm(network(), bits={"activation_bits": (3,)}, verbose=2)
    assert found["middle"][1].tolist() == [0.0] and len(found["middle"][0]) == 3
    assert capsys.readouterr().out.startswith("middle: W 1: ")


def test_several_outputs_add_up():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"a": kl.Dense(2)(inputs), "b": kl.Dense(3, activation="softmax")(inputs)})
    graph = framework_of(model).read(model, weights=False)
    a, p = RNG.normal(size=(2, 30, 2)), softmax(RNG.normal(size=(2, 30, 3)))
    found = divergence_of(graph, [{"a": a[0], "b": p[0]}])({"a": a[0], "b": p[0]}, {"a": a[1], "b": p[1]})
    expected = np.square(a[1] - a[0]).mean(-1) / a[0].var() + (p[0] * np.log(p[0] / p[1])).sum(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    squares = divergence_of(graph, [{"a": a[0], "b": p[0]}], "squared_error")
    found = squares({"a": a[0], "b": p[0]}, {"a": a[0], "b": p[1]})
    np.testing.assert_allclose(found, np.square(p[1] - p[0]).mean(-1) / p[0].var(), rtol=1e-4)


def test_bad_data():
    with pytest.raises(ValueError, match="`divergence` must be one of 'kl', 'squared_error'"):
        harm(network(), divergence="wrong")
    with pytest.raises(ValueError, match=r"`data` must be \(inputs, targets\).*Received: ndarray"):
        harm(network(), loss=lambda y, x: 0.0)
    with pytest.raises(ValueError, match=r"equal length.*\(200, .*\(3, "):
        harm(network(), (X, X[:3]), loss=lambda y, x: 0.0)
    with pytest.raises(ValueError, match="finite"):
        harm(network(), np.full_like(X, np.nan))
    with pytest.raises(ValueError, match="`middle`.*not finite"):
        harm(network(), (X, X), loss=lambda y, x: x[0, 0] * np.inf)
