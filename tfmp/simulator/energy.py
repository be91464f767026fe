"""Memory accesses and energy of a schedule."""

import functools
from collections.abc import Mapping

import numpy as np

from tfmp.simulator.convolution import Convolution
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.latency import reduction_cycles
from tfmp.simulator.tiling import OUTPUT_BITS, Tilings, ceil_div

DATAFLOWS = ("input_stationary", "output_stationary", "weight_stationary")


def best_dataflow(tilings: Tilings, convolution: Convolution, hardware: Hardware) -> np.ndarray:
    """Returns the index in `DATAFLOWS` of the dataflow that moves the fewest bits of a tile: `[rows]`.

    If several are equal, it is the first. Counts are for padded tiles: `columns` output channels, `positions` outputs,
    `depth` products per output.
    """
    batch, width, height, _, out_channels = tilings.tile
    weight_bits, activation_bits = tilings.weight_bits, tilings.activation_bits
    columns = ceil_div(out_channels, hardware.output_lanes) * hardware.output_lanes
    positions = batch * width * height
    depth = reduction_cycles(tilings, convolution) * tilings.lanes
    products = depth * columns * positions
    moved_bits = [
        depth * positions * activation_bits + products * (weight_bits + OUTPUT_BITS),
        positions * columns * OUTPUT_BITS + products * (activation_bits + weight_bits),
        depth * columns * weight_bits + products * (activation_bits + OUTPUT_BITS),
    ]
    return np.argmin(moved_bits, axis=0)


def accesses(
    tilings: Tilings, convolution: Convolution, hardware: Hardware, traffic: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Computes the bits that are read from and written to each memory.

    Args:
        tilings: One tiling per row.
        convolution: The tiled convolution.
        hardware: The accelerator.
        traffic: `[3, rows]` or `[3, orders, rows]`, bits between memory and the buffers of weights, inputs and outputs.

    Returns:
        Reads and writes, bits, keyed `input_buffer`, `weight_buffer`, `output_buffer`, `dram`; arrays that broadcast
        to `traffic[0]`.
    """
    batch, width, height, in_channels, out_channels = tilings.tile
    kernel_height, kernel_width = convolution.kernel_size
    tiles = tilings.counts.prod(axis=0)
    positions = batch * width * height
    depth = kernel_height * kernel_width * in_channels
    products = tiles * positions * depth * out_channels
    input_stationary, output_stationary, weight_stationary = (
        best_dataflow(tilings, convolution, hardware) == index for index in range(len(DATAFLOWS))
    )
    inputs = np.where(input_stationary, tiles * positions * depth, products) * tilings.activation_bits
    weights = np.where(weight_stationary, tiles * depth * out_channels, products) * tilings.weight_bits
    outputs = np.where(output_stationary, tiles * positions * out_channels, products) * OUTPUT_BITS
    output_accesses = outputs + traffic[2]
    reads = {
        "input_buffer": inputs,
        "weight_buffer": weights,
        "output_buffer": output_accesses,
        "dram": traffic.sum(axis=0),
    }
    writes = {
        "input_buffer": traffic[1],
        "weight_buffer": traffic[0],
        "output_buffer": output_accesses,
        "dram": traffic[2],
    }
    return reads, writes


def energy_nj(
    compute: np.ndarray, reads: Mapping[str, np.ndarray], writes: Mapping[str, np.ndarray], hardware: Hardware
) -> dict[str, np.ndarray]:
    """Computes the energy of each part in nJ, and their `total`: computing cycles and moved bits times their energies.

    Waiting and leakage have no energy in this model.
    """
    parts: dict[str, np.ndarray] = {"core": compute * hardware.core_nj_per_cycle}
    for buffer in ("input_buffer", "weight_buffer", "output_buffer"):
        read_nj = reads[buffer] * getattr(hardware, f"{buffer}_read_nj_per_bit")
        parts[buffer] = read_nj + writes[buffer] * getattr(hardware, f"{buffer}_write_nj_per_bit")
    parts["dram"] = (reads["dram"] + writes["dram"]) * hardware.dram_nj_per_bit
    return {"total": functools.reduce(np.add, parts.values())} | parts
