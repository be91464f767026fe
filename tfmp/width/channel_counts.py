"""Symbolic channel counts and the equalities between them."""

import math
from typing import TypeAlias

_Unknowns: TypeAlias = tuple[tuple[int, int], ...]  # pairs (unknown, factor)
Count: TypeAlias = int | _Unknowns | None


class ChannelCounts:
    """Numbers of channels that are scaled, as sums of unknowns with factors.

    A `Count` is a fixed whole number (None if it is free), or a tuple of pairs (unknown, factor): the channels of a
    concatenation are a sum of unknowns, those of a flattened image are an unknown times its pixels. Two tied counts
    have equal values after rounding: an unknown that must equal a sum becomes that sum.
    """

    def __init__(self) -> None:
        self._originals: list[int] = []
        self._definitions: dict[int, _Unknowns] = {}
        self._kept: set[int] = set()
        self._multiples: list[int] = []

    def new(self, original: int) -> _Unknowns:
        """Returns an unknown that has this value in the original network."""
        self._originals.append(original)
        self._multiples.append(1)
        return ((len(self._originals) - 1, 1),)

    def original(self, count: Count) -> int | None:
        """Returns the value of a count in the original network."""
        return count if not isinstance(count, tuple) else sum(self._originals[u] * f for u, f in self._open(count))

    def value(self, count: Count, multiplier: float) -> int | None:
        """Returns the value of a count in the scaled network."""
        if not isinstance(count, tuple):
            return count
        return sum(self._rounded(unknown, multiplier) * factor for unknown, factor in self._open(count))

    def keep(self, count: Count) -> None:
        """Keeps a count at its original value."""
        if isinstance(count, tuple):
            self._kept.update(unknown for unknown, _ in self._open(count))

    def times(self, count: int | _Unknowns, factor: int) -> int | _Unknowns:
        return tuple((u, f * factor) for u, f in count) if isinstance(count, tuple) else count * factor

    def plus(self, one: Count, other: Count) -> Count:
        """Returns the count of a concatenation."""
        if not isinstance(one, tuple) and not isinstance(other, tuple):
            return None if one is None or other is None else one + other
        return (*self._as_sum(one), *self._as_sum(other))

    def divided(self, count: int | _Unknowns, divisor: int) -> int | _Unknowns:
        """Returns a count divided by a number, and requires it to be a multiple of this number.

        Raises:
            ValueError: If it is not a multiple.
        """
        if not isinstance(count, tuple):
            return count // divisor
        self.require_multiple(count, divisor)
        parts = []
        for unknown, factor in self._open(count):
            rest = divisor // math.gcd(divisor, factor)
            if rest > 1:
                (part,) = self.new(self._originals[unknown] // rest)
                self._define(unknown, ((part[0], rest),))
                unknown, factor = part[0], factor * rest
            parts.append((unknown, factor // divisor))
        return tuple(parts)

    def require_multiple(self, count: _Unknowns, divisor: int) -> None:
        """Requires a count to be rounded to multiples of a number.

        Raises:
            ValueError: If its original value is not a multiple.
        """
        for unknown, factor in self._open(count):
            multiple = divisor // math.gcd(divisor, factor)
            if self._originals[unknown] % multiple:
                raise ValueError(f"its {self.original(count)} channels are not multiples of {divisor}, part by part")
            self._multiples[unknown] = math.lcm(self._multiples[unknown], multiple)

    def tie(self, one: Count, other: Count) -> None:
        """Makes two counts of equal original value equal; an unknown tied to a number keeps its value.

        Raises:
            ValueError: If the original values differ, or their parts cannot be matched.
        """
        if self.original(one) != self.original(other):
            raise ValueError(f"{self.original(one)} and {self.original(other)} channels meet")
        if not isinstance(one, tuple) or not isinstance(other, tuple):
            self.keep(one)
            self.keep(other)
            return
        left, right = self._open(one), self._open(other)
        while left:
            (u, f), (v, g) = left[0], right[0]
            sizes = self._originals[u] * f, self._originals[v] * g
            if sizes[0] == sizes[1]:
                self._equate(left[0], right[0])
                left, right = left[1:], right[1:]
            elif sizes[0] > sizes[1]:
                self._split(u, f, sizes[1])
            else:
                self._split(v, g, sizes[0])
            left, right = self._open(left), self._open(right)

    def _equate(self, one, other):
        (u, f), (v, g) = one, other
        if u == v:
            return
        shared = math.gcd(f, g)  # u f = v g, so both are multiples of one unknown
        ((unknown, _),) = self.new(self._originals[u] * shared // g)
        self._define(u, ((unknown, g // shared),))
        self._define(v, ((unknown, f // shared),))

    def _split(self, unknown, factor, size):
        """Replaces an unknown by the sum of two; the first has `size` channels times the factor."""
        multiple = self._multiples[unknown]
        first, rest = divmod(size, factor)
        if rest or first % multiple:
            raise ValueError(
                f"{self._originals[unknown] * factor} channels in steps of {multiple * factor} meet {size} channels"
            )
        self._define(unknown, (*self.new(first), *self.new(self._originals[unknown] - first)))

    def _define(self, unknown, count):
        self._definitions[unknown] = count
        if unknown in self._kept:
            self.keep(count)
        self.require_multiple(count, self._multiples[unknown])

    def _as_sum(self, count):
        if isinstance(count, tuple):
            return count
        kept = self.new(count)
        self.keep(kept)
        return kept

    def _open(self, count):
        """Returns the count in terms of unknowns without a definition."""
        opened = []
        for unknown, factor in count:
            defined = self._definitions.get(unknown)
            opened += [(unknown, factor)] if defined is None else self._open(self.times(defined, factor))
        return tuple(opened)

    def _rounded(self, unknown, multiplier):
        original, multiple = self._originals[unknown], self._multiples[unknown]
        return original if unknown in self._kept else multiple * max(1, round(original * multiplier / multiple))
