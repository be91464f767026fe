"""No trained network takes more bytes than the cost foresees for its bits."""

import dataclasses

import keras
import numpy as np
import pytest

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.costs import MicroBytes, TFLiteBytes
from tfmp.graph.targets import LITERT, MICRO
from tfmp.operators import kernel_of
from tfmp.search.searched_cost import SearchedCost
from tfmp.tflite.file_metadata import quantized_bits, with_own_metadata
from tfmp.tflite.open_file import runner_of
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.fold import fold_graph

BITS = range(1, 9)
TARGETS = {"micro": (MICRO, MicroBytes()), "litert": (LITERT, TFLiteBytes())}


@pytest.fixture(scope="module")
def search_model():
    """All kinds of kernels, with a normalization after each convolution."""
    layers, x = keras.layers, keras.Input((8, 8, 3))
    model_input = x
    for name, layer in {
        "stem": layers.Conv2D(24, 3, use_bias=False, name="stem"),
        "depthwise": layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
        "pointwise": layers.Conv2D(48, 1, use_bias=False, name="pointwise"),
        "convolution": layers.Conv2D(24, 3, padding="same", use_bias=False, name="convolution"),
    }.items():
        x = layers.ReLU()(layers.BatchNormalization(name=f"{name}_bn")(layer(x)))
    x = layers.Dense(32, activation="relu", name="hidden")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(model_input, layers.Dense(10, name="classes")(x))
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    return tfmp.relax(model, weight_bits=tuple(BITS), activation_bits=(8,), calibration=images)


def ordinary(rng, kernel):
    """Channels of different sizes."""
    return kernel * rng.lognormal(0, 1, kernel.shape[-1])


def dying(rng, kernel):
    """Some channels have hardly any weight left: no accumulator of them holds the bias."""
    return kernel * np.where(rng.random(kernel.shape[-1]) < 0.3, 1e-9, 1)


def coarse(rng, kernel):
    """Few of the codes occur."""
    return np.sign(kernel) * np.where(rng.random(kernel.shape) < 0.1, 1, 0.1)


def trained(graph, values, rng):
    """The graph with other numbers, as a training may leave them; no factor of a normalization is negative."""
    changed = {}
    for layer in graph.layers.values():
        weights, candidates = (
            {name: rng.normal(0, 1, array.shape) for name, array in layer.weights.items()},
            layer.weight,
        )
        for name in {"gamma", "moving_variance"}.intersection(weights):
            weights[name] = np.abs(weights[name]) + 0.1
        if layer.shape is not None:
            shape = layer.weights["kernel"].shape
            kernel = values(rng, rng.normal(0, 0.5, kernel_of(layer).by_channel(np.zeros(shape)).shape))
            weights["kernel"] = kernel.reshape(shape)
            step = np.float32(np.abs(kernel).max() / 2 ** (candidates.bits[0] - 1) * rng.uniform(0.3, 1))
            states = [
                {name: np.full_like(array, step) if name == "step" else array for name, array in state.items()}
                for state in candidates.states
            ]
            candidates = dataclasses.replace(candidates, states=tuple(states))
        weights = {name: np.asarray(array, np.float32) for name, array in weights.items()}
        changed[layer.name] = dataclasses.replace(layer, weights=weights, weight=candidates)
    return graph.replace_layers(changed)


def size_of(graph, target):
    """Bytes of the file."""
    types = dict.fromkeys(("input_type", "output_type"), target.number_type)
    file = runner_of(target)(write_tflite(fold_graph(graph, mode="small", target=target), target=target, **types))
    return len(with_own_metadata(file, target=target, mode="small", bits=quantized_bits(graph), labels=()))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("target", TARGETS)
def test_no_values_take_more_bytes_than_foreseen(search_model, target, seed):
    runtime, cost = TARGETS[target]
    rng = np.random.default_rng(seed)
    searched = framework_of(search_model).read(search_model, weights=False)
    priced = SearchedCost(searched, cost)
    bits = {layer.name: (int(rng.choice(BITS)), 8) for layer in searched.searched}
    fixed = tfmp.fix(search_model, bits)
    foreseen, in_search = tfmp.cost(fixed, cost), priced.of(bits) + priced.outside
    assert foreseen <= in_search
    graph = framework_of(fixed).read(fixed)
    for values in (ordinary, dying, coarse):
        num_bytes = size_of(trained(graph, values, rng), runtime)
        assert num_bytes <= foreseen, values.__name__
    assert size_of(trained(graph, ordinary, rng), runtime) >= foreseen - 512
