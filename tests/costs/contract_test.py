"""What every cost promises."""

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, GROUPED, assignments, searched_net
from tfmp import costs
from tfmp.graph import CodeFormat
from tfmp.search import Budget, SearchedCost

WEIGHTS = [CodeFormat(1, -1, 1), CodeFormat(2, -2, 1), CodeFormat(4, -8, 7), CodeFormat(8, -127, 127)]
ACTIVATIONS = [CodeFormat(1, 0, 1), CodeFormat(4, 0, 15), CodeFormat(8, 0, 255)]
PRICES = {(w, a): w * 1.5 + a for w in (1, 2, 3, 4, 8, 32) for a in (1, 2, 3, 4, 8, 32)}
COSTS = {
    **{name: costs.get(name) for name in costs.names() if name != "runtime_latency"},  # that needs measurements
    "table": costs.Table(dict.fromkeys(("conv", "grouped", "dense"), PRICES), unit="ms", others=2.0),
    "function": costs.Function(lambda shape, w, a: shape.num_weights * (w + a), name="function", unit="units"),
}
# Those that have a price for the layers of `searched_net` in floating point, and need no sizes of its tensors.
SUMS = [
    name for name in COSTS if name not in ("energy", "simulated_latency", "peak_activation_memory", "micro_arena_bytes")
]
# Those of files: the bytes of helpers and tables, and of kernels that are unpacked, are not in order of the bits.
FILES = ("tflite_bytes", "micro_bytes", "micro_arena_bytes")


@pytest.mark.parametrize("name", [name for name in COSTS if name != "micro_arena_bytes"])
def test_a_table_has_a_price_for_every_pair_of_bits(name):
    cost = COSTS[name]
    for shape in (CONV, GROUPED, DENSE):
        table = cost.table(shape, WEIGHTS, ACTIVATIONS)
        assert table.shape == (4, 3) and table.dtype == np.float64
        assert np.isfinite(table).all() and (table >= 0).all() and table.max() > 0
        for i, weight in enumerate(WEIGHTS):
            for j, activation in enumerate(ACTIVATIONS):
                assert cost.table(shape, [weight], [activation]).item() == table[i, j]
    assert cost.name == name and cost.unit


@pytest.mark.parametrize("name", [name for name in COSTS if name not in (*FILES, "energy", "simulated_latency")])
def test_more_bits_never_cost_less(name):
    for shape in (CONV, GROUPED, DENSE):
        table = COSTS[name].table(shape, WEIGHTS, ACTIVATIONS)
        assert (np.diff(table, axis=0) >= 0).all() and (np.diff(table, axis=1) >= 0).all()


@pytest.mark.parametrize("name", SUMS)
def test_the_searched_layers_and_the_rest_are_the_network(name):
    graph, cost = searched_net(), COSTS[name]
    priced, total = SearchedCost(graph, cost), 0.0
    for probability, bits in assignments(graph):
        whole = costs.network_cost(graph, cost, bits)
        assert priced.of(bits) + priced.outside == pytest.approx(whole, rel=1e-12)
        total += probability * whole
    assert costs.network_cost(graph, cost) == pytest.approx(total, rel=1e-12)
    assert priced.smallest == pytest.approx(min(priced.of(bits) for _, bits in assignments(graph)))
    expected = {
        name: tuple(
            np.asarray(each.probabilities) for each in (graph.layers[name].weight, graph.layers[name].activation)
        )
        for name in priced.names
    }
    assert priced.expected(expected) == pytest.approx(priced.expected(), rel=1e-12)


@pytest.mark.parametrize("name", SUMS)
def test_it_can_be_a_budget(name):
    graph, cost = searched_net(), COSTS[name]
    uniform = Budget(cost, like_uniform=(4, 8)).limit_for(graph) if name not in FILES else None
    absolute = costs.network_cost(
        graph, cost, max((bits for _, bits in assignments(graph)), key=SearchedCost(graph, cost).of)
    )
    assert Budget(cost, limit=absolute).limit_for(graph) == pytest.approx(absolute - SearchedCost(graph, cost).outside)
    assert uniform is None or uniform > 0
