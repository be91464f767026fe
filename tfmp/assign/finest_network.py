"""The two networks with which sensitivities are measured: one with 8 bits everywhere, one in floating point."""

import dataclasses

from tfmp import quantizers
from tfmp.bindings.framework import framework_named
from tfmp.graph import Candidates, Graph
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.edits.split_layers import with_separate_activations


class FinestNetwork:
    """A relaxed network with 8 bits added to every tensor's candidates, and the float model of the same network.

    Each candidate has its own range, and all candidates of a tensor quantize one tensor.

    Args:
        graph: A relaxed network with its weights.

    Attributes:
        graph: The graph of `model`.
        model: The relaxed model.
        floating_graph: The graph of `floating`.
        floating: The float model, with the same tensor names.
        selectors: Layer name to a pair: the selectors of kernel and input, None for a tensor that is not quantized.
    """

    def __init__(self, graph: Graph):
        self.framework = framework_named(graph.framework)
        self.floating_graph = with_separate_activations(in_floating_point(graph))
        self.graph = with_separate_activations(_with_finest(graph))
        self.model, self.floating = self.framework.write(self.graph), self.framework.write(self.floating_graph)
        self.selectors = {}
        for layer in graph.searched:
            built = self.framework.layer(self.model, layer.name)
            self.selectors[layer.name] = built.weight_selector, built.activation_selector


def _with_finest(graph):
    """Returns the relaxed network with 8 bits among each tensor's candidates and a separate range for each."""
    changed = {}
    for layer in graph.searched:
        finest = layer.with_candidates(
            _with_8_bits(layer.weight),
            _with_8_bits(layer.activation),
            shared_range=False,
            relaxation="gumbel",
            shared_weights=True,  # one tensor at a time, with one kernel
            coupled=False,
        )
        changed[layer.name] = dataclasses.replace(finest, coupled=False, price=None)
    return graph.replace_layers(changed)


def _with_8_bits(candidates):
    if len(candidates.formats) == 1:
        return candidates
    bits = sorted({*candidates.bits, quantizers.MAX_BITS})
    return Candidates.of([quantizers.get(candidates.quantizer, bits=b, signed=candidates.signed) for b in bits])
