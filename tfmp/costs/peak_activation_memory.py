"""Cost `peak_activation_memory`: most bits of activations in memory at once."""

from collections.abc import Collection, Sequence

import numpy as np

from tfmp.costs.activation_memory import ActivationMemory
from tfmp.costs.cost import LayerSum
from tfmp.costs.live_values import live_values
from tfmp.graph import Graph, Layer


class PeakActivationMemory(ActivationMemory):
    """The largest number of activation bits alive at once while the integer network runs for one sample.

    It counts the stored tensors, each in its stored format: the input of a layer at the layer's bits; a tensor with
    several readers at 8 bits, with a copy for each reader of fewer bits; and the floating-point inputs and outputs of
    the network. At 8 bits, these are the tensors of the exported file. Operations run in the order of the file; scratch
    memory of the runtime is not counted.

    The cost is not a sum over layers: each operation has a sum, and the cost is the largest. The expected cost of a
    relaxed network is the largest of the expected sums. A search prices the layers that are alive at the current peak.

    Raises:
        ValueError: In `sums`, if the size of a tensor is free.

    Example:
        >>> budget = tfmp.Budget("peak_activation_memory", limit=8 * 256 * 1024)
    """

    name = "peak_activation_memory"

    def sums(self, graph: Graph, layers: Collection[str]) -> tuple[LayerSum, ...]:
        chosen = [graph.layers[name] for name in layers]
        rows = []
        for fixed, values in live_values(graph):
            values = dict(values)
            counts = [values.pop(layer.name, 0) for layer in chosen]
            others = sum(count * _expected_bits(graph.layers[name]) for name, count in values.items())
            rows.append((fixed + others, *counts))
        bits = [_bits_table(layer) for layer in chosen]
        zeros = {table.shape: np.zeros_like(table) for table in bits}  # most tensors do not exist at most places
        return tuple(
            LayerSum(
                {
                    layer.name: count * table if count else zeros[table.shape]
                    for layer, count, table in zip(chosen, counts, bits, strict=True)
                },
                constant,
            )
            for constant, *counts in _undominated(rows)
        )

    def outside(self, graph: Graph, layers: Collection[str]) -> float:
        return 0.0  # all layers are in the sums


def _expected_bits(layer: Layer) -> float:
    return float(np.dot(layer.activation.probabilities, layer.activation.bits))


def _bits_table(layer: Layer) -> np.ndarray:
    """Returns the bits of a value of the layer's input, for each pair of candidates."""
    return np.repeat(np.array(layer.activation.bits, np.float64)[None, :], len(layer.weight.bits), axis=0)


def _undominated(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Returns the rows that no other row exceeds in all entries: one of them is the largest sum at any bits."""
    kept = np.zeros((0, len(rows[0]))) if rows else np.zeros((1, 0))
    for row in sorted(map(np.array, rows), key=lambda row: -row.sum()):
        if not (kept >= row).all(axis=1).any():
            kept = np.vstack([kept, row])
    return kept.tolist() if rows else [[0.0]]
