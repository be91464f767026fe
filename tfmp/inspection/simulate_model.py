"""`tfmp.simulate`: energy and cycles of a model on a simulated machine."""

from collections.abc import Mapping

from tfmp import simulator
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import BitAssignment, LayerShape
from tfmp.operators import TABLE
from tfmp.reports import NetworkReport
from tfmp.simulator import Hardware
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.fix import check_assignment


def simulate(
    model: KerasModel,
    *,
    assignment: BitAssignment | Mapping[str, tuple[int, int]] | tuple[int, int] | None = None,
    hardware: str | Hardware = "bit_fusion",
    batch: int = 16,
    objective: str = "latency",
    depthwise: str | None = None,
) -> NetworkReport:
    """Simulates a model on an accelerator or a microcontroller, layer by layer.

    Args:
        model: A Keras model: in floating point, relaxed or fixed.
        assignment: A `BitAssignment` or a mapping for the searched layers of a relaxed model, or a pair
            `(weight_bits, activation_bits)` for every layer with a kernel, which a float model needs.
        hardware: A `tfmp.simulator.Hardware`, or the name of a preset.
        batch: Samples per batch.
        objective: `"latency"` or `"energy"`: what each layer's schedule minimizes first.
        depthwise: Encoding of depthwise layers, None for the machine's first; see `tfmp.simulator.simulate_layer`.

    Returns:
        A `NetworkReport` in the order in which the layers run; its cycles and milliseconds are those of the simulated
        machine. Layers that it does not price (pooling, addition, normalization) have rows marked not modelled.

    Raises:
        ValueError: If a layer has no bits, or the hardware does not support them.

    Example:
        >>> print(tfmp.simulate(fixed, hardware="bit_fusion", batch=16))
    """
    graph = with_parts(framework_of(model).read(model, weights=False))
    uniform, chosen = None, BitAssignment({})
    if isinstance(assignment, tuple):
        uniform = assignment
    elif assignment is not None:
        chosen = BitAssignment.of(assignment)
        check_assignment(graph, chosen)
    rows: list[LayerShape | tuple[str, str]] = []
    bits = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        if not call.inputs or (layer.kind in TABLE and TABLE[layer.kind].keeps_values):
            continue
        if layer.shape is None:
            rows.append((layer.name, layer.kind))
            continue
        rows.append(layer.shape)
        bits[layer.name] = uniform or chosen.bits.get(layer.name) or _own_bits(layer)
    return simulator.simulate(rows, bits, hardware, batch, objective=objective, depthwise=depthwise)


def _own_bits(layer):
    if layer.is_searched:
        raise ValueError(
            f"The bits of layer `{layer.name}` are still open. Give `assignment=`, from `tfmp.discretize` for example."
        )
    if layer.weight.formats[0].is_float or layer.activation.formats[0].is_float:
        raise ValueError(
            f"Layer `{layer.name}` is in floating point, which the array does not compute. Give its bits: "
            "`assignment=(8, 8)` for all layers, or quantize the model first."
        )
    return layer.weight.bits[0], layer.activation.bits[0]
