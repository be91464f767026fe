"""Readers with 8-bit inputs share the grid of a tensor with several readers, in training and in the file."""

import keras
import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, residual
from tfmp.bindings.framework import framework_of
from tfmp.lowering.stored_inputs import stored_by
from tfmp.search.searched_cost import SearchedCost
from tfmp.transform.fold import fold_graph


@pytest.fixture(scope="module")
def relaxed():
    model = residual()
    return tfmp.relax(model, weight_bits=(4, 8), activation_bits=(4, 8), calibration=inputs_for(model))


def fixed_at(relaxed, activation_bits):
    names = tfmp.searched_layers(relaxed)
    return tfmp.fix(relaxed, dict.fromkeys(names, (4, activation_bits)))


def requantizations(model):
    graph = fold_graph(framework_of(model).read(model))
    return [operation.name for operation in graph.operations if operation.name.endswith("_requantized")]


@pytest.mark.parametrize(("bits", "expected"), [(8, []), (4, ["first_relu_quantizer_requantized"])])
def test_only_readers_with_other_bits_requantize(relaxed, bits, expected, tmp_path):
    fixed = fixed_at(relaxed, bits)
    assert requantizations(fixed) == expected
    fixed.save(tmp_path / "fixed.keras")
    assert requantizations(tfmp.load_model(tmp_path / "fixed.keras")) == expected
    framework = framework_of(fixed)
    graph = framework.read(fixed)
    source = stored_by(graph, graph.layers["inside"])
    assert (source and source.name) == ("first_relu_quantizer" if bits == 8 else None)
    assert stored_by(graph, graph.layers["before_addition"]) is None  # nothing else reads its input


def test_the_fixed_model_reads_the_stored_tensor_and_trains(relaxed):
    fixed = fixed_at(relaxed, 8)
    x = inputs_for(fixed)
    stored = keras.Model(fixed.inputs, fixed.get_layer("first_relu_quantizer").output)(x)
    inside = fixed.get_layer("inside")
    np.testing.assert_array_equal(inside.quantize_input(stored, False), stored)
    fixed.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    fixed.fit(x, np.zeros((len(x), 3), np.float32), verbose=0)
    assert requantizations(fixed) == []
    assert (inside.weight_bits, inside.activation_bits, inside.quantizer) == ((4,), (8,), ("lsq", "stored"))


def test_other_bits_than_those_of_the_stored_tensor_are_refused(relaxed):
    fixed = fixed_at(relaxed, 8)
    with pytest.raises(ValueError, match="Quantizer `stored`"):
        tfmp.fix(fixed, dict.fromkeys(tfmp.searched_layers(fixed), (4, 4)))


@pytest.mark.parametrize("cost", [tfmp.costs.TFLiteBytes("fast"), tfmp.costs.MicroArenaBytes("fast")])
def test_a_search_counts_on_the_shared_grid(cost):
    relaxed = tfmp.relax(residual(), weight_bits=(4, 8), activation_bits=(8,))
    bits = dict.fromkeys(tfmp.searched_layers(relaxed), (8, 8))
    expected = tfmp.cost(tfmp.fix(relaxed, bits), cost)
    graph = framework_of(relaxed).read(relaxed, weights=False)
    searched = SearchedCost(graph, cost)
    assert tfmp.cost(relaxed, cost, bits) == expected
    assert searched.of(bits) + searched.outside == pytest.approx(expected, abs=1)
    assert searched.uniform(8, 8) + searched.outside == pytest.approx(expected, abs=1)
