"""A width multiplier and its model size."""

import dataclasses

from tfmp.checks import check_number


@dataclasses.dataclass(frozen=True)
class Width:
    """The width multiplier of a network that was asked to have a size.

    Args:
        width: The multiplier.
        size_bits: Size of the kernels at that width, bits.
        target_bits: The size that was asked for, bits.

    Example:
        >>> Width(0.5, size_bits=1010.0, target_bits=1000.0).relative_error
        0.01
    """

    width: float
    size_bits: float
    target_bits: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name), above=0)

    @property
    def relative_error(self) -> float:
        """By how much the size exceeds the target, as a part of the target; negative where it is below."""
        return self.size_bits / self.target_bits - 1
