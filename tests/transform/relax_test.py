"""`relax` keeps names, weights, outputs and structure, and stores the right tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl

import tfmp
from tests.transform.small_networks import (
    inputs_for,
    outputs_of,
    plain,
    quantizers_of,
    residual,
    several,
    shared_layer,
    trained,
)
from tfmp.bindings.keras3.keras3_framework import Keras3Framework
from tfmp.operators.batch_normalization import with_positive_gammas

KERAS_3 = Keras3Framework()
NETWORKS = [plain, residual, several, shared_layer]


@pytest.mark.parametrize("make", NETWORKS)
def test_names_and_weights_are_kept(make):
    model = trained(make())
    before = [np.asarray(v) for v in model.variables]
    relaxed = tfmp.relax(model)
    assert relaxed.name == model.name
    assert {layer.name for layer in model.layers} <= {layer.name for layer in relaxed.layers}
    for layer in model.layers:
        for variable in layer.weights:
            (found,) = [v for v in relaxed.get_layer(layer.name).weights if v.path == variable.path]
            # Filters whose normalization is negative are flipped, nothing else.
            np.testing.assert_array_equal(np.abs(found), np.abs(variable))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("make", NETWORKS)
def test_flipping_filters_changes_no_output(make):
    model = trained(make())
    graph = KERAS_3.read(model)
    flipped = KERAS_3.write(with_positive_gammas(graph))
    gammas = [v for v in flipped.variables if v.name == "gamma"]
    originals = [v for v in model.variables if v.name == "gamma"]
    assert len(gammas) == len(originals)
    for gamma, original in zip(gammas, originals, strict=True):
        assert np.min(original) < 0 <= np.min(gamma)
    x = inputs_for(model)
    for actual, expected in zip(outputs_of(flipped, x), outputs_of(model, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_gammas_stay_positive_in_training():
    relaxed = tfmp.relax(trained(plain()))
    gammas = [v for v in relaxed.trainable_variables if v.name == "gamma"]
    keras.optimizers.SGD(1.0).apply([np.full(gamma.shape, 10, np.float32) for gamma in gammas], gammas)
    assert len(gammas) == 3 and all(np.max(gamma) == 0 for gamma in gammas)


# The LSQ paper's start, 2 E|x| / sqrt(high), is coarse at 8 bits.
@pytest.mark.default_cases("*-quantizer0-*", "residual-lsq-*")
@pytest.mark.parametrize(("quantizer", "bound"), [(("linear", "moving_range"), 0.08), ("lsq", 0.25)])
@pytest.mark.parametrize("make", NETWORKS)
def test_eight_bits_are_close_to_the_float_model(make, quantizer, bound):
    model = trained(make())
    x = inputs_for(model, 64)
    relaxed = tfmp.relax(model, weight_bits=(8,), activation_bits=(8,), quantizer=quantizer, calibration=x)
    for actual, expected in zip(outputs_of(relaxed, x), outputs_of(model, x), strict=True):
        error = np.sqrt(np.mean((actual - expected) ** 2) / np.mean((expected - expected.mean(0)) ** 2))
        assert 0 < error < bound


# By hand, from the rule: what has several readers, or is read by an addition, an average or the outside.
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (plain, {"head_quantizer"}),
        (
            residual,
            {"first_relu_quantizer", "before_addition_quantizer", "after_addition_quantizer", "head_quantizer"},
        ),
        (several, {"hidden_quantizer", "head_a_quantizer", "head_b_quantizer"}),
        (shared_layer, {"head_quantizer"}),
    ],
)
def test_tensors_that_get_a_quantizer(make, expected):
    model = make()
    relaxed = tfmp.relax(model)
    assert quantizers_of(relaxed) == expected
    assert all(relaxed.get_layer(name).bits == 8 for name in expected)
    for name in expected:
        reads = relaxed.get_layer(name).input
        assert reads._keras_history.operation.name == name.removesuffix("_quantizer")
    added = {layer.name for layer in relaxed.layers} - {layer.name for layer in model.layers}
    assert added - expected == ({"head_b_activation"} if make is several else set())


def test_outputs_and_inputs_keep_their_structure():
    model = several()
    relaxed = tfmp.relax(model)
    assert set(relaxed.input) == {"left", "right"} and set(relaxed.output) == {"a", "b"}
    outputs = relaxed(inputs_for(model))
    assert outputs["a"].shape == (16, 2) and outputs["b"].shape == (16, 3)
    np.testing.assert_allclose(tf.reduce_sum(outputs["b"], axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": (2, 2)}, "`weight_bits` must be different bit-widths"),
        ({"weight_bits": ()}, "`weight_bits` must be one or more integers"),
        ({"activation_bits": (2, 9)}, "1 to 8"),
        ({"activation_bits": (0,)}, "1 to 8"),
        ({"weight_bits": None}, "`weight_bits` must be an integer from 1 to 8. Received: None"),
        ({"quantizer": "linear"}, "2 to 8"),
        ({"quantizer": "wrong"}, "`quantizer` must be one of 'lsq', 'hwgq'"),
        ({"quantizer": ("lsq", "lsq", "lsq")}, "pair"),
        ({"relaxation": "wrong"}, "`relaxation` must be one of 'softmax', 'annealed', 'gumbel'"),
    ],
    ids=str,
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        tfmp.relax(residual(), **options)


def test_unreadable_models():
    with pytest.raises(ValueError, match="not built"):
        tfmp.relax(keras.Sequential([kl.Dense(2)]))
    with pytest.raises(TypeError, match="must be a Keras model"):
        tfmp.relax("model.keras")


def test_a_relaxed_or_fixed_model_is_not_relaxed_again():
    relaxed = tfmp.relax(residual())
    fixed = tfmp.fix(relaxed, tfmp.discretize(relaxed))
    for model in (relaxed, fixed):
        with pytest.raises(ValueError, match="quantized already.*inside"):
            tfmp.relax(model)


def test_arguments_reach_the_layers():
    relaxed = tfmp.relax(
        shared_layer(), weight_bits=(4, 2), activation_bits=3, relaxation="gumbel", shared_range=False, seed=5
    )
    layer = relaxed.get_layer("twice")
    assert (layer.weight_bits, layer.activation_bits) == ((2, 4), (3,))
    assert (layer.relaxation, layer.shared_range, layer.seed, layer.num_calls) == ("gumbel", False, 5, 2)


def test_frozen_layers_stay_frozen():
    model = trained(residual())
    for name in ("inside", "inside_norm", "first"):
        model.get_layer(name).trainable = False
    relaxed = tfmp.relax(model)
    fixed = tfmp.fix(relaxed, tfmp.discretize(relaxed))
    for changed in (relaxed, fixed):
        assert not any(changed.get_layer(name).trainable_variables for name in ("inside", "inside_norm", "first"))
        assert changed.get_layer("after_addition").trainable_variables
    fixed.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    before = [np.asarray(v) for v in fixed.get_layer("inside").weights if v.name == "kernel"]
    fixed.fit(inputs_for(model), np.ones((16, 3)), verbose=0)
    after = [np.asarray(v) for v in fixed.get_layer("inside").weights if v.name == "kernel"]
    np.testing.assert_array_equal(before, after)
