"""Outputs and gradients of searchable layers are those of parallel branches, computed in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.searchable_layers import (
    CASES,
    EACH_CLASS,
    biases,
    in_float64,
    inputs_of,
    plain,
    randomize,
    relative,
    searchable,
)
from tests.parallel_branches import activation_branches, channel_fold, weight_branches


@pytest.mark.parametrize("case", CASES)
def test_without_bits_it_is_the_plain_layer(case):
    ours = searchable(case, weight_bits=None, activation_bits=None)
    assert ours.weight_selector is ours.activation_selector is ours.selection_cost is None
    randomize(ours)
    reference = plain(case)
    reference.build((None, *CASES[case][2]))
    reference.set_weights(ours.get_weights())
    x = tf.constant(inputs_of(case, signed=True))
    found = []
    for layer in (ours, reference):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(layer.losses)
        gradients = tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])
        keras.optimizers.SGD(0.1).apply(gradients[1:], layer.trainable_variables)
        found.append([outputs, *layer.losses, *gradients, *layer.get_weights()])
    assert len(found[0]) == len(found[1])
    for actual, expected in zip(*found, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.default_cases("True-conv2d_*", "True-transposed", "True-conv1d_causal", "True-depthwise", "False-dense")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("signed", [False, True])
def test_output_is_the_plain_layer_on_mixed_tensors(case, signed):
    """EdMIPS, eq. 14: one product of the mixed input with the mixed kernel."""
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=(1, 3, 8), signed_input=signed))
    x = inputs_of(case, signed=signed)
    kernel = sum(p * w for p, w in weight_branches(layer))
    mixed = sum(p * a for p, a in activation_branches(layer, x))
    expected = in_float64(case, kernel.numpy(), biases(layer))(mixed)
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.default_cases("conv2d", "depthwise", "transposed", "dense")
@pytest.mark.parametrize("case", [case for case in CASES if "activation" not in CASES[case][1]])
def test_output_is_the_sum_of_parallel_products(case):
    """EdMIPS, eq. 10: what one composite product replaces."""
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=(2, 5)))
    x = inputs_of(case)
    expected = 0.0
    for p, kernel in weight_branches(layer):
        branch = in_float64(case, kernel.numpy(), biases(layer))
        expected += sum(p * q * branch(quantized) for q, quantized in activation_branches(layer, x))
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.default_cases("conv2d_groups", "depthwise", "transposed", "conv1d_causal", "dense")
@pytest.mark.parametrize("case", [case for case in CASES if "activation" not in CASES[case][1]])
def test_output_of_coupled_candidates_is_the_sum_over_their_pairs(case):
    options = {"weight_bits": (1, 2, 4), "activation_bits": (2, 3, 8), "coupled": True, "shared_weights": False}
    layer = randomize(searchable(case, **options))
    assert layer.activation_selector.logits is layer.weight_selector.logits
    x = inputs_of(case)
    pairs = zip(weight_branches(layer), activation_branches(layer, x), strict=True)
    expected = sum(p * in_float64(case, w.numpy(), biases(layer))(a) for (p, w), (_, a) in pairs)
    assert relative(layer(x), expected) < 1e-5


@pytest.mark.default_cases("*-dense", "{'quantizer': 'lsq'}-*")
@pytest.mark.parametrize("case", EACH_CLASS)
@pytest.mark.parametrize(
    "options",
    [
        {"quantizer": "lsq"},
        {"quantizer": "lsq", "shared_range": False},
        {"quantizer": "lsq", "signed_input": True},
        {"quantizer": "hwgq"},
        {"quantizer": ("linear", "moving_range")},
        {"quantizer": ("hwgq", "lsq"), "shared_weights": False},
        {"quantizer": "lsq", "coupled": True},
        {"quantizer": "lsq", "coupled": True, "shared_weights": False, "shared_range": False},
    ],
    ids=str,
)
def test_gradients_are_those_of_parallel_branches(case, options):
    two = options["quantizer"] == ("linear", "moving_range") or "coupled" in options
    bits = (2, 4) if two else (1, 2, 4)
    layer = randomize(searchable(case, weight_bits=bits, activation_bits=(2, 3), **options))
    x = tf.constant(inputs_of(case, signed=options.get("signed_input", False)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x)
        probe = tf.constant(np.random.default_rng(2).normal(size=outputs.shape).astype(np.float32))
        loss = tf.reduce_sum(outputs * probe)
    variables = {v.path.removeprefix(f"{layer.name}/"): v for v in layer.trainable_variables}
    found = tape.gradient(loss, {"input": x, **{path: v.value for path, v in variables.items()}})

    doubles = {"input": tf.Variable(tf.cast(x, tf.float64))}
    doubles |= {path: tf.Variable(np.asarray(v, np.float64)) for path, v in variables.items()}
    with tf.GradientTape() as tape:
        weights = weight_branches(layer, doubles)
        activations = activation_branches(layer, doubles["input"], doubles)
        reference = in_float64(case, weights[0][1].numpy(), biases(layer))
        if layer.coupled:
            pairs = zip(weights, activations, strict=True)
            product = tf.add_n([p * channel_fold(reference, a, w) for (p, w), (_, a) in pairs])
        else:
            mixed = tf.add_n([p * a for p, a in activations])
            product = channel_fold(reference, mixed, tf.add_n([p * w for p, w in weights]))
        product += doubles["bias"]
        outputs = reference.activation(product)
        loss = tf.reduce_sum(outputs * tf.cast(probe, tf.float64))
    expected = tape.gradient(loss, doubles)
    assert found.keys() == expected.keys()
    for path, gradient in found.items():
        assert np.abs(expected[path]).max() > 0, path
        assert relative(gradient, expected[path]) < 1e-4, path


@pytest.mark.parametrize("case", EACH_CLASS)
def test_single_candidate_is_the_fixed_layer(case):
    layer = randomize(searchable(case, weight_bits=(2,), activation_bits=4))
    assert layer.weight_selector.bits == (2,) and layer.activation_selector.bits == (4,)
    assert layer.weight_selector.logits is None and layer.activation_selector.logits is None
    x = inputs_of(case)
    outputs = layer(x, training=True)
    assert layer.losses == []
    ((_, kernel),), ((_, quantized),) = weight_branches(layer), activation_branches(layer, x)
    channels = np.moveaxis(kernel, layer.channel_axes, range(len(layer.channel_axes)))
    channels = channels.reshape(int(np.prod(channels.shape[: len(layer.channel_axes)])), -1)
    assert max(len(np.unique(channel)) for channel in channels) <= 4 and len(np.unique(quantized)) <= 16
    assert relative(outputs, in_float64(case, kernel.numpy(), biases(layer))(quantized)) < 1e-5


@pytest.mark.default_cases("conv2d_strided_same", "transposed", "dense")
@pytest.mark.parametrize("case", EACH_CLASS)
def test_mixed_float16_quantizes_in_full_precision(case):
    layer = randomize(searchable(case, weight_bits=(2, 8), activation_bits=(2, 4), dtype="mixed_float16"))
    assert layer.compute_dtype == "float16" and layer.kernel.dtype == "float32"
    seen = []
    original = layer.operation
    layer.operation = lambda inputs, kernel: seen.append(kernel) or original(inputs, kernel)
    x = inputs_of(case).astype(np.float16)
    outputs = layer(x, training=True)
    assert outputs.dtype == seen[0].dtype == tf.float16
    # Kernels near a rounding border would take the wrong code, were they rounded to float16 before.
    exact = sum(p * w for p, w in weight_branches(layer))
    np.testing.assert_allclose(seen[0], exact, rtol=2**-11, atol=1e-7)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    model.compile("sgd", "mse", run_eagerly=True)
    history = model.fit(x, np.zeros(outputs.shape), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
