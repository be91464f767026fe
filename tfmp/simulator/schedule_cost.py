"""Cycles, DRAM traffic, memory accesses and energy of a schedule."""

import functools
import itertools
from collections.abc import Mapping

import numpy as np

from tfmp.simulator.convolution import Convolution
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.tiling import LOOPS, OUTPUT_BITS, TENSORS, Tilings, capacity_bits, ceil_div


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


_TOUCHED = {
    "weights": ("in_channels", "out_channels"),
    "inputs": ("batch", "width", "height", "in_channels"),
    "outputs": ("batch", "width", "height", "out_channels"),
}
TOUCHES = np.array([[loop in _TOUCHED[tensor] for loop in LOOPS] for tensor in TENSORS])

ORDERS = np.array(list(itertools.permutations(range(len(LOOPS)))))  # inner loop first
_INSIDE = np.array(  # of each loop, in each order: the set of loops inside of it, loop l as bit l
    [[sum(2**inner for inner in order[: order.index(loop)]) for loop in range(len(LOOPS))] for order in ORDERS.tolist()]
)


def dram_traffic(tilings: Tilings, hardware: Hardware) -> tuple[np.ndarray, np.ndarray]:
    """Computes the traffic of every order of the five loops, for one pass over the layer.

    Loops are walked from the inner one outwards. A tensor starts resident, with one tile. A loop of n tiles that
    touches a tensor multiplies its traffic by n, and the tensor stays resident as long as the product fits its buffer.
    A loop that does not touch it multiplies the traffic of a tensor that is no longer resident.

    Whether a tensor is resident at a loop depends on which loops are inside it, not on their order. The walk is
    therefore done once for each of the 32 sets of loops, and each of the 120 orders looks up its five sets.

    Returns:
        Traffic, and the largest part of each tensor that was resident: `[3, 120, rows]` each, bits, for `TENSORS` and
        `ORDERS`.
    """
    traffic, largest = np.empty((2, len(TENSORS), len(ORDERS), len(tilings.pair)), np.int64)
    for tensor, capacity in enumerate(capacity_bits(hardware).tolist()):
        touched = TOUCHES[tensor]
        held = tilings.tensor_bits[tensor : tensor + 1]
        for loop, counts in enumerate(tilings.counts):  # doubles the sets: those without this loop, those with it
            held = np.concatenate([held, held * counts if touched[loop] else held])
        fits = held <= capacity
        traffic[tensor] = held[-1]
        for loop in np.flatnonzero(~touched).tolist():
            traffic[tensor] *= np.where(fits, 1, tilings.counts[loop])[_INSIDE[:, loop]]
        resident = np.where(fits, held, 0)
        largest[tensor] = held[0]
        for loop in np.flatnonzero(touched).tolist():
            np.maximum(largest[tensor], resident[_INSIDE[:, loop] | 2**loop], out=largest[tensor])
    return traffic, largest


def least_dram_traffic(tilings: Tilings) -> np.ndarray:
    """Returns a lower bound on the traffic of any order, with every tile moved once: `[3, rows]`, bits."""
    touched = np.where(TOUCHES[:, :, None], tilings.counts, 1)
    return tilings.tensor_bits * touched.prod(axis=1)


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
