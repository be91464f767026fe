import numpy as np
import pytest

from tfmp import costs
from tfmp.costs.cost import Cost
from tfmp.costs.simulated_cost import Energy, SimulatedLatency
from tfmp.graph import FLOAT, CodeFormat, LayerShape
from tfmp.simulator import simulate_layer

SHAPE = LayerShape("conv", "conv2d", (3, 3), (1, 1), 16, 32, 1, (8, 8))
FORMATS = [CodeFormat(2, -2, 1), CodeFormat(8, -128, 127)]


def test_table_is_the_simulated_time():
    cost = SimulatedLatency(batch=2)
    expected = [[simulate_layer(SHAPE, w, a, batch=2).total_cycles for a in (2, 8)] for w in (2, 8)]
    np.testing.assert_array_equal(cost.table(SHAPE, FORMATS, FORMATS), expected)
    assert isinstance(cost, Cost) and (cost.name, cost.unit) == ("simulated_latency", "cycles")


def test_the_name_of_version_0_1_0_is_known():
    assert costs.get("latency") == SimulatedLatency() and "latency" not in costs.names()


def test_is_not_the_energy():
    assert SimulatedLatency() == SimulatedLatency("bit_fusion", 16) != Energy()


def test_floating_point_is_refused():
    with pytest.raises(ValueError, match="Layer `conv`: the cost `simulated_latency` on `bit_fusion`"):
        SimulatedLatency().table(SHAPE, [FLOAT], FORMATS)
