import pytest

from tests.small_graphs import CONV, GROUPED, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.costs import Function
from tfmp.graph import FLOAT, CodeFormat


def test_it_is_called_with_shape_and_bits():
    cost = Function(lambda shape, w, a: shape.macs * max(w, a), name="serial", unit="cycles")
    table = cost.table(CONV, [CodeFormat(2, -2, 1), FLOAT], [CodeFormat(1, 0, 1), CodeFormat(4, 0, 15)])
    assert table.tolist() == [[8640 * 2, 8640 * 4], [8640 * 32, 8640 * 32]]
    assert (cost.name, cost.unit) == ("serial", "cycles")
    assert costs.get(cost) is cost
    bits = {"conv": (2, 8), "grouped": (3, 4), "dense": (32, 1)}
    expected = 8640 * 8 + 2 * 1296 * 4 + 120 * 32 + 972 * 8 + 30 * 32  # with the layers that are not searched
    assert costs.network_cost(searched_net(), cost, bits) == expected


def test_layers_pay_at_every_call_or_once():
    graph = chain(layer(GROUPED, selection((2,)), selection((4,), signed=False)), order=["grouped"] * 3)
    for per_call, calls in ((True, 3), (False, 1)):
        cost = Function(lambda shape, w, a: 7, name="seven", unit="units", per_call=per_call)
        assert costs.network_cost(graph, cost) == 7 * calls


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), None, "1", [1.0], True], ids=str)
def test_what_is_no_price(wrong):
    cost = Function(lambda shape, w, a: wrong if w == 4 else 1, name="mine", unit="units")
    with pytest.raises(ValueError, match="Cost `mine`, layer `conv` at W4 A2: `price` must be a finite number"):
        cost.table(CONV, [CodeFormat(2, -2, 1), CodeFormat(4, -8, 7)], [CodeFormat(2, 0, 3)])


def test_what_is_no_function():
    with pytest.raises(TypeError, match=r"a function of \(shape, weight_bits, activation_bits\). Received: 3"):
        Function(3, name="mine", unit="units")
