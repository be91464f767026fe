"""Describes the memory layout of a kernel."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfmp.graph import LayerShape


@dataclasses.dataclass(frozen=True)
class Kernel:
    """The axes of a kernel, in either Keras, and the integer operation that multiplies by it.

    Args:
        axes: A letter for each axis: `h` and `w` height and width, `i` input channels (of one group), `o` output
            channels, `m` output channels for each input channel.
        operation: The integer operation that computes the layer.
        shape_kind: The name in `LayerShape.kind`; that of the operation if empty.
        size_argument: The argument of the layer that gives the number of output channels; empty if it follows from the
            input.
    """

    axes: str
    operation: str
    shape_kind: str = ""
    size_argument: str = "filters"

    @property
    def is_depthwise(self) -> bool:
        """True if every input channel has separate filters."""
        return "m" in self.axes

    @property
    def is_planar(self) -> bool:
        """True if it runs along one axis, which integer operations treat as the width of images of height 1."""
        return "w" in self.axes and "h" not in self.axes

    @property
    def is_transposed(self) -> bool:
        """True if output channels come before input channels."""
        return self.axes.endswith("oi")

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """Negative axes whose sizes multiply to the number of output channels."""
        return tuple(axis - len(self.axes) for axis, name in enumerate(self.axes) if name in self._channel_letters)

    def window(self, kernel_shape: Sequence[int]) -> tuple[int, ...]:
        """Returns the window sizes of a kernel of this shape."""
        return tuple(kernel_shape[:-2])

    def in_channels(self, kernel_shape: Sequence[int], groups: int = 1) -> int:
        """Returns the number of input channels of a kernel of this shape, over all groups."""
        channels = kernel_shape[self.axes.index("i")]
        return channels if self.is_depthwise else channels * groups

    def operation_shape(self, shape: LayerShape) -> tuple[int, ...]:
        """Returns the kernel shape of the integer operation for a layer."""
        sizes = {
            "i": shape.in_channels if self.is_depthwise else shape.in_channels // shape.groups,
            "o": shape.out_channels,
            "m": shape.out_channels // shape.in_channels,
        }
        window = () if self.axes == "io" else shape.kernel_size
        return (*window, *(sizes[name] for name in self.axes[-2:]))

    def along_channels(self, numbers: np.ndarray, kernel_shape: Sequence[int]) -> np.ndarray:
        """Reshapes one number per output channel so that it broadcasts against a kernel."""
        sizes = [1] * len(kernel_shape)
        for axis in self.channel_axes:
            sizes[axis] = kernel_shape[axis]
        return numbers.reshape(sizes)

    def by_channel(self, kernel: np.ndarray) -> np.ndarray:
        """Reshapes a kernel to `[taps, output channels]`."""
        kernel = np.swapaxes(kernel, -1, -2) if self.is_transposed else kernel
        count = np.prod([kernel.shape[-2:]] if self.is_depthwise else kernel.shape[-1:], dtype=int)
        return kernel.reshape(-1, count)

    def for_operation(self, by_channel: np.ndarray, kernel_shape: Sequence[int]) -> np.ndarray:
        """Reshapes the result of `by_channel` for a kernel of this shape to the layout of the integer operation."""
        if self.is_transposed:
            *window, channels_out, channels_in = kernel_shape
            kernel = np.swapaxes(by_channel.reshape(*window, channels_in, channels_out), -1, -2)
        else:
            kernel = by_channel.reshape(kernel_shape)
        return kernel[None] if self.is_planar else kernel

    @property
    def _channel_letters(self) -> str:
        return "im" if self.is_depthwise else "o"
