"""The sink that plans the memory of TensorFlow Lite for Microcontrollers, its arena."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from tfmp.graph.open_values import Constant, OpenArray
from tfmp.operators.writing import Options, Quantization, Sink
from tfmp.operators.writing.lookup_table import DECODE

_ALIGNMENT = 16
# Bytes that last as long as the interpreter, with pointers of 64 bits: its own, and those of a tensor, of an operator,
# of an input or output, of its scales. Found with tflite-micro 0.dev20261023 by adding operators one at a time.
_INTERPRETER, _TENSOR, _OPERATOR, _END, _SCALES = 520, 24, 64, 64, 32
_UNPACKING = 8  # the same of the buffer that a packed kernel is unpacked to
# The same of an operator's own data, by kind; those that are not here need none or hardly any.
_OPERATOR_DATA = {
    "CONV_2D": 108,
    "DEPTHWISE_CONV_2D": 108,
    "FULLY_CONNECTED": 112,
    "TRANSPOSE_CONV": 124,
    "ADD": 72,
    "SUB": 72,
    "MUL": 52,
    "MEAN": 74,
    "MAX_POOL_2D": 72,
    "AVERAGE_POOL_2D": 72,
    "LOGISTIC": 16,
    "TANH": 16,
    "ELU": 256,
    "LEAKY_RELU": 36,
    "SOFTMAX": 84,
    "RESHAPE": 36,
    "CONCATENATION": 88,
    "PAD": 64,
    "QUANTIZE": 40,
    "DEQUANTIZE": 40,
    DECODE: 96,
}
_INT32 = 4
# What DECODE of one kernel takes for as long as the interpreter lasts: its own data, and two tensors more.
DECODER_BYTES = _OPERATOR + _OPERATOR_DATA[DECODE] + 2 * _TENSOR


@dataclasses.dataclass
class ArenaBuffer:
    """A part of the arena that is in use from one operator to another, both included.

    Args:
        size: Bytes, aligned.
        first: Number of the first operator; -1 before all.
        last: Number of the last operator.
    """

    size: int
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor: number of values, bytes, scales; of a kernel of unknown codes the layer, and whether it is packed."""

    count: int
    num_bytes: int
    quantization: Quantization | None
    layer: str | None = None
    is_packed: bool = False


@dataclasses.dataclass(frozen=True)
class ArenaStep:
    """What is in the arena while an operator runs.

    Args:
        num_bytes: Bytes in use, without a kernel that is unpacked.
        layer: Name of the layer whose kernel the operator reads, None if it reads none of unknown codes.
    """

    num_bytes: int
    layer: str | None


