"""Cycles of a schedule."""

import numpy as np

from tfmp.simulator.convolution import Convolution
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.tiling import Tilings, ceil_div


def reduction_cycles(tilings: Tilings, convolution: Convolution) -> np.ndarray:
    """Returns the cycles in which one column of the array adds up one output of a tile: `[rows]`."""
    in_channels = tilings.tile[3]
    kernel_height, kernel_width = convolution.kernel_size
    taps = kernel_height * kernel_width
    if convolution.im2col:
        return ceil_div(taps * in_channels, tilings.lanes)
    return taps * ceil_div(in_channels, tilings.lanes)


def compute_cycles(tilings: Tilings, convolution: Convolution, hardware: Hardware) -> np.ndarray:
    """Returns the cycles in which the array computes; tiles at the edge count as full: `[rows]`."""
    batch, width, height, _, out_channels = tilings.tile
    outputs = batch * width * height * ceil_div(out_channels, hardware.output_lanes)
    return tilings.counts.prod(axis=0) * outputs * reduction_cycles(tilings, convolution)


def stall_cycles(compute: np.ndarray, traffic: np.ndarray, largest: np.ndarray, hardware: Hardware) -> np.ndarray:
    """Returns the cycles in which the array waits: for the first tiles, after the last, and for memory in between.

    latency = cd(sum of largest, bandwidth) + cd(largest outputs, bandwidth)
    memory = cd(reads + writes - sum of largest - largest outputs, bandwidth)
    stall = max(0, memory - compute) + latency

    Args:
        compute: `[rows]`, cycles in which it computes.
        traffic: `[3, rows]` or `[3, orders, rows]`, bits, weights, inputs and outputs; outputs are read and written.
        largest: Of the same shape, bits, see `dram_traffic`.
        hardware: The accelerator.
    """
    bandwidth = hardware.dram_bits_per_cycle
    first, last = largest.sum(axis=0), largest[2]
    moved = traffic.sum(axis=0) + traffic[2]
    memory = ceil_div(moved - first - last, bandwidth)
    return np.maximum(memory - compute, 0) + ceil_div(first, bandwidth) + ceil_div(last, bandwidth)
