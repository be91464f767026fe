"""Sums, means and extremes over any axes but the first.

- reduce_sum, reduce_mean: rint(float32(sum(x + input_zero_point)) * m + b) - zero_point over `axes`, with `keepdims`:
  `m = input_scale / scale`, for a mean times 1 / n, and `b = zero_point - float32(n * input_zero_point) * m` for n
  values. Close to q(sum * input_scale / scale).
- reduce_max, reduce_min: over `axes`, with `keepdims`; input and output are on one scale with one `high`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, STORED, Attributes, Operator, as_inputs
from tfmp.operators.writing import Options, TensorTable

_FILE_OPERATORS = {
    "reduce_sum": "SUM",
    "reduce_mean": "MEAN",
    "reduce_max": "REDUCE_MAX",
    "reduce_min": "REDUCE_MIN",
}
_EXTREMES = ("reduce_max", "reduce_min")


def lower_reduction(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a reduction of a stored tensor, or of codes on the grid of the output for an extreme."""
    layer, shape = lowering.graph.layer_of(call), lowering.shape(call.outputs[0])
    rank = len(lowering.shape(call.inputs[0]))
    axes = tuple(sorted(axis % rank for axis in layer.attributes["axes"]))
    if 0 in axes:
        raise FoldError(layer.name, "it reduces over samples", "Reduce over other axes than the first.")
    if layer.kind in _EXTREMES:
        source, codes = lowering.demand(call.inputs[0], codes), Codes.all_of(codes.grid)
    else:
        source = lowering.stored(call.inputs[0], layer.name)
    attributes = {"axes": axes, "keepdims": len(shape) == rank}
    return lowering.builder.add(
        layer.kind, (source,), layer.name, shape, codes, attributes=attributes, layer=layer.name
    )


def write_reduction(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SUM, MEAN, REDUCE_MAX or REDUCE_MIN over axes after the batch."""
    axes, rank = operation.attributes["axes"], len(table.shape(operation.inputs[0]))
    if not axes or not all(0 < axis < rank for axis in axes):
        raise ValueError(
            f"`axes` must be from 1 to {rank - 1}. Received: {axes} at operation {operation.name!r}. The batch cannot "
            "be reduced."
        )
    grid = table.grid(operation.inputs[0])
    if operation.kind in _EXTREMES:
        table.same_grid(operation)
        reach: tuple[float, float] = grid.low, grid.high
    else:
        reach = 0 if grid.low >= 0 else -math.inf, math.inf
    options = Options("ReducerOptions", {"keep_dims": bool(operation.attributes["keepdims"])})
    inputs = [table.index(operation.inputs[0])]
    inputs.append(table.sink.constant(f"{operation.name}/axes", np.array(axes, np.int32)))
    kind = _FILE_OPERATORS[operation.kind]
    # The rounding of some depends on the zero point, so none writes into a helper tensor.
    table.add_operator(operation, kind, inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


def _reduction_axes(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    """Reads the axes of a reduction; over all axes it mixes samples."""
    if config.get("initial") is not None or (call is not None and call.kwargs.get("weights") is not None):
        return None
    axis = config.get("axis")
    if call is not None and "function" in config:  # of TensorFlow
        axis = call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None)
    axes = tuple(axis) if isinstance(axis, list | tuple) else (axis,)
    known = all(isinstance(each, int) for each in axes) and (call is None or len(call.inputs) == 1)
    return {"axes": axes} if known else None


def _reduction(kind: str, function: Callable[..., np.ndarray], names: Sequence[str]) -> Operator:
    def values(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        x = inputs[0]
        return function(x, axis=tuple(attributes["axes"]), keepdims=len(shape) == x.ndim)

    return Operator(
        kind,
        lower_reduction,
        classes=dict.fromkeys((*names, f"math.{kind}"), _reduction_axes),
        reads=MOVES if kind in _EXTREMES else STORED,
        non_negative=as_inputs,
        values=values,
        needed=("axes",),
    )


OPERATORS = (
    _reduction("reduce_sum", np.sum, ("Sum",)),
    _reduction("reduce_mean", np.mean, ("Mean", "Average")),
    _reduction("reduce_max", np.max, ("Max", "Amax")),
    _reduction("reduce_min", np.min, ("Min", "Amin")),
)
_LACKS = {"micro": "sums over axes with other roundings than LiteRT"}
OPERATIONS = (
    OperationKind("reduce_sum", write_reduction, lacks=_LACKS),
    OperationKind("reduce_mean", write_reduction, lacks=_LACKS),
    *(OperationKind(kind, write_reduction) for kind in _EXTREMES),
)
