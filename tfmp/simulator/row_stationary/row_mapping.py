"""How a convolution is mapped onto a row-stationary array."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfmp.simulator.convolution import Convolution


@dataclasses.dataclass(frozen=True)
class ArraySize:
    """Sizes that limit a mapping.

    Args:
        rows: Rows of processing elements.
        columns: Columns of processing elements.
        input_words: Words of inputs that one processing element stores.
        weight_words: Words of weights that it stores.
        partial_sum_words: Partial sums that it stores.
    """

    rows: int
    columns: int
    input_words: int
    weight_words: int
    partial_sum_words: int


@dataclasses.dataclass(frozen=True)
class RowMappings:
    """Mappings of one convolution, one per row, in the letters of the paper.

    A set of processing elements, a kernel high (R) and a strip of output rows wide, computes a strip of one output
    channel from one input channel: each element convolves one row of the kernel with one row of the input. A pass
    runs several sets at once, and several channels and filters in each element in turn.

    Args:
        strip: `e`, output rows of a pass.
        filters: `p`, filters that an element takes in turn.
        channels: `q`, channels that it takes in turn.
        channel_sets: `r`, sets of different channels at once.
        filter_sets: `t`, sets of different filters at once.
        samples: `n`, samples of a pass.
        buffered_filters: `m`, filters whose partial sums stay in the global buffer until all channels are added.

    Reference: Chen et al., 2017, "Eyeriss", https://doi.org/10.1109/JSSC.2016.2616357
    """

    strip: np.ndarray
    filters: np.ndarray
    channels: np.ndarray
    channel_sets: np.ndarray
    filter_sets: np.ndarray
    samples: np.ndarray
    buffered_filters: np.ndarray

    def take(self, rows: np.ndarray) -> "RowMappings":
        """Returns the given rows."""
        return RowMappings(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    def described(self, row: int) -> dict[str, int]:
        """Returns one mapping by name, for reports."""
        return {field.name: int(getattr(self, field.name)[row]) for field in dataclasses.fields(self)}


def row_mappings(convolution: Convolution, size: ArraySize, batch: int) -> RowMappings:
    """Lists mappings that fit the array and its registers.

    Strips cut the output rows evenly, into as few as fit the array folded or not, and into more by doubling. All other
    numbers are powers of two, or as many as there are or fit; as many sets as fit run at once.

    Raises:
        ValueError: If the kernel is larger than the array or the registers; the caller adds the layer's name.
    """
    kernel_height, kernel_width = convolution.kernel_size
    for extent, limit, what in (
        (kernel_height, size.rows, "rows of processing elements"),
        (kernel_width, size.input_words, "words of inputs in a processing element"),
        (kernel_width, size.weight_words, "words of weights in a processing element"),
    ):
        if extent > limit:
            raise ValueError(
                f"the kernel of {kernel_height} x {kernel_width} does not fit: there are {limit} {what}. Choose a "
                "smaller kernel, or other hardware."
            )
    found = []
    for strip in _strips(convolution.output_size[0], (size.columns, size.columns * (size.rows // kernel_height))):
        num_sets = _num_sets(kernel_height, strip, size)
        for channels in _sizes(convolution.in_channels, min(size.input_words, size.weight_words) // kernel_width):
            most_filters = min(size.partial_sum_words, size.weight_words // (channels * kernel_width))
            for filters in _sizes(convolution.out_channels, most_filters):
                for channel_sets in _sizes(math.ceil(convolution.in_channels / channels), num_sets):
                    filter_sets = min(num_sets // channel_sets, math.ceil(convolution.out_channels / filters))
                    found.append((strip, filters, channels, channel_sets, filter_sets))
    mapped = np.array(found)
    samples = np.array(_sizes(batch, batch))
    multiples = np.array(_sizes(convolution.out_channels, convolution.out_channels))  # of the filters of a pass
    row, samples, multiples = (
        grid.ravel() for grid in np.meshgrid(np.arange(len(mapped)), samples, multiples, indexing="ij")
    )
    strip, filters, channels, channel_sets, filter_sets = mapped[row].T
    pass_filters = filters * filter_sets
    passes = -(-convolution.out_channels // pass_filters)
    buffered_filters = np.minimum(multiples, passes) * pass_filters
    mappings = RowMappings(strip, filters, channels, channel_sets, filter_sets, samples, buffered_filters)
    return mappings.take(np.flatnonzero(multiples < 2 * passes))


def _num_sets(kernel_height: int, strip: int, size: ArraySize) -> int:
    """Returns how many sets run at once; a strip wider than the array is folded into several rows of sets."""
    stacked = size.rows // kernel_height
    if strip <= size.columns:
        return stacked * (size.columns // strip)
    return stacked // math.ceil(strip / size.columns)


def _strips(extent: int, limits: Sequence[int]) -> list[int]:
    """Returns sizes that cut an extent evenly: into the fewest parts within each limit, and by doubling these."""
    found = set()
    for limit in limits:
        parts = math.ceil(extent / limit)
        while parts < 2 * extent:
            found.add(math.ceil(extent / parts))
            parts *= 2
    return sorted(found, reverse=True)


def _sizes(extent: int, limit: int) -> list[int]:
    """Returns the powers of two below an extent and a limit, and the smaller of the two."""
    largest = min(extent, limit)
    return [2**power for power in range(largest.bit_length()) if 2**power < largest] + [largest]
