"""What the passes of a row-stationary mapping move, at each level of the memory hierarchy."""

import dataclasses
import math

import numpy as np

from tfmp.simulator.convolution import Convolution
from tfmp.simulator.row_stationary.row_mapping import RowMappings


@dataclasses.dataclass(frozen=True)
class PassTraffic:
    """Words that all passes of one convolution without groups move, for the whole batch: `[rows]`, one per mapping.

    Args:
        cycles: Cycles in which the processing elements compute.
        to_array: Tensor to the words that the global buffer sends to the array. Partial sums come back as well; weights
            are read from memory as often.
        in_array: Tensor to the words that processing elements receive, from the buffer or from each other.
        inputs_from_dram: Inputs that are read from memory into the global buffer.
        buffered_inputs: Inputs in the global buffer during a pass.
        buffered_partial_sums: Partial sums in it.
    """

    cycles: np.ndarray
    to_array: dict[str, np.ndarray]
    in_array: dict[str, np.ndarray]
    inputs_from_dram: np.ndarray
    buffered_inputs: np.ndarray
    buffered_partial_sums: np.ndarray


def pass_traffic(convolution: Convolution, mappings: RowMappings, batch: int) -> PassTraffic:
    """Counts the words that are moved; passes at the edge count as full.

    The loops around a pass are, from the outside: groups of samples, strips, groups of buffered filters, groups of
    channels, groups of filters. Inputs are sent again for each group of filters, and read from memory again for each
    group of buffered filters. Each pass reads its partial sums and writes them back; they never leave for memory.
    Weights are read from memory for each group of samples and each strip.
    """
    kernel_height, kernel_width = convolution.kernel_size
    height, width = convolution.output_size
    vertical, horizontal = convolution.strides
    channels = mappings.channels * mappings.channel_sets
    filters = mappings.filters * mappings.filter_sets
    sets = mappings.channel_sets * mappings.filter_sets
    input_width = (width - 1) * horizontal + kernel_width
    input_rows = (mappings.strip - 1) * vertical + kernel_height

    outer = _parts(batch, mappings.samples) * _parts(height, mappings.strip)
    buffered = outer * _parts(convolution.out_channels, mappings.buffered_filters)
    filled = buffered * _parts(convolution.in_channels, channels)
    passes = filled * _parts(mappings.buffered_filters, filters)

    pass_inputs = mappings.samples * channels * input_rows * input_width
    pass_weights = channels * filters * math.prod(convolution.kernel_size)
    pass_sums = mappings.samples * filters * mappings.strip * width
    elements = kernel_height * mappings.strip * sets
    return PassTraffic(
        cycles=passes * mappings.samples * mappings.filters * mappings.channels * kernel_width * width,
        to_array={
            "weights": passes * pass_weights,
            "inputs": passes * pass_inputs,
            "partial_sums": passes * pass_sums,
        },
        in_array={
            "weights": passes * elements * mappings.filters * mappings.channels * kernel_width,
            "inputs": passes * elements * mappings.samples * mappings.channels * input_width,
            "partial_sums": passes * pass_sums * kernel_height * mappings.channel_sets,
        },
        inputs_from_dram=filled * pass_inputs,
        buffered_inputs=pass_inputs,
        buffered_partial_sums=mappings.samples * mappings.buffered_filters * mappings.strip * width,
    )


def _parts(extent: int | np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns how many parts of a size cover an extent."""
    return -(-extent // size)
