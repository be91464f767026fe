"""Lowers a network without values, to find what has no integer form and which exports are possible."""

from collections.abc import Mapping, Sequence

from tfmp.graph import Graph, Grid, IntegerGraph
from tfmp.graph.runtime_limits import INT8_HIGH, INT8_LOW
from tfmp.lowering.lowering import Lowering
from tfmp.lowering.open_lowering import OpenValues
from tfmp.operators import operator_of
from tfmp.operators.float_layer import float_reasons
from tfmp.operators.fold_error import FoldError, free_size
from tfmp.operators.integer_builder import Codes
from tfmp.reports import ExportOutlook
from tfmp.transform.candidate_checks import check_kernel, check_library, check_range, check_zero

_STAND_IN = Codes.all_of(Grid(1.0, INT8_LOW, INT8_HIGH))
_CHECKS = (check_library, check_range, check_zero, check_kernel)
_NAMES_SHOWN = 3


def fold_errors(graph: Graph) -> dict[str, FoldError]:
    """Returns the errors of all layers without an integer form, by layer name.

    All integer modes have the same operations, so the result applies to each of them.

    Args:
        graph: A relaxed or fixed network; its bits may be open, its ranges unknown.
    """
    errors = free_sizes(graph)
    if errors:
        return errors
    dry_run = DryRun(graph)
    dry_run.run()
    order = {layer.name: position for position, layer in enumerate(graph.in_order())}
    return dict(sorted(dry_run.errors.items(), key=lambda item: order[item[0]]))


def free_sizes(graph: Graph) -> dict[str, FoldError]:
    """Returns the errors of the first layers whose outputs have free sizes, which files do not support."""
    errors = {}
    for call in graph.calls:
        read, written = ([graph.tensors[name].shape for name in names] for names in (call.inputs, call.outputs))
        free = [shape for shape in written if None in shape[1:]]
        if free and not any(None in shape[1:] for shape in read):
            errors[call.layer] = free_size(call.layer, free[0])
    return errors


class DryRun(Lowering):
    """Lowers a network with stand-ins for scales and codes, and continues after a layer that cannot be lowered.

    Args:
        graph: A network whose bits may be open.

    Attributes:
        errors: Layer name to the error of folding it.
    """

    def __init__(self, graph: Graph):
        super().__init__(graph, OpenValues(graph, "fast", full_range=True))
        self.errors: dict[str, FoldError] = {}
        self._failed: set[str] = set()

    def run(self) -> IntegerGraph:
        for call in self.graph.calls:
            layer = self.graph.layer_of(call)
            if layer.is_quantized:
                self._note(layer, _CHECKS)
            operator = operator_of(layer)
            if operator is not None and operator.check is not None and not self._note(layer, (operator.check,)):
                self._failed.update(call.outputs)
            if operator is None:  # independent of its readers
                for tensor in (*call.inputs, *call.outputs):
                    self.numbers(tensor)
        return super().run()

    def demand(self, tensor: str, codes: Codes) -> str:
        if tensor not in self._failed:
            try:
                return super().demand(tensor, codes)
            except FoldError as error:
                self._add(error)
                self._failed.add(tensor)
        if (tensor, codes) not in self.held:
            name = f"{tensor}_stand_in"
            self.held[tensor, codes] = self.builder.add("quantize", (), name, self.shape(tensor), codes)
        return self.held[tensor, codes]

    def numbers(self, tensor: str) -> str:
        try:
            return super().numbers(tensor)
        except FoldError as error:
            self._add(error)
            return self.builder.input(f"{tensor}_stand_in", self.shape(tensor))

    def stored_grid(self, tensor: str, reader: str | None) -> Grid:
        try:
            return super().stored_grid(tensor, reader)
        except FoldError as error:
            self._add(error)
            return _STAND_IN.grid

    def _note(self, layer, checks):
        """Records the first check that a layer fails; returns whether it passes all."""
        try:
            for check in checks:
                check(layer)
        except FoldError as error:
            self._add(error)
            return False
        return True

    def _add(self, error):
        self.errors.setdefault(error.layer, error)


def integer_outlook(errors: Mapping[str, FoldError], floating: Sequence[str] = ()) -> ExportOutlook:
    """Returns the outlook of the integer modes.

    Args:
        errors: The result of `fold_errors`, whose first layer the outlook names.
        floating: Names of the layers that run in floating point.
    """
    if not errors:
        return ExportOutlook("yes", f"with {in_words(floating)} in floating point" if floating else "")
    first, *others = errors.values()
    more = f" (and {len(others)} more)" if others else ""
    return ExportOutlook("no", first.reason + more, first.way_out)


def in_words(names: Sequence[str]) -> str:
    """Returns the first of some layers' names and the number of the others."""
    shown = ", ".join(f"`{name}`" for name in names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else shown


def check_integer_only(graph: Graph) -> None:
    """Raises `ValueError` if a layer of a network would run in floating point."""
    errors = list(float_reasons(graph).values())
    if errors:
        raise ValueError(
            f"With `integer_only=True`, every layer must have an integer form. Received: model `{graph.name}`, where "
            f"{'; '.join(error.reason for error in errors)}. {errors[0].way_out} Without `integer_only`, these layers "
            "run in floating point."
        )


def float_outlook(graph: Graph) -> ExportOutlook:
    """Returns the outlook of mode `"float"`, where only TensorFlow's converter can tell for sure.

    Args:
        graph: A relaxed or fixed network; its bits may be open.
    """
    errors = free_sizes(graph)
    for layer in graph.in_order():
        try:
            for check in (check_library, check_range, check_kernel):
                check(layer)
        except FoldError as error:
            errors.setdefault(layer.name, error)
    if errors:
        return integer_outlook(errors)
    return ExportOutlook("expected", "unless TensorFlow's converter has no operator for a layer: the export tells")
