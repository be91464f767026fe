"""Means and variances after correction, against those of the network in floating point."""

import dataclasses

import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, plain, residual, shared_layer, trained
from tfmp.bindings.framework import framework_named, framework_of
from tfmp.data.batches import batches
from tfmp.transform.calibration.moment_correction import MomentCorrection, moment_reader
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.edits.split_layers import with_separate_activations

# The layer whose bias takes the correction of each layer with a kernel: itself, or the normalization after it.
CARRIERS = {
    plain: {
        "first": "first_norm",
        "depthwise": "depthwise_norm",
        "middle": "middle",
        "dense": "dense_norm",
        "head": "head",
    },
    residual: {
        "first": "first",
        "inside": "inside_norm",
        "before_addition": "before_addition",
        "after_addition": "after_addition",
        "head": "head",
    },
    shared_layer: {"first": "first", "twice": "twice", "head": "head"},
}


def planted(make, seed=0):
    """A network at 8 bits whose biases and moving statistics are off, as a graph; and it in floating point."""
    model = trained(make())
    relaxed = tfmp.relax(model, weight_bits=(8, 7), activation_bits=(8,), calibration=inputs_for(model, 64))
    graph = with_separate_activations(framework_of(relaxed).read(relaxed))
    rng = np.random.default_rng(seed)
    wrong = {}
    for layer in graph.in_order():
        weights = dict(layer.weights)
        for path in set(weights) & {"bias", "moving_mean"}:
            weights[path] = weights[path] + rng.uniform(0.2, 0.6, weights[path].shape)
        if "moving_variance" in weights:
            weights["moving_variance"] = weights["moving_variance"] * rng.uniform(1.5, 3, weights[path].shape)
        wrong[layer.name] = dataclasses.replace(layer, weights=weights)
    framework = framework_of(relaxed)
    return graph.replace_layers(wrong), framework.write(in_floating_point(graph)), inputs_for(model, 64, seed=3)


@pytest.mark.default_cases("residual")
@pytest.mark.parametrize("make", CARRIERS, ids=lambda make: make.__name__)
def test_planted_errors_of_the_mean_are_taken_back(make):
    graph, floating, x = planted(make)
    framework = framework_named(graph.framework)
    model = framework.write(graph)
    correction = MomentCorrection(graph, model, floating, x)
    assert {name: correction.carrier(name) for name in CARRIERS[make]} == CARRIERS[make]
    assert set(correction.carriers) == set(CARRIERS[make].values())

    def error():
        pairs = zip(outputs_of(model, x), outputs_of(floating, x), strict=True)
        return sum(np.square(ours - theirs).mean() for ours, theirs in pairs)

    before = error()
    moments = correction.in_order()
    for name in correction.carriers:
        correction.correct(name, moments.of(name))
    assert error() < 0.1 * before
    tensors = [call.outputs[0] for call in graph.calls if call.layer in CARRIERS[make]]
    ours, theirs = (framework.tensor_model(m, tensors)(x) for m in (model, floating))
    for tensor, mine, exact in zip(tensors, ours, theirs, strict=True):
        mine, exact = (np.asarray(y, np.float64).reshape(-1, y.shape[-1]) for y in (mine, exact))
        carrier = CARRIERS[make][graph.producer(tensor).layer]
        if carrier.endswith("_norm"):
            mine, exact = (normalized(y, framework.layer(m, carrier)) for y, m in ((mine, model), (exact, floating)))
            np.testing.assert_allclose(mine.std(0), exact.std(0), rtol=1e-3)
        if carrier != "twice":  # one bias serves two calls, whose means are right together
            np.testing.assert_allclose(mine.mean(0), exact.mean(0), atol=1e-3)
    if make is shared_layer:
        return  # the second call's mean follows from the first's
    settled = {name: correction.values(name) for name in correction.carriers}
    moments = correction.in_order()
    for name in correction.carriers:
        correction.correct(name, moments.of(name))
        for path, value in correction.values(name).items():
            np.testing.assert_allclose(value, settled[name][path], rtol=1e-3, atol=1e-4)


def normalized(y, norm):
    return (y - np.asarray(norm.moving_mean)) / np.sqrt(np.asarray(norm.moving_variance))


def test_layers_without_a_bias_are_left_alone():
    model = plain()
    relaxed = tfmp.relax(model, layers="middle", first_and_last="float")
    graph = with_separate_activations(framework_of(relaxed).read(relaxed))
    layer = graph.layers["middle"]
    origin = layer.origin.replace_config(use_bias=False)
    weights = {path: value for path, value in layer.weights.items() if path != "bias"}
    graph = graph.replace_layers({"middle": dataclasses.replace(layer, origin=origin, weights=weights)})
    framework = framework_of(relaxed)
    correction = MomentCorrection(
        graph, framework.write(graph), framework.write(in_floating_point(graph)), inputs_for(model)
    )
    assert correction.carrier("middle") is None and correction.carrier("head") is None
    assert "middle" not in correction.carriers and "head" not in correction.carriers


@pytest.mark.parametrize("make", CARRIERS, ids=lambda make: make.__name__)
def test_one_pass_in_order_gives_what_the_whole_network_gives(make):
    graph, floating, x = planted(make)
    model = framework_named(graph.framework).write(graph)
    correction = MomentCorrection(graph, model, floating, x)
    tensors = {}
    for name in correction.carriers:
        # The tensors of a normalization are its inputs, those of a bias the layer's outputs.
        calls = graph.calls_of(name)
        is_normalization = graph.layers[name].kind == "batch_normalization"
        tensors[name] = [call.inputs[0] if is_normalization else call.outputs[0] for call in calls]
    whole = moment_reader(model, tensors, lambda: batches(x, graph=graph))
    moments = correction.in_order()
    for name in correction.carriers:
        found, expected = moments.of(name), whole()[name]
        assert found.count == expected.count
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.variance, expected.variance, rtol=1e-4, atol=1e-5)
        correction.correct(name, found)
