"""The layers of a fixed network, with all that a report says about each."""

from collections.abc import Mapping

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph, Layer
from tfmp.inspection.simulate_model import simulate
from tfmp.reports import NetworkLayer, TFLiteFile
from tfmp.reports.run_parts import Scores
from tfmp.simulator import Hardware
from tfmp.transform.edits.parts import with_parts

_BATCH = 16


def network_layers(
    fixed: KerasModel,
    *,
    file: TFLiteFile | None = None,
    scores: Scores | None = None,
    hardware: str | Hardware = "bit_fusion",
) -> tuple[NetworkLayer, ...]:
    """Returns inputs, layers with a kernel and layers that join branches, in the order in which they run.

    Args:
        fixed: A fixed model.
        file: Contents of its file.
        scores: Sensitivities of its layers.
        hardware: The accelerator on which energy and time are simulated, for a batch of 16. Both are left out if it
            does not support the bits.
    """
    graph = with_parts(framework_of(fixed, "fixed").read(fixed, weights=False))
    stored = {layer.name: layer for layer in file.layers} if file is not None else {}
    simulated = _simulated(fixed, hardware)
    rows = []
    for name, reads in _connections(graph).items():
        layer, of_file = graph.layers[name], stored.get(name)
        energy_nj, latency_us = simulated.get(name, (None, None))
        bits = _bits(layer)
        rows.append(
            NetworkLayer(
                name,
                layer.kind,
                reads,
                weight_bits=bits and bits[0],
                activation_bits=bits and bits[1],
                macs=layer.shape.macs if layer.shape is not None else None,
                file_bytes=of_file.size_bytes if of_file is not None else None,
                container=of_file.container if of_file is not None else "",
                energy_nj=energy_nj,
                latency_us=latency_us,
                harm=_harm(scores or {}, name, bits),
            )
        )
    return tuple(rows)


def _connections(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Returns the listed layers, each with those that it reads, directly or through layers that are not listed."""
    connections: dict[str, tuple[str, ...]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        reads = tuple(dict.fromkeys(name for tensor in call.inputs for name in sources[tensor]))
        is_listed = layer.shape is not None or not call.inputs or len(reads) > 1
        if is_listed:
            before = connections.get(layer.name, ())
            connections[layer.name] = tuple(dict.fromkeys((*before, *(name for name in reads if name != layer.name))))
        sources.update(dict.fromkeys(call.outputs, (layer.name,) if is_listed else reads))
    return connections


def _bits(layer: Layer) -> tuple[int, int] | None:
    if layer.shape is None or not layer.is_quantized or layer.is_searched:
        return None
    return layer.weight.bits[0], layer.activation.bits[0]


def _harm(scores: Scores, name: str, bits: tuple[int, int] | None) -> float | None:
    if bits is None or name not in scores:
        return None
    tensors = zip(("weights", "activations"), bits, strict=True)
    harms = [scores[name][tensor].get(chosen, 0.0) for tensor, chosen in tensors if len(scores[name][tensor]) > 1]
    return float(sum(harms))


def _simulated(fixed: KerasModel, hardware: str | Hardware) -> Mapping[str, tuple[float, float]]:
    """Returns the energy in nJ and the time in microseconds of each layer, for one sample."""
    try:
        report = simulate(fixed, hardware=hardware, batch=_BATCH)
    except ValueError:  # bits that it does not support, or a layer in floating point
        return {}
    found: dict[str, tuple[float, float]] = {}
    for row in report.layers:
        if row.modelled and row.latency_ms is not None:
            energy_nj, latency_us = found.get(row.name, (0.0, 0.0))
            found[row.name] = (
                energy_nj + row.energy_nj["total"] / _BATCH,
                latency_us + 1000 * row.latency_ms / _BATCH,
            )
    return found
