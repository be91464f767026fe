"""The table of all kinds of layers that the library knows, `TABLE`, with one module for each family.

A new kind that existing integer operations can compute needs one record in the file of its family. From outside the
library it needs one call of `register`.
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
