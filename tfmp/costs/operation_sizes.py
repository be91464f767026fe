"""The operations of an integer network, and what they take in a file."""

import dataclasses
import itertools
import math
from collections.abc import Hashable

from tfmp.lowering.file_size import FileSize

_ARGUMENTS = {"PAD": "paddings", "MEAN": "axes", "TRANSPOSE": "permutation", "SLICE": "begin"}
_ARGUMENT_BYTES = 16
_BIAS_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Operation:
    """One step of the network: what it reads and the tensor that it writes.

    Args:
        kind: The operator.
        inputs: Names of the tensors that other operations write, or the network is given.
        output: Name of the tensor.
        shape: Its sizes, the batch first.
        grid: Equal for tensors of equal scale and zero point; None for floating point.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int | None, ...]
    grid: Hashable


class OperationSizes:
    """Counts the operations that folding makes, with their tensors and constants, but not the codes of kernels.

    Methods that add operations return the name of the tensor that the last one writes.

    Attributes:
        size: A `FileSize` of what was added.
        operations: The `Operation`s, in the order in which they run.
        outputs: Names of the tensors that the network returns.
        owners: Grid to the name of the layer that puts its input on it; none for those of the runtime, of 8 bits.
    """

    def __init__(self):
        self.size = FileSize()
        self.operations: list[Operation] = []
        self.outputs: list[str] = []
        self.owners: dict[Hashable, str] = {}
        self._names = set()

    def __contains__(self, name):
        return name in self._names

    def add(self, kind, inputs, name, shape, grid, *, constants=0, arguments=0, value=None):
        """An operator, the tensor that it writes, and constants that say what it does: `value`, else the shape."""
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
        name = next(each for each in names if each not in self._names)
        self._names.add(name)
        self.operations.append(Operation(kind, tuple(inputs), name, tuple(shape), grid))
        self.size.operator(kind, len(inputs) + constants + arguments)
        self.size.tensor(name, shape, grid=grid)
        for argument in range(arguments):
            content = (kind, argument, shape if value is None else value)
            if self.size.is_new(("argument of", *content)):
                self.size.constant(f"{name}/{_ARGUMENTS.get(kind, 'shape')}", (4,))
                self.size.content(content, _ARGUMENT_BYTES)
        return name

    def reshape(self, source, name, shape, grid):
        """Other sizes."""
        return self.add("RESHAPE", [source], name, shape, grid, arguments=1)

    def constants(self, name, kernel_shape, channels):
        """A kernel, but for its codes, and a bias."""
        self.size.constant(f"{name}/kernel", kernel_shape, scales=channels)
        self.size.constant(f"{name}/bias", (channels,), scales=channels)
        self.size.content((name, "bias"), _BIAS_BYTES * channels)

    def scale(self, read, name, shape, grid, *, number=None, source=None, window=(1, 1)):
        """A product per channel as a depthwise convolution, which takes images.

        Args:
            read: Name of what it reads.
            name: Of what it writes.
            shape: The same.
            grid: The same.
            number: What all channels are multiplied by (`"one"`), None if each has a factor and a bias of its own.
            source: Grid that it reads.
            window: Of the convolution.
        """
        if len(shape) != 4:
            read = self.reshape(read, f"{name}_image", (None, 1, *shape[1:]), source)
        kernel_shape = (1, *window, shape[-1])
        if number is None:
            self.constants(name, kernel_shape, shape[-1])
            self.size.content((name, "kernel"), shape[-1])
        else:
            self._shared_constants(name, kernel_shape, number, source)
        made = self.add("DEPTHWISE_CONV_2D", [read], name, shape, grid, constants=2)
        return made if len(shape) == 4 else self.reshape(made, f"{name}_values", shape, grid)

    def rectify(self, read, name, shape, grid, *, source, of_channels):
        """What a parametric ReLU leaves of the positive, and a product of the negative; arguments as of `scale`.

        The product is per channel, or per value where the axes before the channels have slopes of their own.
        """
        flat = shape if of_channels else (None, math.prod(shape[1:]))
        if not of_channels:
            read = self.reshape(read, f"{name}_values", flat, source)
        positive = self.scale(read, f"{name}_positive", flat, grid, number="one", source=source)
        negative = self.scale(read, f"{name}_negative", flat, source, number="one", source=source)
        scaled = self.scale(negative, f"{name}_scaled", flat, grid, source=source)
        total = self.add("ADD", [positive, scaled], name if of_channels else f"{name}_sum", flat, grid)
        return total if of_channels else self.reshape(total, name, shape, grid)

    def _shared_constants(self, name, kernel_shape, number, source):
        """One kernel serves all that have its shape, one bias all that read the same grid."""
        channels = kernel_shape[-1]
        if self.size.is_new((number, kernel_shape)):
            self.size.constant(f"{name}/kernel", kernel_shape, scales=channels)
            self.size.content((number, kernel_shape), math.prod(kernel_shape))
        if self.size.is_new(("bias", number, channels, source)):
            self.size.constant(f"{name}/bias", (channels,), scales=channels)
            self.size.content(("bias", channels, None if number == "one" else source), _BIAS_BYTES * channels)
