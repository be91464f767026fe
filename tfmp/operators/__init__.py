"""A rule for every kind of layer that has an integer form, a module for each family."""

from tfmp.graph import Layer
from tfmp.operators import activations, comparisons, convolutions, data_movement, elementwise, pooling, quantization
from tfmp.operators.operator import MOVES, NUMBERS, QUANTIZES, STORED, Rule

RULES: dict[str, Rule] = {
    **quantization.RULES,
    **convolutions.RULES,
    **activations.RULES,
    **elementwise.RULES,
    **data_movement.RULES,
    **pooling.RULES,
    **comparisons.RULES,
}

__all__ = ["MOVES", "NUMBERS", "QUANTIZES", "RULES", "STORED", "Rule", "rule_of"]


def rule_of(layer: Layer) -> Rule | None:
    """The rule of a layer's kind; None if it has no integer form."""
    return RULES.get(layer.kind)
