"""One network in both Kerases, with equal weights and data: everything that follows is equal too."""

import dataclasses

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
import tfmp.keras2
from tests.transform.fold_models import UNTRAINED
from tfmp.bindings.framework import framework_of
from tfmp.bindings.layer_variables import assign_weights

X = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=32)
KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}
SMALLEST_COUNT = 16 * 8 * 8  # values of a channel in a batch, at a normalization


def network(framework):
    """A small network with one layer of every common kind."""
    kl = framework.layers
    x = inputs = framework.Input((8, 8, 3), name="image")
    x = kl.Conv2D(4, 3, padding="same", use_bias=False, name="first")(x)
    x = kl.BatchNormalization(name="first_norm")(x)
    x = skip = kl.ReLU(name="first_relu")(x)
    x = kl.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = kl.BatchNormalization(name="depthwise_norm")(x)
    x = kl.ReLU(6.0, name="depthwise_relu")(x)
    x = kl.Conv2D(4, 1, name="pointwise")(x)
    x = kl.ReLU(name="out_relu")(kl.Add(name="addition")([x, skip]))
    x = kl.MaxPooling2D(name="pool")(x)
    x = kl.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="strided")(x)
    x = kl.Flatten(name="flatten")(kl.AveragePooling2D(2, name="average")(x))
    x = kl.Dense(5, activation="relu", name="hidden")(x)
    return framework.Model(inputs, kl.Dense(3, activation="softmax", name="head")(x), name="network")


def graphs(models, **options):
    return [framework_of(model).read(model, **options) for model in models]


def assert_equal_graphs(models, tolerance):
    one, two = graphs(models)
    assert [call.layer for call in one.calls] == [call.layer for call in two.calls]
    for name, layer in one.layers.items():
        other = two.layers[name]
        assert (layer.kind, layer.shape, layer.num_parameters) == (other.kind, other.shape, other.num_parameters)
        for tensor in ("weight", "activation"):
            choice, others = getattr(layer, tensor), getattr(other, tensor)
            assert dataclasses.replace(choice, probabilities=others.probabilities) == others
            np.testing.assert_allclose(others.probabilities, choice.probabilities, rtol=1e-5)
        assert layer.weights.keys() == other.weights.keys()
        for path, value in layer.weights.items():
            # tf_keras takes moving variances with n - 1 in the denominator, Keras 3 with n.
            allowed = max(tolerance, 1 / SMALLEST_COUNT) if tolerance and path == "moving_variance" else tolerance
            np.testing.assert_allclose(other.weights[path], value, rtol=allowed, atol=tolerance, err_msg=path)


@pytest.fixture(scope="module")
def floats():
    keras.utils.set_random_seed(0)
    models = [network(framework) for framework, _ in KERASES.values()]
    for layer in models[0].layers:
        models[1].get_layer(layer.name).set_weights(layer.get_weights())
    return models


VARIANTS = {
    "softmax": {},
    "gumbel": {"relaxation": "gumbel", "coupled": True, "shared_weights": False},
}


@pytest.fixture(scope="module", params=["softmax", pytest.param("gumbel", marks=pytest.mark.slow)])
def searched(request, floats):
    """The search models, and what their searches logged."""
    models, histories = [], []
    for model, (framework, ours) in zip(floats, KERASES.values(), strict=True):
        relaxed = tfmp.relax(model, weight_bits=(1, 2, 4), calibration=X, **VARIANTS[request.param])
        optimizer = ours.SelectionOptimizer(
            framework.optimizers.SGD(0.02, momentum=0.9), framework.optimizers.Adam(0.05)
        )
        relaxed.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
        search = ours.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
        history = relaxed.fit(X, Y, batch_size=16, epochs=2, shuffle=False, callbacks=[search], verbose=0).history
        models.append(relaxed)
        histories.append(history)
    return models, histories


def test_what_is_read_and_relaxed_is_equal(floats):
    assert_equal_graphs(floats, 0)
    relaxed = [tfmp.relax(model, weight_bits=(1, 2, 4), calibration=X) for model in floats]
    assert_equal_graphs(relaxed, 1e-6)
    for (_, ours), model in zip(KERASES.values(), relaxed, strict=True):
        layers = ours.layers if ours is tfmp else ours
        assert type(model.get_layer("pointwise")) is layers.MixedPrecisionConv2D
    assert str(tfmp.inspect(relaxed[0])) == str(tfmp.inspect(relaxed[1]))


def test_searches_are_equal(searched):
    models, (one, two) = searched
    assert one.keys() == two.keys() >= {"loss", "accuracy", "expected_cost", "multiplier", "mixture_variance"}
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert one["loss"][0] != one["loss"][-1]
    assert_equal_graphs(models, 1e-4)


def test_costs_and_assignments_are_equal(searched):
    models, _ = searched
    assert tfmp.cost(models[0], "bitops") == pytest.approx(tfmp.cost(models[1], "bitops"), rel=1e-5)
    budget = tfmp.Budget("bitops", like_uniform=(2, 2))
    assignments = [tfmp.discretize(model, strategy="budget", budget=budget) for model in models]
    assert assignments[0].bits == assignments[1].bits and assignments[0].costs == assignments[1].costs
    assert len(set(assignments[0].bits.values())) > 1


def test_files_are_equal(searched, tmp_path):
    models, _ = searched
    bits = tfmp.discretize(models[0]).bits
    fixed = [tfmp.fix(model, bits, calibration=X) for model in models]
    assert_equal_graphs(fixed, 1e-4)
    # Exactly equal weights from here: a last bit may decide a rounding.
    for layer in graphs(fixed[:1])[0].in_order():
        assign_weights(framework_of(fixed[1]), fixed[1].get_layer(layer.name), layer.weights)
    folded = [tfmp.fold(model) for model in fixed]
    np.testing.assert_array_equal(folded[0].predict(X, verbose=0), folded[1].predict(X, verbose=0))
    files = []
    for name, model in zip(KERASES, fixed, strict=True):
        tfmp.export_tflite(model, tmp_path / f"{name}.tflite", verify=X, tolerance=UNTRAINED)
        files.append((tmp_path / f"{name}.tflite").read_bytes())
    assert files[0] == files[1]
    simulated = [tfmp.simulate(model, batch=4) for model in fixed]
    assert str(simulated[0]) == str(simulated[1])


def test_bindings_export_the_same_names():
    of_joint_search = {"RangeBatchNormalization"}  # which there is for Keras 3 alone
    names = {
        *tfmp.layers.__all__,
        "BitSummaries",
        "DiscreteEvaluation",
        "MixedPrecisionSearch",
        "SelectionOptimizer",
        "load_model",
    } - of_joint_search
    assert set(tfmp.keras2.__all__) == names
