"""The record of a kind of integer operation."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tfmp.checks import check_text
from tfmp.graph.integer_graph import IntegerGraph, IntegerOperation
from tfmp.graph.targets import LITERT, Target
from tfmp.operators.writing.tensor_table import TensorTable


@dataclasses.dataclass(frozen=True)
class OperationKind:
    """A kind of integer operation: how it is written to a sink, and what computes it.

    Args:
        kind: Its name, as `tfmp.graph.IntegerOperation.kind` has it.
        write: Function of (table, operation) that writes an `IntegerOperation` to `table.sink`; see
            `tfmp.operators.writing.TensorTable`. Everything that reads the file's contents comes from it: the file,
            and the costs `tflite_bytes` and `peak_activation_memory`. It raises `ValueError` for an operation that the
            runtime does not compute exactly.
        compute: Function of (input tensors, `tfmp.ops.integer.Operation`) that returns the output in TensorFlow, with
            the roundings of the runtime that `operation.attributes["arithmetic"]` names, before clipping. None for the
            kinds of the library, which `tfmp.ops.integer` computes, so that this table loads without TensorFlow.
        lacks: Names of the targets that do not run it, or not exactly, to the reason, the end of a sentence; or to a
            function of (operation, graph) that returns the reason, or None if the target runs this operation.

    Raises:
        TypeError: If a field has the wrong type.

    Example:
        >>> tfmp.operators.register(tfmp.operators.OperationKind("maximum", write_maximum, compute=compute_maximum))
    """

    kind: str
    write: Callable[[TensorTable, IntegerOperation], None]
    _: dataclasses.KW_ONLY
    compute: Callable[..., Any] | None = None
    lacks: Mapping[str, str | Callable[[IntegerOperation, IntegerGraph], str | None]] = dataclasses.field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        check_text("kind", self.kind)
        where = f"Operation `{self.kind}`"
        if not callable(self.write):
            raise TypeError(f"{where}: `write` must be a function. Received: {self.write!r}")
        if self.compute is not None and not callable(self.compute):
            raise TypeError(f"{where}: `compute` must be a function, or None. Received: {self.compute!r}")

    def missing_in(self, target: Target, operation: IntegerOperation, graph: IntegerGraph) -> str | None:
        """Returns why a target does not run an operation of this kind in a graph; None if it does."""
        reason = self.lacks.get(target.name)
        return reason(operation, graph) if callable(reason) else reason

    def check_target(self, target: Target, operation: IntegerOperation, graph: IntegerGraph) -> None:
        """Raises `ValueError` for an operation that a target lacks; the message names the layer."""
        reason = self.missing_in(target, operation, graph)
        if reason:
            raise ValueError(
                f"Layer `{operation.layer or operation.name}` does not run in {target.words}: it {reason}. Replace the "
                f'layer, or export with `target="{LITERT.name}"`.'
            )
