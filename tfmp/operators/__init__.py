"""The operators: one for every kind of layer that has an integer form, a module for each family."""

from tfmp.graph import Layer
from tfmp.operators import activations, comparisons, convolutions, data_movement, elementwise, pooling, quantization
from tfmp.operators.operator import MOVES, NUMBERS, QUANTIZES, STORED, Operator

OPERATORS: dict[str, Operator] = {
    **quantization.OPERATORS,
    **convolutions.OPERATORS,
    **activations.OPERATORS,
    **elementwise.OPERATORS,
    **data_movement.OPERATORS,
    **pooling.OPERATORS,
    **comparisons.OPERATORS,
}

__all__ = ["MOVES", "NUMBERS", "QUANTIZES", "OPERATORS", "STORED", "Operator", "operator_of"]


def operator_of(layer: Layer) -> Operator | None:
    """The operator of a layer's kind; None if it has no integer form."""
    return OPERATORS.get(layer.kind)
