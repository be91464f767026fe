"""Base class of all costs, and the cost of a network."""

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, GROUPED, assignments, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.graph import Layer

MACS = {"conv": 9 * 4 * 8 * 30, "grouped": 6 * 2 * 12 * 9, "depthwise": 9 * 12 * 9, "dense": 120, "head": 30}
WEIGHTS = {"conv": 288, "grouped": 144, "depthwise": 108, "dense": 120, "head": 30}
CALLS = {"conv": 1, "grouped": 2, "depthwise": 1, "dense": 1, "head": 1}
FLOAT_NUMBERS = 12 + 10 + 3 + 32  # biases and normalization


def by_hand(name, bits):
    """Cost of `searched_net` with the searched layers at some bits; floats are 32."""
    bits = {"depthwise": (8, 8), "head": (32, 32), **bits}
    if name == "flops":
        return sum(MACS[layer] * CALLS[layer] for layer in bits)
    if name == "bitops":
        return sum(MACS[layer] * CALLS[layer] * w * a for layer, (w, a) in bits.items())
    return sum(WEIGHTS[layer] * w for layer, (w, _) in bits.items()) + 32 * FLOAT_NUMBERS


@pytest.mark.parametrize("name", ["flops", "bitops", "model_size"])
def test_every_assignment_costs_what_arithmetic_says(name):
    graph = searched_net()
    for _, bits in assignments(graph):
        assert costs.network_cost(graph, costs.get(name), bits) == pytest.approx(by_hand(name, bits), rel=1e-12)


@pytest.mark.parametrize("name", ["flops", "bitops", "model_size"])
def test_expected_cost_is_the_mean_over_all_assignments(name):
    graph = searched_net()
    expected = sum(probability * by_hand(name, bits) for probability, bits in assignments(graph))
    assert len(list(assignments(graph))) == 6 * 2 * 3
    assert costs.network_cost(graph, costs.get(name)) == pytest.approx(expected, rel=1e-12)


def test_bitops_of_independent_choices_multiply_the_expected_bits():
    """EdMIPS, eq. 12 and 13."""
    table = costs.tables(searched_net(), costs.BitOps())["conv"]
    layer = searched_net().layers["conv"]
    expected = (0.2 * 1 + 0.5 * 2 + 0.3 * 4) * (0.9 * 2 + 0.1 * 8) * MACS["conv"]
    assert costs.layer_cost(layer, table) == pytest.approx(expected, rel=1e-12)


def test_tables_hold_every_layer_that_multiplies_in_network_order():
    tables = costs.tables(searched_net(), costs.BitOps())
    assert list(tables) == ["conv", "grouped", "depthwise", "dense", "head"]
    assert {name: table.shape for name, table in tables.items()} == {
        "conv": (3, 2),
        "grouped": (2, 1),
        "depthwise": (1, 1),
        "dense": (1, 3),
        "head": (1, 1),
    }


def test_a_layer_pays_its_operations_at_every_call_and_its_kernel_once():
    graph = chain(layer(GROUPED, selection((2, 3)), selection((4,), signed=False)), order=["grouped"] * 3)
    assert costs.tables(graph, costs.BitOps())["grouped"].tolist() == [[3 * 1296 * 8], [3 * 1296 * 12]]
    assert costs.tables(graph, costs.Flops())["grouped"].tolist() == [[3 * 1296], [3 * 1296]]
    assert costs.tables(graph, costs.ModelSize())["grouped"].tolist() == [[144 * 2], [144 * 3]]
    assert costs.network_cost(graph, costs.ModelSize(), {"grouped": (3, 4)}) == 144 * 3


def test_layers_that_are_never_called_cost_nothing():
    graph = chain(layer(CONV), layer(DENSE), order=["conv"])
    assert list(costs.tables(graph, costs.Flops())) == ["conv"]
    assert costs.network_cost(graph, costs.Flops()) == MACS["conv"]


def test_network_without_products():
    graph = chain(Layer("activation", "relu"))
    assert [costs.network_cost(graph, costs.get(name)) for name in ("flops", "bitops", "model_size")] == [0, 0, 0]


def test_costs_are_found_by_name_or_given():
    for name in ("flops", "bitops", "model_size"):
        assert costs.get(name).name == name and name in costs.names()
    cost = costs.BitOps()
    assert costs.get(cost) is cost
    with pytest.raises(ValueError, match="'flops', 'bitops', 'model_size'.* Received: 'watts'"):
        costs.get("watts")
    with pytest.raises(TypeError, match="the name of a cost or a `tfmp.costs.Cost`. Received: 3"):
        costs.get(3)


def test_tables_are_float64():
    for name in ("flops", "bitops", "model_size"):
        assert all(table.dtype == np.float64 for table in costs.tables(searched_net(), costs.get(name)).values())
