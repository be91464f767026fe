"""A table of made-up latencies: packed convolutions are slower, packed dense layers faster."""

import keras
import numpy as np
import pytest

import tfmp
from tests.small_graphs import DENSE, chain, layer, selection
from tfmp import costs
from tfmp.bindings.framework import framework_of
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable, network_key
from tfmp.graph import LayerShape
from tfmp.search import Budget, SearchedCost
from tfmp.search.assignment import most_probable_within

# Large enough that the smallest file packs both.
CONV = LayerShape("conv", "conv2d", (3, 3), (1, 1), 64, 64, 1, (8, 8))
MATRIX = LayerShape("matrix", "dense", in_channels=512, out_channels=512)
DEPTHWISE = LayerShape("depthwise", "depthwise_conv2d", (3, 3), (1, 1), 64, 64, 64, (8, 8))
LATENCIES = {
    CONV: {8: 10.0, 4: 40.0, 2: 60.0},
    MATRIX: {8: 8.0, 4: 3.0, 2: 5.0},
    DEPTHWISE: {8: 2.0},
}


def net(conv=(1 / 3,) * 3, matrix=(1 / 3,) * 3):
    inputs = selection((4, 8), signed=False)
    return chain(
        layer(CONV, selection((2, 4, 8), conv), inputs),
        layer(DEPTHWISE, selection((4, 8)), inputs),
        layer(MATRIX, selection((2, 4, 8), matrix), inputs),
    )


@pytest.fixture
def table():
    rows = [RuntimeRow(shape, bits, found) for shape, by_bits in LATENCIES.items() for bits, found in by_bits.items()]
    return RuntimeTable(rows=tuple(rows), overhead_us={network_key(net()): 1.25})


def test_entries_are_those_of_the_containers(table):
    small, fast = (costs.tables(net(), costs.RuntimeLatency(table, mode=mode)) for mode in ("small", "fast"))
    assert small["conv"].tolist() == [[60.0, 60.0], [40.0, 40.0], [10.0, 10.0]]
    assert small["matrix"].tolist() == [[5.0, 5.0], [3.0, 3.0], [8.0, 8.0]]
    # The runtime has no packed depthwise convolution: 4 bits are stored as 8, in either mode.
    assert small["depthwise"].tolist() == fast["depthwise"].tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert np.unique(fast["conv"]).tolist() == [10.0] and np.unique(fast["matrix"]).tolist() == [8.0]


def test_a_network_is_its_layers_and_the_rest(table):
    cost = costs.RuntimeLatency(table)
    bits = {"conv": (8, 8), "depthwise": (4, 4), "matrix": (4, 8)}
    assert costs.network_cost(net(), cost, bits) == 10 + 2 + 3 + 1.25
    assert cost.unit == "us" and costs.get(cost) is cost


@pytest.mark.parametrize("preferred", [0, 1])
def test_slow_packed_convolutions_are_never_rewarded(table, preferred):
    """The search wanted few bits everywhere; what 8 bits take is the budget."""
    wanted = tuple(0.98 if i == preferred else 0.01 for i in range(3))
    graph = net(conv=wanted, matrix=wanted)
    budget = Budget(costs.RuntimeLatency(table), like_uniform=(8, 8))
    found = most_probable_within(SearchedCost(graph, budget.cost), budget.limit_for(graph), spend=False)
    assert found["conv"][0] == 8 and found["matrix"][0] == (2, 4)[preferred]
    # Tighter than 8 bits everywhere: packed dense layers are what makes it.
    tight = Budget(costs.RuntimeLatency(table), limit=10 + 2 + 3 + 1.25)
    found = most_probable_within(SearchedCost(graph, tight.cost), tight.limit_for(graph))
    assert (found["conv"][0], found["matrix"][0]) == (8, 4)
    with pytest.raises(ValueError, match="cheapest assignment costs 16.25 us"):
        Budget(costs.RuntimeLatency(table), limit=16.0).limit_for(graph)


@pytest.mark.slow
def test_a_search_that_nothing_else_pushes_ends_at_what_is_fast():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 64))
    x = keras.layers.Conv2D(64, 3, padding="same", activation="relu", name="conv")(image)
    x = keras.layers.Dense(64, name="matrix")(keras.layers.GlobalAveragePooling2D()(x))
    model = tfmp.relax(keras.Model(image, x), weight_bits=(2, 4, 8), activation_bits=(8,), first_and_last="search")
    latencies = {"conv": {8: 10.0, 4: 40.0, 2: 60.0}, "matrix": {8: 9.0, 4: 1.0, 2: 5.0}}
    layers = framework_of(model).read(model, weights=False).layers
    rows = [RuntimeRow(layers[name].shape, bits, us) for name, found in latencies.items() for bits, us in found.items()]
    budget = Budget(costs.RuntimeLatency(RuntimeTable(rows=tuple(rows))), like_uniform=(8, 8))
    model.compile(tfmp.SelectionOptimizer(keras.optimizers.SGD(0.0), keras.optimizers.Adam(0.1)), "mse")
    data = np.zeros((240, 4, 4, 64), np.float32), np.zeros((240, 64), np.float32)
    search = tfmp.MixedPrecisionSearch(budget=budget)
    model.fit(*data, batch_size=4, callbacks=[search], verbose=0)
    probabilities = {name: pair[0] for name, pair in search.probabilities().items()}
    assert probabilities["conv"].argmax() == 2 and probabilities["matrix"].argmax() == 1
    assert search.summary()["expected_cost"] < 1.5
    found = tfmp.discretize(model, strategy="budget", budget=budget, spend=False)
    assert (found["conv"][0], found["matrix"][0]) == (8, 4)


def test_from_a_file(table, tmp_path):
    table.to_json(tmp_path / "latency.json")
    cost = costs.RuntimeLatency(tmp_path / "latency.json")
    assert costs.tables(net(), cost)["matrix"].tolist() == [[5.0, 5.0], [3.0, 3.0], [8.0, 8.0]]


def test_errors_say_how_to_measure(table):
    with pytest.raises(ValueError, match=r"`runtime_latency` is measured.*tfmp.measure_runtime.*RuntimeLatency\("):
        costs.get("runtime_latency")
    with pytest.raises(ValueError, match="measured on your machine"):
        Budget("runtime_latency", like_uniform=(8, 8))
    with pytest.raises(ValueError, match="'fast', 'small'"):
        costs.RuntimeLatency(table, mode="wrong")
    cost = costs.RuntimeLatency(table)
    unknown = chain(layer(DENSE, selection((8,)), selection((8,), signed=False)))
    with pytest.raises(ValueError, match="Layer `dense` .*12 to 10 channels.*8-bit weights.*measure_runtime"):
        costs.tables(unknown, cost)
    with pytest.raises(ValueError, match="network `chain`.*measure_runtime"):
        cost.overhead(unknown)
    with pytest.raises(ValueError, match="`conv` is in floating point"):
        costs.tables(chain(layer(CONV)), cost)