class Arena(Sink):
    """Collects the buffers and the structures of the interpreter.

    Attributes:
        persistent_bytes: Bytes of what lasts as long as the interpreter.

    Example:
        >>> arena = Arena()
        >>> inputs, outputs = write_operations(graph, arena, target=MICRO)
        >>> arena.finish(inputs.values(), outputs.values())
        >>> arena.total_bytes
    """

    def __init__(self) -> None:
        self._tensors: list[_Tensor] = []
        self._constants: set[int] = set()
        self._buffers: dict[int, ArenaBuffer] = {}
        self._scratch: list[ArenaBuffer] = []
        self._layers: list[str | None] = []
        self._known_constants: dict[object, int] = {}
        self.persistent_bytes = _INTERPRETER

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        count = math.prod(shape)
        return self._add(_Tensor(count, count * np.dtype(dtype).itemsize, quantization))

    def constant(
        self, name: str, values: Constant, *, quantization: Quantization | None = None, packed_bits: int | None = None
    ) -> int:
        is_open = isinstance(values, OpenArray)
        content = values.label if is_open else values.tobytes()
        key = (str(values.dtype), tuple(values.shape), content, quantization, packed_bits)
        if key not in self._known_constants:
            layer = values.label[0] if is_open and values.label[-1] == "kernel" else None
            index = self._add(_Tensor(math.prod(values.shape), 0, quantization, layer, packed_bits is not None))
            self._known_constants[key] = index
            self._constants.add(index)
        return self._known_constants[key]

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int, options: Options | None = None
    ) -> None:
        step = len(self._layers)
        for index in outputs:
            self._buffers[index] = ArenaBuffer(self._size(index), step, step)
        for index in inputs:
            if index not in self._constants:
                self._buffers.setdefault(index, ArenaBuffer(self._size(index), -1, step)).last = step
        self._scratch += [ArenaBuffer(aligned(size), step, step) for size in self._scratch_bytes(kind, inputs, outputs)]
        layers = (self._tensors[index].layer for index in inputs)
        self._layers.append(next((layer for layer in layers if layer is not None), None))
        self.persistent_bytes += _OPERATOR + _OPERATOR_DATA.get(kind, 0) + self._channel_bytes(kind, inputs)
        self.persistent_bytes += _UNPACKING * sum(self._tensors[index].is_packed for index in inputs)

    def finish(self, inputs: Iterable[int], outputs: Iterable[int]) -> None:
        """Ends the network, with the indices of its inputs and outputs."""
        inputs, outputs = list(inputs), list(outputs)
        for index in inputs:
            self._buffers.setdefault(index, ArenaBuffer(self._size(index), -1, -1))
        for index in outputs:
            self._buffers[index].last = len(self._layers) - 1
        for index in (*inputs, *outputs):
            self.persistent_bytes += _END + (0 if self._tensors[index].quantization is None else _SCALES)

    @property
    def buffers(self) -> list[ArenaBuffer]:
        """All buffers, in the order in which the runtime plans them."""
        return [*(self._buffers[index] for index in sorted(self._buffers)), *self._scratch]

    @property
    def total_bytes(self) -> int:
        """Bytes of the arena that the interpreter uses."""
        return aligned(greedy_plan_bytes(self.buffers) + self.persistent_bytes)

    def steps(self) -> list[ArenaStep]:
        """Returns what is in use while each operator runs."""
        buffers = self.buffers
        return [
            ArenaStep(sum(buffer.size for buffer in buffers if buffer.first <= step <= buffer.last), layer)
            for step, layer in enumerate(self._layers)
        ]

    def _add(self, tensor: _Tensor) -> int:
        self._tensors.append(tensor)
        self.persistent_bytes += _TENSOR
        return len(self._tensors) - 1

    def _size(self, index: int) -> int:
        return aligned(self._tensors[index].num_bytes)

    def _scratch_bytes(self, kind: str, inputs: Sequence[int], outputs: Sequence[int]) -> list[int]:
        """Returns the sizes of the buffers that an operator requests for itself."""
        sums = _INT32 * self._tensors[outputs[0]].count
        if kind == "MEAN":  # the sums, the numbers of four axes and those of the two that it reduces
            return [sums, 4 * _INT32, 2 * _INT32]
        if kind == "TRANSPOSE_CONV":
            return [sums]
        return [self._tensors[index].count for index in inputs if self._tensors[index].is_packed]

    def _channel_bytes(self, kind: str, inputs: Sequence[int]) -> int:
        """Returns the bytes of the factors and shifts of every channel, of an operator with a kernel."""
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
            return 0
        scales = self._tensors[inputs[1]].quantization
        channels = 0 if scales is None else len(scales.scales)
        return 2 * aligned(_INT32 * channels) if channels > 1 or kind != "FULLY_CONNECTED" else 0


def greedy_plan_bytes(buffers: Sequence[ArenaBuffer]) -> int:
    """Returns the bytes of memory that buffers need if they are placed one by one, the largest first.

    Each gets the lowest place that no buffer of the same time has; of equal ones the last is first.

    Args:
        buffers: In the order in which the runtime plans them.

    Reference: `GreedyMemoryPlanner` of tflite-micro
    """
    placed: list[tuple[int, ArenaBuffer]] = []
    for buffer in sorted(reversed(buffers), key=lambda each: -each.size):
        offset = 0
        for start, other in placed:
            if other.first > buffer.last or buffer.first > other.last:
                continue
            if start - offset >= buffer.size:
                break
            offset = max(offset, start + other.size)
        placed.append((offset, buffer))
        placed.sort(key=lambda place: place[0])
    return max((offset + buffer.size for offset, buffer in placed), default=0)


def aligned(num_bytes: int) -> int:
    """Returns a number of bytes rounded up to whole steps of the arena."""
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT
