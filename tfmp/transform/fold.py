"""`tfmp.fold`: the integer inference model of a fixed model."""

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph, IntegerGraph
from tfmp.lowering.lowering import Lowering
from tfmp.lowering.weight_packing import check_mode
from tfmp.operators import operator_of
from tfmp.transform.candidate_checks import check_library
from tfmp.transform.finite_weights import check_finite_weights
from tfmp.transform.stored_values import StoredValues


def fold(fixed: KerasModel, *, mode: str = "fast") -> KerasModel:
    """Returns the inference model of a fixed model: the same integers and the same roundings as its file.

    Normalization is folded into per-channel scales, biases lie on the int32 grid of the accumulators, and every
    operator rounds once, as the runtime does. `fixed` itself stays trainable and is not changed.

    Args:
        fixed: What `tfmp.fix` returned, or a model of `tfmp.layers` with one candidate each.
        mode: That of the file, `"fast"` or `"small"`: packed weights leave their biases a coarser grid.

    Returns:
        A model of the same framework with the same inputs; several outputs come as a dict, by the names that the file
        has for them. It cannot be trained.

    Raises:
        ValueError: If bits are still open, a range was never calibrated, a tensor is not quantized, or a layer has no
            integer form; the message names it.

    Example:
        >>> np.mean(tfmp.fold(fixed).predict(x) == fixed.predict(x))
    """
    check_mode(mode)
    framework = framework_of(fixed, "fixed")
    return framework.write_integer(fold_graph(framework.read(fixed), mode=mode))


def fold_graph(graph: Graph, *, mode: str = "fast") -> IntegerGraph:
    """Returns the integer network of a fixed network; see `fold`."""
    check_mode(mode)
    check_fixed(graph)
    for layer in graph.in_order():
        operator = operator_of(layer)
        if operator is not None and operator.check is not None:
            operator.check(layer)
    return Lowering(graph, StoredValues(mode)).run()


def check_fixed(graph: Graph) -> None:
    """Raises `ValueError` if bits are still open, nothing is quantized, or weights that were read are not finite."""
    check_finite_weights(graph)
    if graph.searched:
        names = ", ".join(layer.name for layer in graph.searched)
        raise ValueError(
            f"The bits of these layers are still open: {names}. Call `tfmp.discretize` and `tfmp.fix` first."
        )
    for layer in graph.layers.values():
        check_library(layer)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        raise ValueError(f"Model `{graph.name}` has no quantized layer. Expected what `tfmp.fix` returned.")
