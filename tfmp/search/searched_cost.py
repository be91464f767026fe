"""The layers whose bits are searched, and the part of a cost that depends on them."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import numpy as np

from tfmp import costs, quantizers
from tfmp.graph import BitAssignment, Candidates, Graph, Layer
from tfmp.lowering.stored_inputs import stored_by

# Reasons of layers that are not searched but computed in integers.
KEPT_BITS, KEPT_QUANTIZERS = 8, ("linear", "moving_range")


def chosen_layers(graph: Graph) -> tuple[Layer, ...]:
    """Returns the layers whose bits are searched, in the order in which they first run.

    In a model relaxed with one candidate, or a fixed model, these are the layers with chosen bits, without those that
    are kept at 8 bits.
    """
    if graph.searched:
        return graph.searched
    quantized = [layer for layer in graph.in_order() if layer.shape is not None and layer.is_quantized]
    return tuple(layer for layer in quantized if not _is_kept(layer)) or tuple(quantized)


def _is_kept(layer: Layer) -> bool:
    bits = layer.weight.bits == layer.activation.bits == (KEPT_BITS,)
    return bits and (layer.weight.quantizer, layer.activation.quantizer) == KEPT_QUANTIZERS


class SearchedCost:
    """The part of a network's cost that depends on the bits of the searched layers, and the rest.

    Args:
        graph: A network with searched layers.
        cost: Name of a cost, or a `tfmp.costs.Cost`.

    Attributes:
        names: The searched layers, in the order of the network.
        sums: `tfmp.costs.LayerSum`s over these layers, in the cost's unit; the cost is the largest of them.
    """

    def __init__(self, graph: Graph, cost: costs.CostLike):
        self.graph = graph
        self.cost = costs.get(cost)
        self.names = tuple(layer.name for layer in chosen_layers(graph))
        self.sums = self.cost.sums(graph, self.names)

    @property
    def tables(self) -> Mapping[str, np.ndarray]:
        """A `[W, A]` array per layer name, of the largest sum at the graph's probabilities."""
        return self.largest().tables

    @functools.cached_property
    def outside(self) -> float:
        """Cost of everything outside the sums; an error if the cost has no price for it, such as energy for floats."""
        return self.cost.outside(self.graph, self.names)

    @property
    def smallest(self) -> float:
        """Smallest cost of an assignment; a lower bound if the sums have their minima at different assignments."""
        return max(sum.smallest for sum in self.sums)

    def largest(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None) -> costs.LayerSum:
        """Returns the largest sum; its tables are a subgradient of the expected cost. Arguments as in `expected`."""
        if len(self.sums) == 1:
            return self.sums[0]
        return max(self.sums, key=lambda sum: sum.of(self.graph, probabilities=probabilities))

    def uniform(self, weight_bits: int, activation_bits: int) -> float:
        """Returns the cost with every searched layer at one pair of bits, candidate or not.

        A layer whose kernel or input is not quantized does not change.
        """
        graph = with_uniform_bits(self.graph, weight_bits, activation_bits)
        return max(sum.of(graph) for sum in self.cost.sums(graph, self.names))

    def expected(self, probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None) -> float:
        """Returns the expected cost; `probabilities` maps names to pairs of arrays and replaces those of the graph.

        With several sums, it is the largest expected sum, which is at most the expectation of the largest sum.
        """
        return self.largest(probabilities).of(self.graph, probabilities=probabilities)

    def of(self, bits: Mapping[str, tuple[int, int]] | BitAssignment) -> float:
        """Returns the cost of an assignment, a mapping of names to pairs of candidate bits."""
        return max(sum.of(self.graph, bits) for sum in self.sums)


def with_uniform_bits(graph: Graph, weight_bits: int, activation_bits: int) -> Graph:
    """Returns a network whose searched layers have one pair of bits, candidate or not; float tensors do not change."""
    changed = {
        layer.name: dataclasses.replace(
            layer,
            weight=_one_format(layer.weight, weight_bits),
            activation=_one_format(layer.activation, activation_bits),
        )
        for layer in chosen_layers(graph)
    }
    return with_stored_inputs(graph.replace_layers(changed), changed)


def with_stored_inputs(graph: Graph, names: Iterable[str]) -> Graph:
    """Returns a network with one grid for a stored tensor and its readers of 8 bits.

    Args:
        graph: A network with fixed bits.
        names: The layers whose inputs may take the quantizer `stored`.
    """
    changed = {}
    for layer in map(graph.layers.__getitem__, names):
        if stored_by(graph, layer) is not None:
            stored = quantizers.Stored(layer.activation.bits[0], layer.activation.signed)
            changed[layer.name] = dataclasses.replace(layer, activation=Candidates.of([stored]))
    return graph.replace_layers(changed)


def _one_format(selection: Candidates, bits: int) -> Candidates:
    """Returns the candidate with these bits, or its quantizer's format if there is no such candidate."""
    if selection.formats[0].is_float:
        return selection
    formats = [format for format in selection.formats if format.bits == bits]
    if not formats:
        formats = [quantizers.get(selection.quantizer, bits=bits, signed=selection.signed).format]
    return dataclasses.replace(selection.without_arrays(), formats=tuple(formats), probabilities=(1.0,))
