"""Scores from gradients against the same second-order form in NumPy, in float64, for every Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tests.assign.output_scores_test import network as dense_network
from tests.assign.output_scores_test import quantized, softmax
from tfmp.assign.output_directions import output_directions
from tfmp.bindings.framework import framework_of
from tfmp.transform.calibration.output_error import divergence_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12)).astype(np.float32)
LABELS = RNG.integers(0, 5, size=40)
WEIGHT_LEVELS, INPUT_LEVELS = {2: (-2, 1), 4: (-8, 7), 8: (-127, 127)}, {3: (0, 7), 8: (0, 255)}


def network(framework, *, normalization=False, bias=False):
    framework.utils.set_random_seed(1)
    layers, inputs = framework.layers, framework.Input((12,))
    x = layers.Dense(16, activation="relu", use_bias=False, name="first")(inputs)
    x = layers.Dense(14, use_bias=bias, name="middle")(x)
    x = layers.BatchNormalization(name="norm")(x) if normalization else x
    x = layers.Dense(5, use_bias=False, name="head")(layers.ReLU(name="relu")(x))
    model = framework.Model(inputs, x)
    for layer in model.layers:  # equal in both Kerases
        rng = np.random.default_rng(len(layer.name))
        scale = 0.5 if layer.name == "norm" else 0.4
        layer.set_weights(
            [
                scale + 0.3 * np.abs(rng.normal(size=w.shape))
                if layer.name == "norm"
                else scale * rng.normal(size=w.shape)
                for w in layer.get_weights()
            ]
        )
    return model


def relaxed(model):
    quantizer = "lsq(granularity='tensor')"  # as in the oracle
    return tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 8), quantizer=quantizer)


class Oracle:
    """The network in NumPy: the gradient of the loss at the output of `middle`, and the error of this output."""

    def __init__(self, model, *, normalization=False, bias=False):
        get = lambda name: [np.asarray(w, np.float64) for w in model.get_layer(name).get_weights()]  # noqa: E731
        self.x = np.maximum(X @ get("first")[0], 0)
        self.kernel, *self.bias = get("middle")
        self.scale, self.shift = np.ones(14), np.zeros(14)
        self.normalization, self.keeps_mean = normalization, normalization or bias
        if normalization:
            gamma, beta, mean, variance = get("norm")
            self.scale = gamma / np.sqrt(variance + 1e-3)
            self.shift = beta - mean * self.scale
        self.head = get("head")[0]
        self.y = self.x @ self.kernel + (self.bias[0] if self.bias else 0)
        self.hidden = self.scale * self.y + self.shift
        self.outputs = np.maximum(self.hidden, 0) @ self.head

    def at_middle(self, at_output):
        """The gradient at the output of `middle`, from `[..., samples, 5]` at the network's output."""
        return (at_output @ self.head.T) * (self.hidden > 0) * self.scale

    def harm(self, at_output, kernel, x):
        """The mean of half the squared product of the gradient and the corrected error."""
        clean, product = self.x @ self.kernel, x @ kernel
        error = product - clean
        if self.keeps_mean:
            error = error - error.mean(0)
        if self.normalization:
            noisy = clean + error
            factor = clean.std(0) / noisy.std(0)
            error = (noisy - noisy.mean(0)) * factor + clean.mean(0) - clean
        return np.square((self.at_middle(at_output) * error).sum(-1)).sum(0).mean() / 2

    def scores(self, at_output):
        """The scores of `middle`: `{"weights": {2, 4}, "activations": {3, 8}}`."""
        weights = {b: self.harm(at_output, quantized(self.kernel, *WEIGHT_LEVELS[b]), self.x) for b in WEIGHT_LEVELS}
        ends = [self.x.min(), self.x.max()]  # calibration adds them to its sample of the values
        values = np.concatenate([self.x.ravel(), ends])
        inputs = {
            b: self.harm(at_output, self.kernel, quantized(values, *levels)[:-2].reshape(self.x.shape))
            for b, levels in INPUT_LEVELS.items()
        }
        return {
            "weights": {b: value - weights[8] for b, value in weights.items() if b != 8},
            "activations": {b: value - inputs[8] for b, value in inputs.items()},
        }


def check(found, expected, rtol):
    for tensor, scores in expected.items():
        assert found[tensor].keys() == scores.keys()
        np.testing.assert_allclose([*found[tensor].values()], [*scores.values()], rtol=rtol, atol=1e-9)


@pytest.mark.default_cases("* kept")
@pytest.mark.parametrize(
    ("framework", "options"),
    [
        (keras, {}),
        (keras, {"bias": True}),
        (keras, {"normalization": True}),
        (tf_keras, {"normalization": True}),
    ],
    ids=["nothing kept", "mean kept", "variance kept", "tf_keras"],
)
def test_a_loss_gives_the_empirical_fisher_information(framework, options):
    model = network(framework, **options)
    oracle = Oracle(model, **options)
    loss = framework.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = tfmp.measure_sensitivity(relaxed(model), (X, LABELS), method="gradient", loss=loss)
    at_output = softmax(oracle.outputs) - np.eye(5)[LABELS]
    check(found.scores["middle"], oracle.scores(at_output[None]), rtol=2e-3)
    assert found.method == "gradient" and found.error == "loss SparseCategoricalCrossentropy"


