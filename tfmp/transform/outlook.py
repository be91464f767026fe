"""Predicts which export modes are possible for a network."""

from collections.abc import Mapping

from tfmp.graph import Graph
from tfmp.operators.fold_error import FoldError
from tfmp.reports import ExportOutlook
from tfmp.transform.candidate_checks import check_kernel, check_library, check_range
from tfmp.transform.dry_run import free_sizes


def integer_outlook(errors: Mapping[str, FoldError]) -> ExportOutlook:
    """Returns the outlook of the integer modes from the result of `fold_errors`, with its first layer."""
    if not errors:
        return ExportOutlook("yes")
    first, *others = errors.values()
    more = f" (and {len(others)} more)" if others else ""
    return ExportOutlook("no", first.reason + more, first.way_out)


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
