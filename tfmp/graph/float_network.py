"""The operators of a layer that runs in floating point, as a TFLite file holds them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.graph.open_values import Constant

NO_TENSOR = -1  # in place of an optional input that is left out


@dataclasses.dataclass(frozen=True)
class FloatTensor:
    """A tensor of a `FloatNetwork`.

    Args:
        shape: Its sizes.
        dtype: NumPy name of its type.
        values: Its content if it is constant, otherwise None.
        scales: `[n]` numbers of which the n slices of `axis` are multiples, if its content are codes; otherwise None.
        axis: The axis of `scales`.
    """

    shape: tuple[int, ...]
    dtype: str
    values: Constant | None = None
    scales: Constant | None = None
    axis: int = 0


@dataclasses.dataclass(frozen=True)
class FloatOperator:
    """An operator of a `FloatNetwork`.

    Args:
        kind: Name in the schema's `BuiltinOperator`, `"RSQRT"` for example.
        version: Its version in the schema.
        inputs: Positions of tensors; `NO_TENSOR` for an optional input that is left out.
        outputs: Positions of tensors.
        options: Name of the table of its options, `""` without options.
        fields: The fields of the options that differ from their defaults, by their names in the schema.
    """

    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str = ""
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FloatNetwork:
    """The operators that compute one call of a layer for a fixed batch.

    Args:
        tensors: All tensors; the others refer to them by position.
        operators: In an order in which they can run.
        inputs: Positions of the inputs, in the order of the distinct tensors that the call reads.
        outputs: Positions of the outputs, in the order of the call. An output may be an input or a constant.
    """

    tensors: Sequence[FloatTensor]
    operators: Sequence[FloatOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def constant_bytes(self) -> int:
        """Bytes of the contents of all constants and their scales."""
        contents = [each for tensor in self.tensors for each in (tensor.values, tensor.scales)]
        return sum(content.nbytes for content in contents if content is not None)