@pytest.mark.parametrize("divergence", ["kl", "squared_error"])
def test_without_a_loss_it_is_the_second_order_of_the_divergence(divergence):
    model = network(keras)
    oracle = Oracle(model)
    found = tfmp.measure_sensitivity(relaxed(model), X, method="gradient", divergence=divergence, seed=3)
    if divergence == "kl":
        p = softmax(oracle.outputs)
        hessians = np.einsum("np,pq->npq", p, np.eye(5)) - np.einsum("np,nq->npq", p, p)
    else:
        hessians = np.broadcast_to(np.eye(5) * 2 / (5 * oracle.outputs.var()), (40, 5, 5))
    values, vectors = np.linalg.eigh(hessians)
    roots = np.moveaxis(vectors * np.sqrt(np.maximum(values, 0))[:, None, :], -1, 0)  # their squares sum to the Hessian
    # What remains is the noise of 8 random directions of 40 samples.
    check(found.scores["middle"], oracle.scores(roots), rtol=0.25)


@pytest.mark.slow
def test_small_errors_have_this_divergence():
    """The second-order form is that of the divergence itself at many bits: it measures the same as "output"."""
    model = dense_network("softmax")
    x = RNG.normal(size=(200, 12)).astype(np.float32)
    search_model = tfmp.relax(model, weight_bits=(4, 5), activation_bits=(4, 5))
    by_method = [
        tfmp.measure_sensitivity(search_model, x, method=method).scores["middle"] for method in ("output", "gradient")
    ]
    for tensor in ("weights", "activations"):
        measured, estimated = ([*scores[tensor].values()] for scores in by_method)
        np.testing.assert_allclose(estimated, measured, rtol=0.35)


@pytest.mark.parametrize(("activation", "divergence"), [("softmax", "kl"), ("linear", "kl"), ("linear", None)])
def test_directions_have_the_hessian_of_the_divergence_as_second_moment(activation, divergence):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(4, activation=activation)(inputs))
    graph = framework_of(model).read(model, weights=False)
    logits = RNG.normal(size=(1, 4))
    z = softmax(logits) if activation == "softmax" else logits
    spread = np.concatenate([z, z + 1])  # squared errors are in units of the variance
    draw = output_directions(graph, lambda: [float(spread.var())], divergence)
    many = tf.constant(np.repeat(z, 20000, 0), tf.float32)
    ((_, directions),) = draw([many], tf.constant([5, 0], tf.int64))
    found = np.asarray(directions, np.float64).T @ np.asarray(directions, np.float64) / len(many)
    error = divergence_of(graph, [spread.astype(np.float32)], divergence)
    with tf.GradientTape() as outer:
        point = tf.constant(z, tf.float32)
        outer.watch(point)
        with tf.GradientTape() as inner:
            inner.watch(point)
            value = tf.reduce_sum(error(tf.constant(z, tf.float32), point))
        gradient = inner.gradient(value, point)
    expected = np.asarray(outer.jacobian(gradient, point))[0, :, 0]
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def convolutional(framework, batch_size=None):
    framework.utils.set_random_seed(0)
    layers, inputs = framework.layers, framework.Input((8, 8, 2), batch_size=batch_size)
    x = skip = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    again = layers.Conv2D(4, 3, padding="same", activation="relu", name="again")
    x = layers.Add(name="add")([again(again(x)), skip])
    return framework.Model(inputs, layers.Dense(3, activation="softmax", name="head")(layers.Flatten(name="flat")(x)))


@pytest.mark.slow
def test_the_form_of_the_model_does_not_matter():
    """A fixed batch, of which the last is padded, and the other Keras give the same; each layer has a score."""
    x = RNG.normal(size=(19, 8, 8, 2)).astype(np.float32)
    y = np.arange(19) % 3
    weights, results = None, []
    for framework, batch_size in ((keras, None), (keras, 5), (tf_keras, None)):
        model = convolutional(framework, batch_size)
        weights = model.get_weights() if weights is None else weights
        model.set_weights(weights)
        loss = framework.losses.sparse_categorical_crossentropy
        search_model = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4))
        results.append(tfmp.measure_sensitivity(search_model, (x, y), method="gradient", loss=loss).scores)
    assert list(results[0]) == ["depthwise", "again"]
    for other in results[1:]:
        for name, tensors in results[0].items():
            for tensor, scores in tensors.items():
                assert min(scores.values()) > 0
                np.testing.assert_allclose([*other[name][tensor].values()], [*scores.values()], rtol=1e-2)


def test_a_network_without_a_number_as_output_has_no_gradient():
    inputs = keras.Input((12,))
    x = keras.layers.Dense(6, activation="relu", name="first")(inputs)
    x = keras.layers.Dense(6, activation="relu", name="middle")(x)
    model = keras.Model(inputs, keras.ops.argmax(keras.layers.Dense(5, name="head")(x), axis=-1))
    with pytest.raises(ValueError, match="no output in floating point.*method='output'"):
        tfmp.measure_sensitivity(tfmp.relax(model), X, method="gradient")
