"""Operators that compute a function of every value."""

import numpy as np

from tfmp.graph.integer_graph import FIXED_GRIDS, IntegerOperation
from tfmp.graph.runtime_limits import LEAKY_RELU_FACTORS
from tfmp.lowering.writing.sink import Options
from tfmp.lowering.writing.tensor_table import TensorTable

_OPERATORS = {  # function to the operator of the file
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "elu": "ELU",
    "leaky_relu": "LEAKY_RELU",
    "gelu": "GELU",
}


def write_activation(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes LOGISTIC, TANH, ELU, LEAKY_RELU or GELU."""
    function, grid = operation.attributes["function"], table.grid(operation.output)
    if function not in _OPERATORS:
        raise ValueError(
            f"`function` must be one of {', '.join(_OPERATORS)}. Received: {function!r} at operation "
            f"{operation.name!r}. Compose it of these, additions and products."
        )
    if grid != FIXED_GRIDS.get(function, grid):
        raise ValueError(
            f"{function} writes {FIXED_GRIDS[function]}. Received: {grid} at operation {operation.name!r}. Requantize "
            "its output, and give narrower bounds as `low` and `high`."
        )
    kind, version, options = _OPERATORS[function], 1, None
    if function == "leaky_relu":
        version, options = 2, _leaky_options(table, operation)
    elif function == "gelu":
        version = 2
        options = Options("GeluOptions", {"approximate": bool(operation.attributes.get("approximate", False))})
    inputs = [table.index(operation.inputs[0])]
    # The rounding of some depends on the zero point, so none writes into a helper tensor.
    table.add_operator(operation, kind, inputs, version=version, options=options, keeps_zero_point=True)


def _leaky_options(table: TensorTable, operation: IntegerOperation) -> Options:
    alpha = float(np.float32(operation.attributes["negative_slope"]))
    scale = np.float32(table.grid(operation.output).scale)
    ratio = np.float32(table.grid(operation.inputs[0]).scale) / scale
    factors = ratio, abs(ratio * np.float32(alpha))
    smallest, largest = LEAKY_RELU_FACTORS
    if not all(smallest <= factor <= largest for factor in factors):
        raise ValueError(
            f"The input scale of leaky_relu, and that times its slope, must be from {smallest} to {largest:.3f} times "
            f"the output scale. Received: {factors[0]} and {factors[1]} times at operation {operation.name!r}. "
            "Requantize the input, or use a ReLU for a slope of almost zero."
        )
    return Options("LeakyReluOptions", {"alpha": alpha})


WRITERS = {
    "activation": write_activation,
}
