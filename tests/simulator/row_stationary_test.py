"""A row-stationary array, compared with what was published of Eyeriss and with a walk through its loops."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tfmp.graph import LayerShape
from tfmp.simulator import Hardware, simulate, simulate_layer
from tfmp.simulator.convolution import Convolution, encode
from tfmp.simulator.row_stationary.pass_traffic import pass_traffic
from tfmp.simulator.row_stationary.row_mapping import RowMappings, row_mappings

EYERISS = Hardware.from_preset("eyeriss")
ALEXNET = [
    LayerShape("conv1", "conv2d", (11, 11), (4, 4), 3, 96, 1, (55, 55), reads_network_input=True),
    LayerShape("conv2", "conv2d", (5, 5), (1, 1), 96, 256, 2, (27, 27)),
    LayerShape("conv3", "conv2d", (3, 3), (1, 1), 256, 384, 1, (13, 13)),
    LayerShape("conv4", "conv2d", (3, 3), (1, 1), 384, 384, 2, (13, 13)),
    LayerShape("conv5", "conv2d", (3, 3), (1, 1), 384, 256, 2, (13, 13)),
]
# Measured on the chip with 4 images: processing latency in ms, active elements, power in mW. Chen et al., JSSC 2017,
# Table V, as nn_dataflow (github.com/stanford-mast/nn_dataflow) has it in test_eyeriss_isscc16.
CHIP = {
    "conv1": (16.5, 154, 332),
    "conv2": (39.2, 135, 288),
    "conv3": (21.8, 156, 266),
    "conv4": (16.0, 156, 235),
    "conv5": (10.0, 156, 236),
}
# Energy of the arithmetic, of memory and of the register files for 16 images, in 10**9 multiply-accumulates. Chen et
# al., ISCA 2016, Fig. 10, as nn_dataflow reads it in test_eyeriss_isca16.
PUBLISHED_ENERGY = {
    "conv1": (1.69, 2.46, 6.75),
    "conv3": (2.39, 2.02, 9.57),
    "conv4": (1.79, 1.57, 7.18),
    "conv5": (1.20, 1.05, 4.78),
}


@pytest.fixture(scope="module")
def on_the_chip():
    return simulate(ALEXNET, dict.fromkeys(CHIP, (16, 16)), EYERISS, batch=4)


def test_the_fastest_mappings_use_as_many_elements_as_the_chip(on_the_chip):
    """The chip also fills and drains its array: it takes 4 to 19 % longer than its elements compute."""
    for layer, shape in zip(on_the_chip.layers, ALEXNET, strict=True):
        latency_ms, active, _ = CHIP[layer.name]
        mapping = layer.schedule["mapping"]
        sets = mapping["channel_sets"] * mapping["filter_sets"]
        assert shape.kernel_size[0] * mapping["strip"] * sets == active, layer.name
        assert layer.compute_cycles >= layer.macs / active
        assert 0.84 * latency_ms < layer.latency_ms < 0.96 * latency_ms


def test_energies_equal_those_published_of_the_dataflow():
    report = simulate(ALEXNET, dict.fromkeys(CHIP, (16, 16)), EYERISS, batch=16, objective="energy")
    for layer in report.layers:
        unit = EYERISS.mac_nj * 1e9
        arithmetic, memory, registers = (layer.energy_nj[part] / unit for part in ("core", "dram", "register_file"))
        assert registers == pytest.approx(4 * arithmetic)
        if layer.name in PUBLISHED_ENERGY:
            assert (arithmetic, registers) == pytest.approx(PUBLISHED_ENERGY[layer.name][::2], abs=0.01)
            assert memory == pytest.approx(PUBLISHED_ENERGY[layer.name][1], abs=0.04)


def test_power_is_of_the_order_of_the_chip(on_the_chip):
    """The chip skips products of zeros, most in the later layers: its power sinks from 332 to 236 mW."""
    for layer in on_the_chip.layers:
        latency_ms, _, power_mw = CHIP[layer.name]
        on_chip_nj = layer.energy_nj["total"] - layer.energy_nj["dram"]
        assert 0.8 < on_chip_nj / 1e3 / latency_ms / power_mw < 1.45


def walked(convolution, batch, e, p, q, r, t, n, m):
    """Walks through the passes of a mapping, and through the elements of each pass."""
    (height, width), (kernel_height, kernel_width) = convolution.output_size, convolution.kernel_size
    (vertical, horizontal), channels = convolution.strides, convolution.in_channels
    counted = dict.fromkeys(
        ("cycles", "dram_inputs", "dram_weights", "buffer_inputs", "buffer_sums", "inputs", "weights", "sums"), 0
    )
    input_row = (width - 1) * horizontal + kernel_width
    for _, _, _, _ in itertools.product(
        range(0, batch, n), range(0, height, e), range(0, convolution.out_channels, m), range(0, channels, q * r)
    ):
        rows = (e - 1) * vertical + kernel_height
        counted["dram_inputs"] += n * q * r * rows * input_row
        for _ in range(0, m, p * t):
            counted["cycles"] += n * p * q * width * kernel_width
            counted["dram_weights"] += p * t * q * r * kernel_height * kernel_width
            counted["buffer_inputs"] += n * q * r * rows * input_row
            counted["buffer_sums"] += n * p * t * e * width
            for _ in itertools.product(range(r), range(t), range(kernel_height), range(e)):  # elements
                counted["inputs"] += n * q * input_row
                counted["weights"] += p * q * kernel_width
                counted["sums"] += n * p * width
    return counted


@pytest.mark.parametrize("mapping", [(2, 2, 1, 1, 2, 1, 4), (3, 1, 2, 2, 1, 2, 3), (5, 4, 3, 1, 1, 3, 8)])
def test_counts_are_those_of_a_walk_through_the_loops(mapping):
    convolution = Convolution((3, 2), (2, 1), 6, 8, (5, 4))
    traffic = pass_traffic(convolution, RowMappings(*(np.array([value]) for value in mapping)), batch=3)
    expected = walked(convolution, 3, *mapping)
    assert traffic.cycles == expected["cycles"]
    assert traffic.inputs_from_dram == expected["dram_inputs"]
    assert traffic.to_array["weights"] == expected["dram_weights"]
    assert traffic.to_array["inputs"] == expected["buffer_inputs"]
    assert traffic.to_array["partial_sums"] == expected["buffer_sums"]
    assert [traffic.in_array[tensor].item() for tensor in ("inputs", "weights", "partial_sums")] == [
        expected[tensor] for tensor in ("inputs", "weights", "sums")
    ]


@pytest.mark.parametrize("shape", [*ALEXNET[:3], LayerShape("dense", "dense", in_channels=70, out_channels=1000)])
def test_mappings_fit_the_array_and_the_registers(shape):
    convolution, size = encode(shape, "per_group"), EYERISS
    mappings = row_mappings(convolution, size, batch=4)
    height, width = convolution.kernel_size
    folds = np.ceil(mappings.strip / size.columns)
    side_by_side = np.maximum(size.columns // mappings.strip, 1)
    sets = mappings.channel_sets * mappings.filter_sets
    assert (np.ceil(sets / side_by_side) * folds * height <= size.rows).all()
    assert (mappings.channels * width <= size.input_words).all()
    assert (mappings.channels * mappings.filters * width <= size.weight_words).all()
    assert (mappings.filters <= size.partial_sum_words).all()
    assert (mappings.samples <= 4).all()
    assert (mappings.buffered_filters % (mappings.filters * mappings.filter_sets) == 0).all()


def test_a_layer_by_hand():
    """One pass: 3 x 3, 2 -> 4 channels, 4 x 4 outputs, one sample; 4-bit weights, 8-bit inputs."""
    shape = LayerShape("small", "conv2d", (3, 3), in_channels=2, out_channels=4, output_size=(4, 4))
    report = simulate_layer(shape, 4, 8, "eyeriss", batch=1)
    macs = 16 * 9 * 2 * 4
    inputs, weights, outputs = 6 * 6 * 2, 9 * 2 * 4, 16 * 4
    assert report.macs == macs
    assert report.reads_bits["dram"] == inputs * 8 + weights * 4
    assert report.writes_bits["dram"] == outputs * 16
    assert report.reads_bits["register_file"] == macs * (4 + 8 + 16)
    assert report.writes_bits["register_file"] == macs * 16
    mac_nj = 0.002
    assert report.energy_nj["core"] == pytest.approx(macs * mac_nj * 4 * 8 / 256)
    assert report.energy_nj["register_file"] == pytest.approx(macs * (4 + 8 + 32) / 16 * mac_nj)
    assert report.energy_nj["dram"] == pytest.approx((inputs * 8 + weights * 4 + outputs * 16) / 16 * 200 * mac_nj)
    assert report.total_cycles == max(
        report.compute_cycles, math.ceil((inputs * 8 + weights * 4 + outputs * 16) / 28.8)
    )


def test_outputs_leave_at_the_expense_of_their_reader():
    shape = LayerShape("small", "conv2d", (3, 3), in_channels=2, out_channels=4, output_size=(4, 4))
    first = dataclasses.replace(shape, reads_network_input=True)
    reports = [simulate_layer(each, 4, 3, "eyeriss_reader", batch=2) for each in (shape, first)]
    assert [report.writes_bits["dram"] for report in reports] == [2 * 6 * 6 * 2 * 3, 0]


def test_fewer_bits_never_cost_more():
    shape = ALEXNET[4]
    energies = [simulate_layer(shape, bits, bits, EYERISS, 1, objective="energy").energy_nj for bits in (16, 8, 4, 1)]
    for more, fewer in itertools.pairwise(energies):
        assert all(fewer[part] <= more[part] for part in ("total", "core", "register_file"))


def test_groups_run_one_after_another():
    depthwise = LayerShape("dw", "depthwise_conv2d", (3, 3), (1, 1), 8, 8, groups=8, output_size=(6, 6))
    one = LayerShape("one", "conv2d", (3, 3), output_size=(6, 6))
    report, single = (simulate_layer(shape, 8, 8, EYERISS, 1) for shape in (depthwise, one))
    assert report.depthwise is None
    assert report.energy_nj["total"] == pytest.approx(8 * single.energy_nj["total"])
    assert report.total_cycles == 8 * single.total_cycles
    with pytest.raises(ValueError, match="Hardware `eyeriss`: `depthwise` must be 'grouped'. Received: 'dense'"):
        simulate_layer(depthwise, 8, 8, EYERISS, depthwise="dense")


def test_layers_that_do_not_fit():
    with pytest.raises(ValueError, match="Layer `tall`: the kernel of 13 x 1 does not fit: there are 12 rows"):
        simulate_layer(LayerShape("tall", "conv2d", (13, 1)), 8, 8, EYERISS)
    with pytest.raises(ValueError, match="Layer `wide`: the kernel of 1 x 13 does not fit: there are 12 words"):
        simulate_layer(LayerShape("wide", "conv2d", (1, 13)), 8, 8, EYERISS)
    few = dataclasses.replace(EYERISS, weight_words=2)
    with pytest.raises(ValueError, match="the kernel of 3 x 3 does not fit: there are 2 words of weights"):
        simulate_layer(ALEXNET[4], 8, 8, few)
    small = dataclasses.replace(EYERISS, global_buffer_bytes=16)
    with pytest.raises(ValueError, match="no mapping fits `eyeriss` at 8-bit activations: the global buffer holds 128"):
        simulate_layer(ALEXNET[4], 8, 8, small)
    with pytest.raises(ValueError, match="Layer `conv5`: `weight_bits` must be an integer from 1 to 16"):
        simulate_layer(ALEXNET[4], 17, 8, EYERISS)
    huge = LayerShape("huge", "dense", in_channels=10**9, out_channels=10**9)
    with pytest.raises(ValueError, match="Layer `huge`: the layer is too large to count"):
        simulate_layer(huge, 8, 8, EYERISS)


def test_output_bits_are_a_number_or_the_reader():
    with pytest.raises(ValueError, match="`output_bits` must be a positive integer. Received: 'writer'. Or give"):
        dataclasses.replace(EYERISS, output_bits="writer")
