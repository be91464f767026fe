"""The two tables of the library: `TABLE` of all kinds of layers, and `OPERATIONS` of all kinds of integer operations.

Each family of layers has one file, with a record for every kind of layer and for every integer operation that computes
them. A new kind needs one record in the file of its family; a new integer operation also a computation in the file of
`tfmp/ops/integer` of the same name. From outside the library both need one call of `register`.
"""

from tfmp.operators import (
    activations,
    comparisons,
    composed_activations,
    convolutions,
    data_movement,
    elementwise,
    float_layer,
    indexing,
    normalization,
    pooling,
    quantization,
    reductions,
    resizing,
    unary_functions,
)
from tfmp.operators.composites import attention, dense_products, scaled_sums, separable_convolutions
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, NUMBERS, QUANTIZES, STORED, Operator
from tfmp.operators.operator_table import OPERATIONS, TABLE, add, kernel_of, operator_of, register
from tfmp.operators.unary_functions import unary

for _family in (
    quantization,
    convolutions,
    activations,
    composed_activations,
    unary_functions,
    normalization,
    elementwise,
    data_movement,
    indexing,
    resizing,
    pooling,
    reductions,
    comparisons,
    separable_convolutions,
    scaled_sums,
    dense_products,
    attention,
    float_layer,
):
    for _record in (*_family.OPERATORS, *getattr(_family, "OPERATIONS", ())):
        add(_record)

__all__ = [
    "MOVES",
    "NUMBERS",
    "OPERATIONS",
    "QUANTIZES",
    "STORED",
    "TABLE",
    "OperationKind",
    "Operator",
    "kernel_of",
    "operator_of",
    "register",
    "unary",
]
