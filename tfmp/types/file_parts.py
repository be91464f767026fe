"""Bytes of the parts of a TFLite file, whose writer stores equal vectors and equal tables once."""

_OFFSET = 4
_ALIGNMENT = 16


def vector_bytes(num_bytes: int) -> int:
    """A vector: its length and its content, rounded up to whole words."""
    return 4 + -(-num_bytes // 4) * 4


def text_bytes(text: str) -> int:
    """A string: its length, its characters and a zero."""
    return vector_bytes(len(text.encode()) + 1)


def buffer_bytes(num_bytes: int) -> int:
    """The content of a constant, which starts at a multiple of 16 bytes: half of that is lost on average."""
    table = 2 * _OFFSET
    return _OFFSET + table + vector_bytes(num_bytes) + _ALIGNMENT // 2


def tensor_bytes(name: str = "") -> int:
    """A tensor without its quantization; the vector of its sizes is one that others have too."""
    table = 5 * _OFFSET  # where its fields are, sizes, type, buffer, quantization
    return _OFFSET + table + (_OFFSET + text_bytes(name) if name else 0)


def quantization_bytes(num_scales: int = 1) -> int:
    """Scales of a tensor; the vector of zero points is one that others have too."""
    table = 4 * _OFFSET  # where its fields are, scales, zero points, axis
    return table + vector_bytes(4 * num_scales)


def operator_bytes(num_inputs: int) -> int:
    """An operator of one output; its options are some that others have too."""
    table = 6 * _OFFSET  # where its fields are, kind, inputs, outputs, options and their type
    return _OFFSET + table + vector_bytes(4 * num_inputs) + vector_bytes(4)
