import importlib.util
import warnings

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, GROUPED, assignments, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.search import Budget, SearchedCost

MACS = {"conv": 8640, "grouped": 2 * 1296, "depthwise": 972, "dense": 120, "head": 30}
OUTSIDE = 972 * 64 + 30 * 32 * 32  # bit operations of the fixed layer and of the one in floating point


def test_limit_counts_the_whole_network():
    smallest = 8640 * 1 * 2 + 2592 * 2 * 4 + 120 * 32 * 1
    graph = searched_net()
    assert Budget("bitops", limit=OUTSIDE + smallest).limit_for(graph) == smallest
    assert Budget(costs.BitOps(), limit=1e9).limit_for(graph) == 1e9 - OUTSIDE
    with pytest.raises(ValueError, match="fewer bits") as caught:
        Budget("bitops", limit=OUTSIDE + smallest - 1).limit_for(graph)
    assert f"cheapest assignment costs {OUTSIDE + smallest:g} bit operations (layers outside" in str(caught.value)
    assert f"budget is {OUTSIDE + smallest - 1:g}" in str(caught.value)


def test_like_uniform_leaves_the_other_layers_out():
    # The dense layer's kernel is in floating point and stays there; 5 bits are no candidate of any layer.
    graph = searched_net()
    for w, a in [(2, 2), (4, 8), (5, 5)]:
        expected = 8640 * w * a + 2592 * w * a + 120 * 32 * a
        assert Budget("bitops", like_uniform=(w, a)).limit_for(graph) == expected
    with pytest.raises(ValueError, match="cannot be met: the cheapest assignment costs 41856 bit operations, .* 15072"):
        Budget("bitops", like_uniform=(1, 1)).limit_for(graph)


def test_like_uniform_of_a_layer_called_twice_stores_its_kernel_once():
    graph = chain(layer(GROUPED, selection((2, 4)), selection((4,), signed=False)), order=["grouped"] * 2)
    assert Budget("model_size", like_uniform=(3, 4)).limit_for(graph) == 144 * 3
    assert Budget("bitops", like_uniform=(3, 4)).limit_for(graph) == 2 * 1296 * 12


def test_searched_and_outside_costs_add_up_to_the_network():
    graph = searched_net()
    for name in ("flops", "bitops", "model_size"):
        priced, cost = SearchedCost(graph, name), costs.get(name)
        assert list(priced.tables) == ["conv", "grouped", "dense"]
        for _, bits in assignments(graph):
            assert priced.of(bits) + priced.outside == pytest.approx(costs.network_cost(graph, cost, bits))
        assert priced.expected() + priced.outside == pytest.approx(costs.network_cost(graph, cost))
        assert priced.smallest == pytest.approx(min(priced.of(bits) for _, bits in assignments(graph)))


def test_expectation_under_other_probabilities():
    priced = SearchedCost(chain(layer(CONV, selection((1, 2)), selection((2, 4), signed=False))), "bitops")
    p, q = np.array([0.3, 0.7]), np.array([0.9, 0.1])
    assert priced.expected({"conv": (p, q)}) == pytest.approx(8640 * (0.3 + 1.4) * (1.8 + 0.4))
    assert priced.expected() == pytest.approx(8640 * 1.5 * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either `limit` or `like_uniform`.*limit=None, like_uniform=None"),
        ({"limit": 1.0, "like_uniform": (2, 2)}, "either `limit` or `like_uniform`"),
        ({"limit": 0}, "a finite number above 0. Received: 0"),
        ({"limit": -3.0}, "a finite number above 0"),
        ({"limit": float("nan")}, "a finite number above 0"),
        ({"limit": float("inf")}, "a finite number above 0"),
        ({"limit": "100"}, "a finite number above 0. Received: '100'"),
        ({"limit": True}, "a finite number above 0. Received: True"),
        ({"like_uniform": 2}, "two integers.* Received: 2"),
        ({"like_uniform": (2,)}, "two integers"),
        ({"like_uniform": (2, 2, 2)}, "two integers"),
        ({"like_uniform": (2, 0)}, "two integers"),
        ({"like_uniform": (2, 2.5)}, "two integers"),
        ({"like_uniform": (True, 2)}, "two integers"),
        ({"like_uniform": "22"}, "two integers"),
    ],
    ids=str,
)
def test_what_is_no_budget_is_refused_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        Budget("bitops", **arguments)


def test_a_package_that_the_file_will_need_is_named_before_training(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for cost in ("micro_bytes", "micro_arena_bytes"):
        with pytest.warns(UserWarning, match=rf"`{cost}`.*`tflite-micro`.*pip install 'tfmp\[micro\]'") as found:
            Budget(cost, limit=65536)
        assert [each.filename for each in found] == [__file__]
    with warnings.catch_warnings(action="error"):
        Budget("tflite_bytes", limit=65536)


def test_is_a_value_with_plain_numbers():
    assert Budget("bitops", like_uniform=[np.int64(2), 3]) == Budget("bitops", like_uniform=(2, 3))
    assert type(Budget("bitops", limit=np.float32(5)).limit) is float
    assert type(Budget("bitops", like_uniform=(np.int64(2), 3)).like_uniform[0]) is int


def test_unknown_cost_is_refused_at_once():
    with pytest.raises(ValueError, match="Received: 'watts'"):
        Budget("watts", limit=1.0)


def test_uniform_bits_that_a_quantizer_lacks():
    graph = chain(layer(DENSE, selection((2, 4), quantizer="linear"), selection((2,), signed=False)))
    with pytest.raises(ValueError, match="`linear`: `bits` must be an integer from 2 to 8. Received: 1"):
        Budget("bitops", like_uniform=(1, 2)).limit_for(graph)
