"""Tilings of a convolution that fit the buffers."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmp.simulator.bit_fusion.bit_fusion_array import PARTIAL_SUM_BITS, BitFusionArray
from tfmp.simulator.convolution import Convolution

LOOPS = ("batch", "width", "height", "in_channels", "out_channels")
TENSORS = ("weights", "inputs", "outputs")
_BUFFERS = {"weights": "weight_buffer", "inputs": "input_buffer", "outputs": "output_buffer"}


@dataclasses.dataclass(frozen=True)
class Tilings:
    """Tilings of one convolution, one row for each pair of bits and each tiling that fits at this pair.

    Args:
        pair: `[rows]`, which pair of bits, ascending.
        weight_bits: `[rows]`, bits.
        activation_bits: `[rows]`, bits.
        lanes: `[rows]`, N * pf: products that one column of the array adds up in a cycle.
        tile: `[5, rows]`, size of a tile along each of `LOOPS`.
        counts: `[5, rows]`, number of tiles along each of `LOOPS`; tiles at the edge count as full.
        tensor_bits: `[3, rows]`, size of one tile of each of `TENSORS`, bits.
        input_bits: `[rows]`, size of the whole input, bits, if this layer pays for its writing, otherwise 0.
    """

    pair: np.ndarray
    weight_bits: np.ndarray
    activation_bits: np.ndarray
    lanes: np.ndarray
    tile: np.ndarray
    counts: np.ndarray
    tensor_bits: np.ndarray
    input_bits: np.ndarray

    def take(self, rows: np.ndarray | slice) -> "Tilings":
        """Returns the given rows."""
        return Tilings(*(getattr(self, field.name)[..., rows] for field in dataclasses.fields(self)))


def ceil_div(numerator: np.ndarray, denominator: np.ndarray | int) -> np.ndarray:
    """Returns the ceiling of a quotient of positive integers, element by element."""
    return -(-numerator // denominator)


def capacity_bits(hardware: BitFusionArray) -> np.ndarray:
    """Returns the largest tile of each of `TENSORS` in bits, half of its buffer: `[3]`."""
    return np.array([getattr(hardware, f"{_BUFFERS[tensor]}_bytes") * 8 // 2 for tensor in TENSORS])


def tilings(convolution: Convolution, bits: Sequence[tuple[int, int]], hardware: BitFusionArray, batch: int) -> Tilings:
    """Lists the tilings that fit the buffers.

    Batch, output size and input channels are cut into powers of two or not at all, output channels into M times a
    power of two (a power of two with im2col). Height and width share one tile size, each capped at its dimension; the
    kernel is never cut.

    Args:
        convolution: What the array runs.
        bits: Pairs (weight_bits, activation_bits).
        hardware: The accelerator.
        batch: Samples in the batch.

    Raises:
        ValueError: If no tiling fits; the message names the buffer, and the caller adds its beginning.
    """
    height, width = convolution.output_size
    limits = np.array([batch, width, height, convolution.in_channels, convolution.out_channels])[:, None]
    grid = np.meshgrid(
        _sizes(batch),
        _sizes(max(height, width)),
        _sizes(convolution.in_channels),
        _sizes(convolution.out_channels, 1 if convolution.im2col else hardware.output_lanes),
        indexing="ij",
    )
    batch_tile, side, in_tile, out_tile = (sizes.ravel() for sizes in grid)
    tile = np.stack([batch_tile, np.minimum(side, width), np.minimum(side, height), in_tile, out_tile])
    weight_bits, activation_bits = np.array(bits).T
    lanes = hardware.input_lanes * np.array([hardware.fusion_factor(*pair) for pair in bits])

    tensor_bits = _tensor_bits(convolution, tile, weight_bits, activation_bits, lanes, hardware.output_lanes)
    exceeds = tensor_bits > capacity_bits(hardware)[:, None, None]
    fits = ~exceeds.any(axis=0)
    for pair in np.flatnonzero(~np.any(fits, axis=1)).tolist():
        # Sizes grow with every tile size, so the first tiling is the smallest of each tensor.
        needed = ", ".join(
            f"the {_BUFFERS[TENSORS[tensor]]} holds {capacity_bits(hardware)[tensor]:,} of "
            f"{int(tensor_bits[tensor, pair, 0]):,} bits of {TENSORS[tensor]}"
            for tensor in np.flatnonzero(exceeds[:, pair, 0]).tolist()
        )
        raise ValueError(
            f"no tiling fits `{hardware.name}` at {bits[pair][0]}-bit weights and {bits[pair][1]}-bit activations: in "
            f"the smallest tile {needed}. Choose fewer bits, or hardware with a larger buffer."
        )
    pairs, row = np.nonzero(fits)
    tile, counts, tensor_bits = tile[:, row], ceil_div(limits, tile)[:, row], tensor_bits[:, pairs, row]
    _check_countable(convolution, tile, counts, tensor_bits, lanes[pairs], hardware)
    input_values = convolution.input_values * batch if hardware.output_bits == "reader" else 0
    return Tilings(
        pair=pairs,
        weight_bits=weight_bits[pairs],
        activation_bits=activation_bits[pairs],
        lanes=lanes[pairs],
        tile=tile,
        counts=counts,
        tensor_bits=tensor_bits.astype(np.int64),
        input_bits=input_values * activation_bits[pairs],
    )


def _tensor_bits(
    convolution: Convolution,
    tile: np.ndarray,
    weight_bits: np.ndarray,
    activation_bits: np.ndarray,
    lanes: np.ndarray,
    output_lanes: int,
) -> np.ndarray:
    """Returns tile sizes, `[3, pairs, tilings]` float64: exact if they may fit a buffer, without overflow if not."""
    batch, width, height, in_channels, out_channels = tile.astype(np.float64)
    weight_bits, activation_bits, lanes = (each[:, None] for each in (weight_bits, activation_bits, lanes))
    kernel_height, kernel_width = convolution.kernel_size
    taps = kernel_height * kernel_width
    weights = np.ceil(taps * in_channels / lanes) * lanes * out_channels * weight_bits
    if convolution.im2col:
        positions = height * width * taps
    else:
        vertical, horizontal = convolution.strides
        positions = (kernel_height + (height - 1) * vertical) * (kernel_width + (width - 1) * horizontal)
    inputs = positions * in_channels * batch * activation_bits
    outputs = height * width * np.ceil(out_channels / output_lanes) * output_lanes * batch * PARTIAL_SUM_BITS
    return np.stack([weights, inputs, np.broadcast_to(outputs, inputs.shape)])


def _check_countable(
    convolution: Convolution,
    tile: np.ndarray,
    counts: np.ndarray,
    tensor_bits: np.ndarray,
    lanes: np.ndarray,
    hardware: BitFusionArray,
) -> None:
    """Raises an error for layers with a tiling whose counters would overflow 64 bits."""
    batch, width, height, in_channels, out_channels = tile.astype(np.float64)
    taps = convolution.kernel_size[0] * convolution.kernel_size[1]
    products = batch * width * height * in_channels * out_channels * taps
    padded = batch * width * height * (in_channels + lanes) * (out_channels + hardware.output_lanes) * taps
    moved_bits = counts.astype(np.float64).prod(axis=0) * (products * PARTIAL_SUM_BITS + 2 * tensor_bits.sum(axis=0))
    if max(moved_bits.max() * convolution.repeats, padded.max() * 2 * PARTIAL_SUM_BITS) >= 2**61:
        raise ValueError("the layer is too large to count its accesses in 64 bits. Choose a smaller batch.")


def _sizes(limit: int, smallest: int = 1) -> np.ndarray:
    """Returns `smallest` times the powers of two below `limit`, and `limit`."""
    sizes = []
    while smallest < limit:
        sizes.append(smallest)
        smallest *= 2
    return np.array([*sizes, limit])
