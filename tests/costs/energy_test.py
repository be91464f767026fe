import dataclasses

import numpy as np
import pytest

from tfmp.costs.cost import Cost
from tfmp.costs.simulated_cost import Energy
from tfmp.graph import FLOAT, CodeFormat, LayerShape
from tfmp.simulator import Hardware, simulate_layer

SHAPE = LayerShape("conv", "conv2d", (3, 3), (1, 1), 16, 32, 1, (8, 8))
DEPTHWISE = LayerShape("dw", "depthwise_conv2d", (3, 3), (1, 1), 16, 16, groups=16, output_size=(8, 8))


def signed(bits):
    return CodeFormat(bits, -(2 ** (bits - 1)), max(1, 2 ** (bits - 1) - 1))


def unsigned(bits):
    return CodeFormat(bits, 0, 2**bits - 1)


def test_table_is_the_simulated_energy():
    cost = Energy(batch=2)
    table = cost.table(SHAPE, [signed(1), signed(4)], [unsigned(2), unsigned(3), unsigned(8)])
    expected = [[simulate_layer(SHAPE, w, a, batch=2).energy_nj["total"] for a in (2, 3, 8)] for w in (1, 4)]
    np.testing.assert_array_equal(table, expected)
    assert isinstance(cost, Cost) and (cost.name, cost.unit) == ("energy", "nJ")
    assert (Energy.name, Energy.unit) == ("energy", "nJ")


def test_options_reach_the_simulator():
    hardware = Hardware.from_preset("bit_fusion").resize(input_lanes=32, weight_buffer_bytes=131072)
    options = {"batch": 3, "objective": "energy", "depthwise": "dense"}
    table = Energy(hardware, **options).table(DEPTHWISE, [signed(4)], [unsigned(4)])
    assert table[0, 0] == simulate_layer(DEPTHWISE, 4, 4, hardware, **options).energy_nj["total"]
    assert table[0, 0] != Energy(batch=3).table(DEPTHWISE, [signed(4)], [unsigned(4)])[0, 0]


def test_is_a_value():
    assert Energy() == Energy("bit_fusion", 16)
    assert hash(Energy()) == hash(Energy(Hardware.from_preset("bit_fusion")))
    assert dataclasses.replace(Energy(), batch=1) == Energy(batch=1) != Energy()


def test_formats_that_the_array_does_not_compute():
    with pytest.raises(
        ValueError, match="Layer `conv`: the cost `energy` on `bit_fusion` .* 8 bits. Received floating-point weights"
    ):
        Energy().table(SHAPE, [FLOAT], [unsigned(8)])
    with pytest.raises(ValueError, match="floating-point activations"):
        Energy().table(SHAPE, [signed(8)], [unsigned(8), FLOAT])
    with pytest.raises(ValueError, match="Layer `conv`: `weight_bits` must be an integer from 1 to 8.* Received: 16"):
        Energy().table(SHAPE, [signed(16)], [unsigned(8)])


def test_unknown_preset_is_refused_at_once():
    with pytest.raises(ValueError, match="must be one of 'bit_fusion', .*Received: 'tpu'"):
        Energy("tpu")
