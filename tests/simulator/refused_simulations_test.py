"""What cannot be simulated is refused with the layer and the reason."""

import dataclasses

import pytest

from tests.simulator.sample_layers import BIT_FUSION, CONV, DEPTHWISE
from tfmp.graph import LayerShape
from tfmp.simulator import cost_table, simulate, simulate_layer


@pytest.mark.parametrize("bits", [0, -1, 9, 2.0, True, None])
def test_bad_bits_name_the_layer(bits):
    with pytest.raises(ValueError, match="Layer `conv`: `weight_bits` must be an integer from 1 to 8"):
        simulate_layer(CONV, bits, 8)
    with pytest.raises(ValueError, match="Layer `conv`: `activation_bits` must be an integer from 1 to 8"):
        cost_table(CONV, (8,), (8, bits))


def test_layer_that_fits_no_tiling_names_layer_and_buffer():
    hardware = dataclasses.replace(BIT_FUSION, weight_buffer_bytes=512)
    with pytest.raises(
        ValueError, match=r"Layer `conv`: no tiling fits .* the weight_buffer holds 2,048 of 4,096 bits"
    ):
        simulate_layer(CONV, 8, 8, hardware)
    hardware = dataclasses.replace(BIT_FUSION, output_buffer_bytes=16, input_buffer_bytes=1)
    with pytest.raises(ValueError, match="the input_buffer holds .*, the output_buffer holds"):
        simulate_layer(CONV, 8, 8, hardware)


def test_layer_too_large_to_count():
    huge = LayerShape("huge", "dense", in_channels=10**9, out_channels=10**9)
    with pytest.raises(ValueError, match="Layer `huge`: the layer is too large to count"):
        simulate_layer(huge, 8, 8)


def test_other_bad_arguments():
    with pytest.raises(ValueError, match="`objective` must be one of 'latency', 'energy'. Received: 'speed'"):
        simulate_layer(CONV, 8, 8, objective="speed")
    with pytest.raises(
        ValueError, match="`bit_fusion`: `depthwise` must be one of 'single_channel', 'dense', 'per_group'"
    ):
        simulate([CONV], {"conv": (8, 8)}, depthwise="sparse")
    with pytest.raises(ValueError, match="`batch` must be a positive integer. Received: 0"):
        simulate_layer(CONV, 8, 8, batch=0)
    with pytest.raises(ValueError, match="must be one of 'bit_fusion', .*Received: 'tpu'"):
        simulate_layer(CONV, 8, 8, "tpu")
    with pytest.raises(TypeError, match="`hardware` must be a `tfmp.simulator.Hardware`"):
        simulate_layer(CONV, 8, 8, None)
    with pytest.raises(ValueError, match="`quantity` must be one of 'energy_nj', 'latency_cycles'"):
        cost_table(CONV, (8,), (8,), quantity="power")
    with pytest.raises(ValueError, match="as many groups as input channels, 24. Received: 1"):
        simulate_layer(dataclasses.replace(DEPTHWISE, groups=1), 8, 8)


def test_bad_networks():
    with pytest.raises(ValueError, match=r"Missing: \['dw'\]. Unknown: \['other'\]"):
        simulate([CONV, DEPTHWISE], {"conv": (8, 8), "other": (8, 8)})
    with pytest.raises(ValueError, match="Layer `conv`: `bits` must give a pair"):
        simulate([CONV], {"conv": 8})
    with pytest.raises(TypeError, match="`bits` must be a mapping of layer names"):
        simulate([CONV], (8, 8))
    with pytest.raises(TypeError, match="`layers` must be a list of LayerShape and of pairs"):
        simulate([CONV, "pool"], {"conv": (8, 8)})
