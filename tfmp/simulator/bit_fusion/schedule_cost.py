"""Cycles, DRAM traffic, memory accesses and energy of a schedule."""

import functools
import itertools
from collections.abc import Mapping

import numpy as np

from tfmp.simulator.bit_fusion.bit_fusion_array import PARTIAL_SUM_BITS, BitFusionArray
from tfmp.simulator.bit_fusion.tiling import LOOPS, TENSORS, Tilings, capacity_bits, ceil_div
from tfmp.simulator.convolution import Convolution


def reduction_cycles(tilings: Tilings, convolution: Convolution) -> np.ndarray:
    """Returns the cycles in which one column of the array adds up one output of a tile: `[rows]`."""
    in_channels = tilings.tile[3]
    kernel_height, kernel_width = convolution.kernel_size
    taps = kernel_height * kernel_width
    if convolution.im2col:
        return ceil_div(taps * in_channels, tilings.lanes)
    return taps * ceil_div(in_channels, tilings.lanes)


def compute_cycles(tilings: Tilings, convolution: Convolution, hardware: BitFusionArray) -> np.ndarray:
    """Returns the cycles in which the array computes; tiles at the edge count as full: `[rows]`."""
    batch, width, height, _, out_channels = tilings.tile
    outputs = batch * width * height * ceil_div(out_channels, hardware.output_lanes)
    return tilings.counts.prod(axis=0) * outputs * reduction_cycles(tilings, convolution)


def transfers(tilings: Tilings, hardware: BitFusionArray, traffic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bits that memory reads, by tensor, and the bits that it writes.

    As in the reference, every visit of a tile of outputs reads and writes it. With `output_bits="reader"`, only the
    second and later visits move partial sums; finished outputs are written at the expense of their reader, as the
    input of this layer is here.

    Args:
        tilings: One tiling per row.
        hardware: The accelerator.
        traffic: `[3, rows]` or `[3, orders, rows]`, bits, as from `dram_traffic`.

    Returns:
        Reads of the shape of `traffic`, and writes of the shape of `traffic[0]`.
    """
    weights, inputs, outputs = traffic
    if hardware.output_bits != "reader":
        return traffic, outputs
    partial_sums = outputs - least_dram_traffic(tilings)[2]
    return np.stack([weights, inputs, partial_sums]), partial_sums + tilings.input_bits


def latency_cycles(largest: np.ndarray, hardware: BitFusionArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cycles before the first tile and after the last, and the bits that are moved in them.

    Args:
        largest: `[3, rows]` or `[3, orders, rows]`, bits, see `dram_traffic`.
        hardware: The accelerator.
    """
    first, last = largest.sum(axis=0), largest[2]
    if hardware.output_bits == "reader":
        first, last = first - last, np.zeros_like(last)
    bandwidth = hardware.dram_bits_per_cycle
    return ceil_div(first, bandwidth) + ceil_div(last, bandwidth), first + last


def stall_cycles(
    compute: np.ndarray, moved_bits: np.ndarray, largest: np.ndarray, hardware: BitFusionArray
) -> np.ndarray:
    """Returns the cycles in which the array waits: for the first tiles, after the last, and for memory in between.

    latency = cd(sum of largest, bandwidth) + cd(largest outputs, bandwidth)
    memory = cd(reads + writes - sum of largest - largest outputs, bandwidth)
    stall = max(0, memory - compute) + latency

    Args:
        compute: `[rows]`, cycles in which it computes.
        moved_bits: `[rows]` or `[orders, rows]`, bits that memory reads and writes.
        largest: `[3, rows]` or `[3, orders, rows]`, bits, see `dram_traffic`.
        hardware: The accelerator.
    """
    latency, moved_in_it = latency_cycles(largest, hardware)
    memory = ceil_div(moved_bits - moved_in_it, hardware.dram_bits_per_cycle)
    return np.maximum(memory - compute, 0) + latency


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


def dram_traffic(tilings: Tilings, hardware: BitFusionArray) -> tuple[np.ndarray, np.ndarray]:
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


def best_dataflow(tilings: Tilings, convolution: Convolution, hardware: BitFusionArray) -> np.ndarray:
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
        depth * positions * activation_bits + products * (weight_bits + PARTIAL_SUM_BITS),
        positions * columns * PARTIAL_SUM_BITS + products * (activation_bits + weight_bits),
        depth * columns * weight_bits + products * (activation_bits + PARTIAL_SUM_BITS),
    ]
    return np.argmin(moved_bits, axis=0)


def accesses(
    tilings: Tilings, convolution: Convolution, hardware: BitFusionArray, traffic: np.ndarray
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
    outputs = np.where(output_stationary, tiles * positions * out_channels, products) * PARTIAL_SUM_BITS
    memory_reads, memory_writes = transfers(tilings, hardware, traffic)
    reads = {
        "input_buffer": inputs,
        "weight_buffer": weights,
        "output_buffer": outputs + traffic[2],
        "dram": memory_reads.sum(axis=0),
    }
    writes = {
        "input_buffer": traffic[1],
        "weight_buffer": traffic[0],
        "output_buffer": outputs + memory_reads[2],
        "dram": memory_writes,
    }
    return reads, writes


def energy_nj(
    compute: np.ndarray, reads: Mapping[str, np.ndarray], writes: Mapping[str, np.ndarray], hardware: BitFusionArray
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
