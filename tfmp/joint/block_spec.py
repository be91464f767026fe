"""The architecture and bits of one block, and the candidates for them."""

import dataclasses
import math
from collections.abc import Sequence

from tfmp.checks import check_choice, check_flag, check_instance, check_integer, is_integer, received


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """The architecture and bits of one block: s, m, k, b1 and b2 of the paper.

    Args:
        skip: True if there is no block; the other fields are then None.
        expansion: Channels between the two 1x1 convolutions, as a multiple of the input channels.
        kernel_size: Side of the depthwise kernel.
        pointwise_bits: Bits of the weights and of the inputs of the two 1x1 convolutions.
        depthwise_bits: Bits of the weights and of the input of the depthwise convolution.

    Example:
        >>> print(BlockSpec(expansion=6, kernel_size=5, pointwise_bits=8, depthwise_bits=4))
        MB6 5x5 [8, 4]
    """

    skip: bool = False
    expansion: int | None = None
    kernel_size: int | None = None
    pointwise_bits: int | None = None
    depthwise_bits: int | None = None

    def __post_init__(self):
        check_flag("skip", self.skip)
        for name in CATEGORICALS[1:]:
            hint = "Give it, or `skip=True` for no block"
            value = None if self.skip else check_integer(name, getattr(self, name), at_least=1, hint=hint)
            object.__setattr__(self, name, value)

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """The four fields after `skip`, in order.

        Raises:
            ValueError: If the block is skipped.
        """
        if (
            self.expansion is None
            or self.kernel_size is None
            or self.pointwise_bits is None
            or self.depthwise_bits is None
        ):
            raise ValueError("A block that is skipped has no expansion, no kernel and no bits.")
        return self.expansion, self.kernel_size, self.pointwise_bits, self.depthwise_bits

    def __str__(self) -> str:
        if self.skip:
            return "skip"
        side = self.kernel_size
        return f"MB{self.expansion} {side}x{side} [{self.pointwise_bits}, {self.depthwise_bits}]"


CATEGORICALS = tuple(field.name for field in dataclasses.fields(BlockSpec))


@dataclasses.dataclass(frozen=True)
class BlockCandidates:
    """The candidates of one block, each field chosen independently of the others.

    Args:
        skip: `(False,)`, `(True,)` or `(False, True)`.
        expansion: Integers in increasing order; smaller ones use the first channels of the largest.
        kernel_size: Odd integers in increasing order; smaller ones use the centre of the largest kernel.
        pointwise_bits: Integers from 2 to 8 in increasing order.
        depthwise_bits: Likewise.

    Raises:
        ValueError: If a field is empty, not in increasing order, or has a value that is not allowed.

    Example:
        >>> BlockCandidates(kernel_size=(3,)).num_choices
        49
    """

    skip: tuple[bool, ...] = (False, True)
    expansion: tuple[int, ...] = (1, 3, 6)
    kernel_size: tuple[int, ...] = (3, 5, 7)
    pointwise_bits: tuple[int, ...] = (2, 4, 6, 8)
    depthwise_bits: tuple[int, ...] = (2, 4, 6, 8)

    def __post_init__(self):
        for name, allowed in _ALLOWED.items():
            given = getattr(self, name)
            values = tuple(given) if isinstance(given, list | tuple) else (given,)
            if not values or not all(map(allowed[1], values)) or list(values) != sorted(set(values)):
                raise ValueError(f"`{name}` must be {allowed[0]}, in increasing order. Received: {received(given)}")
            object.__setattr__(self, name, values)

    @property
    def fields(self) -> tuple[tuple, ...]:
        """The candidates of s, m, k, b1 and b2."""
        return tuple(getattr(self, name) for name in CATEGORICALS)

    @property
    def num_choices(self) -> int:
        """Number of different blocks; the skipped one counts once."""
        return (False in self.skip) * math.prod(map(len, self.fields[1:])) + (True in self.skip)

    def choice(self, indices: Sequence[int]) -> BlockSpec:
        """Returns the block with the candidates at these indices, one per field."""
        return BlockSpec(*(values[index] for values, index in zip(self.fields, indices, strict=True)))

    def indices(self, choice: BlockSpec) -> tuple[int, ...]:
        """Returns the indices of the values of a block among the candidates; 0 for values that a skipped block lacks.

        Raises:
            ValueError: If a value is no candidate.
        """
        check_instance("choice", choice, BlockSpec, "a `BlockSpec`")
        indices = []
        for name, values in zip(CATEGORICALS, self.fields, strict=True):
            value = getattr(choice, name)
            if value is not None:
                check_choice(name, value, values, where="Block")
            indices.append(0 if value is None else values.index(value))
        return tuple(indices)

    def never_skipped(self, name: str) -> "BlockCandidates":
        """Returns the candidates without the skip; `name` is the name of the block in errors."""
        if False not in self.skip:
            raise ValueError(f"Block `{name}` cannot be skipped: its input and its output differ in shape.")
        return dataclasses.replace(self, skip=(False,))

    def check_kernels(self, name: str, strides: int) -> None:
        """Raises `ValueError` if a block has several kernels and one of them is smaller than its strides."""
        if len(self.kernel_size) > 1 and self.kernel_size[0] < strides:
            # Its "same" padding starts at another place than that of the kernel whose centre it is.
            raise ValueError(
                f"Block `{name}` has strides of {strides}: none of several candidates for `kernel_size` may be "
                f"smaller. Received: {self.kernel_size}. Give it other `BlockCandidates`, with larger kernels or "
                "with one."
            )

    def with_architecture(self, choice: BlockSpec) -> "BlockCandidates":
        """Returns the candidates with the same bits and one skip, expansion and kernel size."""
        if choice.skip:
            return dataclasses.replace(self, skip=(True,))
        expansion, kernel_size, *_ = choice.numbers
        return dataclasses.replace(self, skip=(False,), expansion=(expansion,), kernel_size=(kernel_size,))


_BITS = "integers from 2 to 8", lambda value: is_integer(value) and 2 <= value <= 8
_ALLOWED = {
    "skip": ("some of False and True", lambda value: isinstance(value, bool)),
    "expansion": ("positive integers", lambda value: is_integer(value) and value >= 1),
    "kernel_size": ("odd positive integers", lambda value: is_integer(value) and value >= 1 and value % 2 == 1),
    "pointwise_bits": _BITS,
    "depthwise_bits": _BITS,
}
