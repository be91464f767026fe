import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tfmp.search import SearchedCost
from tfmp.search.lagrangian import DualAscent, FixedMultiplier
from tfmp.search.penalty import Penalty

PRICES = {(2, 2): 3.0, (2, 4): 5.0, (4, 2): 4.0, (4, 4): 7.0}
MEASURED = RuntimeTable(rows=tuple(RuntimeRow(CONV, bits, 40.0 / bits) for bits in (4, 8)))
COSTS = {
    "bitops": (costs.BitOps(), (2, 4), CONV.macs),
    "model_size": (costs.ModelSize(), (2, 4), CONV.num_weights),
    "table": (costs.Table({"conv": PRICES}, unit="ms"), (2, 4), 3.0),
    "runtime_latency": (costs.RuntimeLatency(MEASURED, mode="fast"), (4, 8), 5.0),
    "function": (costs.Function(lambda shape, w, a: w + a, name="sum", unit="bits"), (2, 4), 2.0),
}


@pytest.mark.parametrize("name", COSTS)
def test_what_a_fixed_multiplier_adds_is_in_units_of_the_first_layer(name):
    """At one bit, or at its cheapest candidates where one bit has no price."""
    cost, bits, unit = COSTS[name]
    graph = chain(layer(CONV, selection(bits), selection(bits, signed=False)))
    penalty = Penalty(SearchedCost(graph, cost), FixedMultiplier(0.25))
    assert penalty.normalizer == unit
    odds = {"conv": (np.array([0.25, 0.75]), np.array([1.0, 0.0]))}
    table = cost.table(CONV, *(getattr(graph.layers["conv"], tensor).formats for tensor in ("weight", "activation")))
    np.testing.assert_allclose(penalty.prices(odds)["conv"], 0.25 * table / unit)
    assert penalty.step(odds) == pytest.approx((0.25 * table[0, 0] + 0.75 * table[1, 0]) / unit)
    assert penalty.multiplier.value == 0.25


def test_a_normalizer_has_to_be_positive():
    free = costs.Function(lambda shape, w, a: (w - 1) * a, name="surplus", unit="bits")
    with pytest.raises(ValueError, match="`surplus`.*layer `conv` at one bit.*positive. Received: 0 bits"):
        Penalty(SearchedCost(searched_net(), free), FixedMultiplier(1.0))
    graph = chain(layer(DENSE, selection((1, 2)), selection((1, 2), signed=False)))
    with pytest.raises(ValueError, match="`surplus`.*the budget, which must be positive"):
        Penalty(SearchedCost(graph, free), DualAscent(), limit=0.0)
