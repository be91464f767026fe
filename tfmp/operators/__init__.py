"""One table of every kind of layer that the library knows: `TABLE`, kind to `Operator`, a module for each family.

A new kind made of integer operations that exist is one record in the file of its family; from outside the library it is
one call of `register`.
"""

from tfmp.operators import (
    activations,
    comparisons,
    convolutions,
    data_movement,
    elementwise,
    normalization,
    pooling,
    quantization,
)
from tfmp.operators.operator import MOVES, NUMBERS, QUANTIZES, STORED, Operator
from tfmp.operators.operator_table import TABLE, kernel_of, operator_of, register

for _family in (
    quantization,
    convolutions,
    activations,
    normalization,
    elementwise,
    data_movement,
    pooling,
    comparisons,
):
    for _operator in _family.OPERATORS:
        register(_operator)

__all__ = ["MOVES", "NUMBERS", "QUANTIZES", "STORED", "TABLE", "Operator", "kernel_of", "operator_of", "register"]
