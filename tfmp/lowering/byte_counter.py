"""The sink that counts the bytes of a TFLite file."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from tfmp.graph.open_values import Constant, OpenArray
from tfmp.graph.runtime_limits import BUFFER_ALIGNMENT, INT8_HIGH, INT8_LOW
from tfmp.operators.writing.lookup_table import DECODE
from tfmp.operators.writing.sink import Options, Quantization, Sink

_WORD = 4
_ZERO_POINT_BYTES = 4 * _WORD
# The zero points of grids that are not known yet spread about the middle of the codes. Seen in networks of
# `keras.applications`: 23 different ones of 74, 65 of 185.
_ZERO_POINT_DEVIATION = 12.0


class ByteCounter(Sink):
    """Counts the bytes of a file part by part, as its writer lays them out, without the parts that every file has.

    Equal constants, contents, texts, vectors, quantizations, zero points and options are stored once. They are counted
    when they first occur.

    Attributes:
        own_bytes: Bytes of operators, and of the tensors that they write, that are not shared.
        shared: Bytes of each part that is stored once, by what identifies it.
    """

    def __init__(self) -> None:
        self.own_bytes = 0
        self.shared: dict[Hashable, int] = {}
        self._constants: dict[Hashable, int] = {}
        self._codes: dict[Hashable, int] = {}
        self._open_zero_points: set[Hashable] = set()
        self._num_tensors = 0

    @property
    def shared_bytes(self) -> int:
        """Bytes of all parts that are stored once; of unknown zero points, as many as are expected to differ."""
        return sum(self.shared.values()) + _ZERO_POINT_BYTES * _num_different(len(self._open_zero_points))

    @property
    def total_bytes(self) -> int:
        """Bytes of everything counted so far."""
        return self.own_bytes + self.shared_bytes

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        self.own_bytes += _tensor_bytes(dtype, quantization, has_buffer=False)
        if quantization is not None and len(quantization.scales) > 1:
            self._channels(quantization)
        elif quantization is not None:
            self._once(quantization, 3 * _WORD + 2 * _WORD)
            self._zero_point(quantization)
        return self._named(name, shape)

    def constant(
        self,
        name: str,
        values: Constant,
        *,
        quantization: Quantization | None = None,
        packed_bits: int | None = None,
    ) -> int:
        is_open = isinstance(values, OpenArray)
        content = (values.label, values.dtype, values.size) if is_open else values.tobytes()
        key = (values.dtype, values.shape, content, quantization, packed_bits)
        if key not in self._constants:
            table = _tensor_bytes(np.dtype(values.dtype).name, quantization, has_buffer=True)
            self._once(("constant", *key), table)
            if quantization is not None:
                self._channels(quantization)
            bits = packed_bits or 8 * np.dtype(values.dtype).itemsize
            self._once(("content", content, packed_bits), content_bytes(-(-values.size * bits // 8)))
            self._constants[key] = self._named(name, values.shape)
        return self._constants[key]

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int, options: Options | None = None
    ) -> None:
        for indices in (inputs, outputs):
            self._vector(indices)
        code = self._codes.setdefault((kind, version), len(self._codes))
        fields = 4 + (version > 1)
        self._once(("code", kind, version), fields * _WORD + (_text_bytes(kind) if kind == DECODE else 0))
        # An entry in the list of operators; offsets of the layout and of two vectors; the code if it is not the first.
        self.own_bytes += _WORD + (3 + (code > 0) + (0 if options is None else 2)) * _WORD
        if options is not None:
            self._once(("options", options.name, *options.fields.items()), (1 + len(options.fields)) * _WORD)
            for value in options.fields.values():
                if isinstance(value, tuple):
                    self._vector(value)
            self._once(("layout", options.name), -(-(_WORD + 2 * len(options.fields)) // _WORD) * _WORD)

    def finish(self, name: str, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Adds the name of the network, and the entries of its inputs and outputs with their names."""
        for text in (name, *inputs, *outputs):
            self._once(("text", text), _text_bytes(text))
            self.own_bytes += 5 * _WORD

    def _zero_point(self, quantization: Quantization) -> None:
        """Counts a zero point; if its codes may be negative, an unknown grid may have any."""
        if isinstance(quantization.scales, OpenArray) and quantization.zero_point != INT8_LOW:
            self._open_zero_points.add(quantization.scales)
        else:
            self._once(("zero point", quantization.zero_point), _ZERO_POINT_BYTES)

    def _channels(self, quantization: Quantization) -> None:
        count = len(quantization.scales)
        self._once(quantization, 4 * _WORD + _WORD * count)
        self._once(("zero points", count), 2 * _WORD + 8 * count)

    def _once(self, key: Hashable, num_bytes: int) -> None:
        """Counts a part that is stored once, however often it is referenced."""
        self.shared.setdefault(key, num_bytes)

    def _vector(self, values: Sequence[int]) -> None:
        """Counts a list of integers: equal shapes and lists of tensors are one vector."""
        self._once(("vector", *values), _WORD + _WORD * len(values))

    def _named(self, name: str, shape: Sequence[int]) -> int:
        """Counts the shared parts of a tensor. Returns its index."""
        self._once(("text", name), _text_bytes(name))
        self._vector(shape)
        self._num_tensors += 1
        return self._num_tensors - 1


def _tensor_bytes(dtype: str, quantization: Quantization | None, *, has_buffer: bool) -> int:
    """Returns the bytes of a tensor's table and of its entry in the list of tensors.

    The table has the offsets of its layout, shape and name, and the fields that differ from their defaults: the type if
    it is not float32, the buffer and the quantization if there are any.
    """
    fields = 3 + (dtype != "float32") + has_buffer + (quantization is not None)
    return _WORD + fields * _WORD


def _text_bytes(text: str) -> int:
    """Returns the bytes of a string: its length, and itself with a zero byte, padded to whole words."""
    return _WORD + (len(text.encode()) // _WORD + 1) * _WORD


def _num_different(count: int) -> int:
    """Returns how many different values a number of draws from a rounded normal distribution are expected to have."""
    codes = np.arange(INT8_LOW, INT8_HIGH + 1)
    weights = np.exp(-np.square(codes / _ZERO_POINT_DEVIATION) / 2)
    return round(float(np.sum(1 - (1 - weights / weights.sum()) ** count)))


def content_bytes(num_bytes: int) -> int:
    """Returns the bytes of a constant's content, which is aligned to 16 bytes, with its length and offset."""
    return _WORD + -(-(num_bytes + 3 * _WORD) // BUFFER_ALIGNMENT) * BUFFER_ALIGNMENT
