"""A cost defined by a function."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfmp.checks import check_flag, check_function, check_number, check_text
from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, LayerShape


@dataclasses.dataclass(frozen=True)
class Function(Cost):
    """A cost from a function of the layer and its bits.

    Args:
        function: Called with a `LayerShape`, weight bits and activation bits, 32 for floating point; returns the price.
        name: Name of the cost in logs and reports.
        unit: Unit of the price, `"ms"` for example.
        per_call: True if a layer costs its price at every call, False if once for all calls.

    Raises:
        TypeError: If `function` cannot be called.
        ValueError: In `table`, if a price is negative or not finite; the message names the layer and the bits.

    Example:
        >>> cost = Function(lambda shape, w, a: shape.macs * max(w, a), name="serial_cycles", unit="cycles")
    """

    function: Callable[[LayerShape, int, int], float]
    _: dataclasses.KW_ONLY
    name: str
    unit: str
    per_call: bool = True

    def __post_init__(self) -> None:
        check_function("function", self.function, "(shape, weight_bits, activation_bits)")
        check_text("name", self.name)
        check_text("unit", self.unit)
        check_flag("per_call", self.per_call)

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        return np.array(
            [
                [self._price(shape, weight.bits, activation.bits) for activation in activation_formats]
                for weight in weight_formats
            ]
        )

    def _price(self, shape: LayerShape, weight_bits: int, activation_bits: int) -> float:
        where = f"Cost `{self.name}`, layer `{shape.name}` at W{weight_bits} A{activation_bits}"
        return check_number("price", self.function(shape, weight_bits, activation_bits), at_least=0, where=where)
