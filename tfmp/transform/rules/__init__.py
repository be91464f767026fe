"""A rule for every kind of layer that has an integer form, a module for each family."""

from tfmp.transform.rules import activations, arithmetic, movements, numbers, poolings, products, storing
from tfmp.transform.rules.rule import MOVES, NUMBERS, QUANTIZES, STORED, Rule
from tfmp.types import Layer

RULES: dict[str, Rule] = {
    **storing.RULES,
    **products.RULES,
    **activations.RULES,
    **arithmetic.RULES,
    **movements.RULES,
    **poolings.RULES,
    **numbers.RULES,
}

__all__ = ["MOVES", "NUMBERS", "QUANTIZES", "RULES", "STORED", "Rule", "rule_of"]


def rule_of(layer: Layer) -> Rule | None:
    """The rule of a layer's kind; None if it has no integer form."""
    return RULES.get(layer.kind)
