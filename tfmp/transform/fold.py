"""`tfmp.fold`: the integer inference model of a fixed model."""

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph, IntegerGraph
from tfmp.graph.targets import LITERT, Target, target_of
from tfmp.lowering.lowering import Lowering
from tfmp.lowering.weight_packing import check_mode
from tfmp.operators import operator_of
from tfmp.transform.candidate_checks import check_library
from tfmp.transform.model_checks import check_finite_weights
from tfmp.transform.stored_values import StoredValues


def fold(fixed: KerasModel, *, mode: str | None = None, target: str = "litert") -> KerasModel:
    """Returns the integer inference model of a fixed model, with the integers and roundings of its file.

    Normalizations are folded into per-channel scales, biases are int32 codes on the grid of the accumulators, and every
    operator rounds once, as in the runtime. `fixed` is not changed and stays trainable.

    Args:
        fixed: A fixed model, or a model of `tfmp.layers` with one candidate each.
        mode: Mode of the file, `"fast"` or `"small"`: with packed weights, biases have a coarser grid. By default that
            of `tfmp.export_tflite` for the target.
        target: Runtime of the file, `"litert"` or `"micro"`, as in `tfmp.export_tflite`; they round differently.

    Returns:
        A model of the same framework with the same inputs; several outputs are a dict, by their names in the file. It
        cannot be trained.

    Raises:
        ValueError: If bits are still open, a range was never calibrated, a tensor is not quantized, or a layer has no
            integer form; the message names it.

    Example:
        >>> np.mean(tfmp.fold(fixed).predict(x) == fixed.predict(x))
    """
    runtime = target_of(target)
    mode = runtime.mode if mode is None else mode
    check_mode(mode)
    framework = framework_of(fixed, "fixed")
    return framework.write_integer(fold_graph(framework.read(fixed), mode=mode, target=runtime))


def fold_graph(graph: Graph, *, mode: str = "fast", target: Target = LITERT) -> IntegerGraph:
    """Returns the integer network of a fixed network; see `fold`."""
    check_mode(mode)
    check_fixed(graph)
    for layer in graph.in_order():
        operator = operator_of(layer)
        if operator is not None and operator.check is not None:
            operator.check(layer)
    return Lowering(graph, StoredValues(mode, target)).run().with_arithmetic(target.arithmetic)


def check_fixed(graph: Graph) -> None:
    """Raises `ValueError` if bits are still open, nothing is quantized, or weights are not finite."""
    check_finite_weights(graph)
    if graph.searched:
        names = ", ".join(layer.name for layer in graph.searched)
        raise ValueError(
            f"The bits of these layers are still open: {names}. Call `tfmp.discretize` and `tfmp.fix` first."
        )
    for layer in graph.layers.values():
        check_library(layer)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        raise ValueError(f"Model `{graph.name}` has no quantized layer. Expected a model from `tfmp.fix`.")
