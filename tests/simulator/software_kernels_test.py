"""A processor priced by the throughput of its kernels."""

import dataclasses
import math

import pytest

from tfmp.graph import LayerShape
from tfmp.simulator import Hardware, cost_table, simulate_layer

MPIC = Hardware.from_preset("mpic")
CONV = LayerShape("conv", "conv2d", (3, 3), in_channels=32, out_channels=64, output_size=(16, 16))
# Multiply-accumulates per cycle by activation bits, then weight bits: Ottavi et al., 2020, arXiv:2010.04073.
PUBLISHED = {8: {8: 2.1, 4: 2.3, 2: 2.5}, 4: {8: 2.1, 4: 3.5, 2: 3.9}, 2: {8: 2.2, 4: 4.0, 2: 6.5}}


def test_throughput_is_the_published_one():
    for activation_bits, by_weight in PUBLISHED.items():
        for weight_bits, rate in by_weight.items():
            report = simulate_layer(CONV, weight_bits, activation_bits, MPIC, batch=1)
            assert report.total_cycles == report.compute_cycles == math.ceil(CONV.macs / rate)
            assert report.latency_ms == pytest.approx(report.total_cycles / 250e6 * 1e3)


def test_energy_is_power_times_time():
    report = simulate_layer(CONV, 8, 8, MPIC, batch=3)
    seconds = 3 * CONV.macs / 2.1 / 250e6
    mean_power_w = (5.30 + 5.39 + 5.46 + 5.38) / 4 * 1e-3
    assert report.energy_nj["total"] == pytest.approx(seconds * mean_power_w * 1e9, rel=1e-6)
    assert report.energy_by_place == {"core": report.energy_nj["total"], "buffers": 0.0, "dram": 0.0}


def test_bits_between_run_as_the_next_wider():
    table = cost_table(CONV, (1, 2, 3, 4, 5, 8), (1, 2, 3, 4, 7, 8), MPIC, batch=1)
    same_as = [0, 0, 1, 1, 2, 2]
    widths = cost_table(CONV, (2, 4, 8), (2, 4, 8), MPIC, batch=1)
    assert table.tolist() == widths[same_as][:, same_as].tolist()
    with pytest.raises(ValueError, match="`activation_bits` must be an integer from 1 to 8.*`mpic` computes no others"):
        simulate_layer(CONV, 8, 9, MPIC)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[8, 8, 2.1], [8, 8, 2.2]], "one row for each pair"),
        ([[8, 8, 2.1], [4, 4, 2.2]], "one row for each pair"),
        ([[4, 4, 2.1]], "up to `max_bits`, 8"),
        ([[8, 8]], "must be weight bits, activation bits and a number"),
        ([[8, 8, 0]], "`macs_per_cycle` must be a finite number above 0. Received: 0"),
        ([[8, 0, 1.0]], "`macs_per_cycle` must be a positive integer. Received: 0"),
        ([], "one row for each pair"),
    ],
)
def test_bad_tables(rows, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MPIC, macs_per_cycle=rows)
    with pytest.raises(TypeError, match="`macs_per_cycle` must be a list of rows"):
        dataclasses.replace(MPIC, macs_per_cycle=3)
