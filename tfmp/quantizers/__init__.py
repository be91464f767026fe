"""Quantizers map tensors to low-bit integers."""

import dataclasses
from typing import Any

from tfmp.checks import check_instance
from tfmp.quantizers.dual_precision import DualPrecision
from tfmp.quantizers.hwgq import HWGQ
from tfmp.quantizers.linear import Linear
from tfmp.quantizers.lsq import LSQ
from tfmp.quantizers.moving_range import MovingRange
from tfmp.quantizers.quantizer import MAX_BITS, Quantizer, options_of, read_name, written_name
from tfmp.quantizers.stored import Stored
from tfmp.registry import Registry

QuantizerLike = str | type[Quantizer] | Quantizer  # what arguments take: a name, a class or an instance

_REGISTRY = Registry(
    "quantizer",
    Quantizer,
    "a subclass of `tfmp.quantizers.Quantizer`",
    is_listed=lambda quantizer: not quantizer.is_stored,
)
for _quantizer in (LSQ, HWGQ, DualPrecision, Linear, MovingRange, Stored):
    _REGISTRY.register(_quantizer)

__all__ = [
    "HWGQ",
    "LSQ",
    "MAX_BITS",
    "DualPrecision",
    "Linear",
    "MovingRange",
    "Quantizer",
    "QuantizerLike",
    "Stored",
    "family",
    "get",
    "is_known",
    "name_of",
    "names",
    "read_saved_name",
    "register",
    "saved_name",
]


def names() -> tuple[str, ...]:
    """Returns the names of all quantizers that one can choose."""
    return _REGISTRY.names()


def register(quantizer: type[Quantizer]) -> type[Quantizer]:
    """Adds a quantizer under its `name`, so that layers, models and commands can name it; returns it.

    A class that is given in place of a name is registered by that. A program that loads a model with it needs it
    registered before.

    Args:
        quantizer: A subclass of `Quantizer`.

    Raises:
        TypeError: If it is none.
        ValueError: If the name is that of another one.

    Example:
        >>> @tfmp.quantizers.register
        ... class Coarse(tfmp.quantizers.Linear):
        ...     name = "coarse"
    """
    check_instance("quantizer", quantizer, type, "a subclass of `tfmp.quantizers.Quantizer`")
    return _REGISTRY.register(quantizer)


def is_known(name: str) -> bool:
    """True for a name, with or without arguments, that `get` takes; False for that of another library's quantizer."""
    return _REGISTRY.is_known(read_name(name)[0])


def name_of(quantizer: QuantizerLike) -> str:
    """Returns the name of a quantizer, with what an instance was told: `"moving_range(momentum=0.9)"`.

    Args:
        quantizer: A name, such a text, a subclass of `Quantizer`, or an instance, whose bits and sign do not count.

    Raises:
        ValueError: If the name is unknown, or a class has the name of another one.
    """
    family, options = _found(quantizer)
    return written_name(_REGISTRY.name_of(family), options)


def saved_name(quantizer: QuantizerLike) -> str:
    """Returns the name for a configuration that is saved: `name_of`, with every option that version 0.1.0 did not have.

    Example:
        >>> tfmp.quantizers.saved_name("lsq")
        "lsq(granularity='channel')"
    """
    family, options = _found(quantizer)
    defaults = {field.name: field.default for field in dataclasses.fields(family)}
    return written_name(family.name, {**{name: defaults[name] for name in family.legacy_options}, **options})


def read_saved_name(name: str) -> str:
    """Returns the `name_of` a quantizer in a saved configuration; version 0.1.0 named no option that it did not have.

    Example:
        >>> tfmp.quantizers.read_saved_name("lsq")
        "lsq(granularity='tensor')"
    """
    family, _ = _found(name)
    return name_of(written_name(family.name, {**family.legacy_options, **read_name(name)[1]}))


def family(quantizer: QuantizerLike) -> type[Quantizer]:
    """Returns the class of a quantizer; argument and errors as of `name_of`."""
    return _found(quantizer)[0]


def get(quantizer: QuantizerLike, *, bits: int, signed: bool = True) -> Quantizer:
    """Returns a quantizer for these bits.

    Args:
        quantizer: One of `names()`, a subclass of `Quantizer`, or an instance, of which a copy gets the bits.
        bits: Integer within the quantizer's range.
        signed: False for tensors that cannot be negative.

    Raises:
        ValueError: If the name is unknown or the bits are out of range.
    """
    family, options = _found(quantizer)
    return family(bits=bits, signed=signed, **options)


def _found(quantizer: QuantizerLike) -> tuple[type[Quantizer], dict[str, Any]]:
    """The class of a quantizer and the arguments that it has beside bits and sign."""
    if isinstance(quantizer, Quantizer):
        return type(quantizer), options_of(quantizer)
    if isinstance(quantizer, str):
        name, given = read_name(quantizer)
        family = _REGISTRY.get(name if _REGISTRY.is_known(name) else quantizer)
        defaults = {field.name: field.default for field in dataclasses.fields(family)}
        return family, {
            name: value for name, value in given.items() if value != defaults.get(name, dataclasses.MISSING)
        }
    return _REGISTRY.get(quantizer), {}
