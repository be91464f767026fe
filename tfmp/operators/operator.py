"""What the transforms have to know of a kind of layer."""

import dataclasses
from collections.abc import Callable

from tfmp.graph import Grid, Layer

MOVES = "moves"
NUMBERS = "numbers"
STORED = "stored"
QUANTIZES = "quantizes"


def always(layer: Layer, inputs: bool) -> bool:
    """Never negative."""
    return True


def never(layer: Layer, inputs: bool) -> bool:
    """Nothing is known of its sign."""
    return False


def as_inputs(layer: Layer, inputs: bool) -> bool:
    """Non-negative if all inputs are."""
    return inputs


@dataclasses.dataclass(frozen=True)
class Operator:
    """How a kind of layer becomes integer operations.

    Args:
        lower: Function of (lowering, call, codes) that adds the operations which make the call's output with these
            codes, and returns the name of their tensor.
        reads: `"moves"`: it moves or clips codes, its inputs take the codes that the reader of its output wants;
            `"stored"`: its inputs lie on grids of their own; `"quantizes"`: the layer quantizes its input itself;
            `"numbers"`: it reads numbers, not codes.
        non_negative: Function of (layer, whether all inputs are non-negative): whether the output is.
        grid: The one grid that the runtime writes its output on; None if it writes any.
        joins: True if its output is made of several inputs, which may lie on several grids.
        numbers: Function of (lowering, call) that returns the name of a tensor that holds the call's output as numbers;
            None for kinds that make codes.
    """

    lower: Callable
    reads: str = STORED
    non_negative: Callable[[Layer, bool], bool] = never
    grid: Grid | None = None
    joins: bool = False
    numbers: Callable | None = None
