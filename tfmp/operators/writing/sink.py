"""The protocol of what operators are written to: a file, or a counter of bytes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tfmp.graph.open_values import Constant, OpenArray

TENSOR_TYPES = ("float32", "int8", "uint8", "int32", "int64", "bool")
# Options of operators that can have a fused activation.
UNFUSED = {"fused_activation_function": "NONE"}


@dataclasses.dataclass(frozen=True)
class Quantization:
    """The mapping from stored integers to numbers: `value = (stored - zero_point) * scale`.

    Args:
        scales: One float32 number, or one per slice of `axis`.
        zero_point: The same for all slices.
        axis: The axis of `scales`.
    """

    scales: tuple[float, ...] | OpenArray
    zero_point: int = 0
    axis: int = 0


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of an operator.

    Args:
        name: Name of their table in the schema, `"Conv2DOptions"` for example.
        fields: Values by field name of the schema; members of enumerations by name or number, sizes as a tuple.
    """

    name: str
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Sink(Protocol):
    """Receives the tensors and operators of one network in the order of a file."""

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        """Adds a tensor that an operator computes or the caller feeds. Returns its index.

        Args:
            name: Name of the tensor.
            shape: Its sizes, the batch first.
            dtype: One of `TENSOR_TYPES`.
            quantization: How its integers represent numbers.
        """

    def constant(
        self,
        name: str,
        values: Constant,
        *,
        quantization: Quantization | None = None,
        packed_bits: int | None = None,
    ) -> int:
        """Adds a constant tensor, or finds an equal one. Returns its index.

        Args:
            name: Name of the tensor.
            values: Its content.
            quantization: How its integers represent numbers.
            packed_bits: Bits of each integer if it is packed: 4 or 2.
        """

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int, options: Options | None = None
    ) -> None:
        """Appends an operator.

        Args:
            kind: Name in the schema's `BuiltinOperator`, `"CONV_2D"` for example.
            inputs: Indices of tensors.
            outputs: Indices of tensors.
            version: The operator's version in the schema.
            options: Its options, or None.
        """
