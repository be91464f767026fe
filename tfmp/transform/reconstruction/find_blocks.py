"""Divides a network into the blocks that are reconstructed one after another."""

import dataclasses
import math
from collections.abc import Collection, Iterator

from tfmp.graph import Call, Graph

_MOST_LAYERS = 6


@dataclasses.dataclass(frozen=True)
class Block:
    """Calls whose layers are learned together, from the error of their outputs.

    Args:
        layers: Names of its layers with a kernel, in the order in which they run.
        calls: Positions of its calls in `Graph.calls`, in increasing order.
        inputs: Names of the tensors that it reads.
        outputs: Names of the tensors that others read from it, or that are outputs of the network.
    """

    layers: tuple[str, ...]
    calls: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def find_blocks(graph: Graph, *, most_layers: int = _MOST_LAYERS) -> tuple[Block, ...]:
    """Returns the blocks of a network, in the order in which their first calls run.

    Where branches that leave one tensor join again (residual connections, squeeze-and-excitation, concatenations), all
    calls between are one block, if no other tensor leaves them and they have at most `most_layers` layers with a
    kernel; among nested ones, the outermost such block is taken. Every other layer with a kernel is a block of its own.
    What follows a block and keeps the number of values (normalization, activation, quantizer), up to the next layer
    with a kernel or the next tensor with several readers, belongs to it. Every layer with a kernel is in one block,
    with all its calls.

    Args:
        graph: The network.
        most_layers: As above.

    Reference: Li et al., 2021, section 3.2, https://arxiv.org/abs/2102.05426
    """
    return _Division(graph, most_layers).blocks()


class _Division:
    """The calls of a graph by position, with sets of positions as the bits of integers."""

    def __init__(self, graph: Graph, most_layers: int):
        self.graph, self.most_layers = graph, most_layers
        self.position = {tensor: number for number, call in enumerate(graph.calls) for tensor in call.outputs}
        self.kernels = {number for number, call in enumerate(graph.calls) if graph.layer_of(call).shape is not None}
        self.calls_of: dict[str, list[int]] = {}
        for number, call in enumerate(graph.calls):
            self.calls_of.setdefault(call.layer, []).append(number)
        self.regions = sorted(self._regions(), key=len, reverse=True)  # of nested ones, the outer one is first

    def blocks(self):
        owned: set[int] = set()
        groups = []
        for region in self.regions:
            kernels = self._layers(region)
            if 0 < len(kernels) <= self.most_layers and not owned & region and self._has_all_calls(kernels, region):
                owned |= region
                groups.append(set(region))
        for number in sorted(self.kernels - owned):
            calls = self.calls_of[self.graph.calls[number].layer]
            if number == calls[0]:
                groups.append(set(calls))
                owned.update(calls)
        for group in groups:
            for output in sorted(group):
                if self._leaves(output, group):
                    self._follow(output, group, owned)
        return tuple(self._block(group) for group in sorted(groups, key=min))

    def _regions(self) -> Iterator[frozenset[int]]:
        """Yields the calls between each joining call and the last call that all its paths pass, itself left out."""
        before: list[int] = []  # the calls that lead to each call
        passed: list[int] = []  # those on every path to it, itself included
        for number, call in enumerate(self.graph.calls):
            sources = sorted({self.position[name] for name in call.inputs})
            before.append(0)
            passed.append(-1 if sources else 0)
            for source in sources:
                before[number] |= before[source] | 1 << source
                passed[number] &= passed[source]
            entry = passed[number].bit_length() - 1
            passed[number] |= 1 << number
            if len(sources) > 1 and entry >= 0:
                inside = {
                    other for other in range(entry + 1, number) if before[number] >> other & before[other] >> entry & 1
                }
                region = frozenset(inside | {number})
                if not any(self._leaves(other, region) for other in inside):
                    yield region

    def _leaves(self, number, group: Collection[int]) -> bool:
        """Returns True if a call outside of a group, or the user, reads an output of a call."""
        outputs = self.graph.calls[number].outputs
        readers = {self.position[call.outputs[0]] for name in outputs for call in self.graph.readers(name)}
        return not readers <= set(group) or any(name in self.graph.output_names for name in outputs)

    def _layers(self, calls):
        return list(dict.fromkeys(self.graph.calls[number].layer for number in sorted(self.kernels & set(calls))))

    def _has_all_calls(self, layers, calls):
        return all(set(self.calls_of[layer]) <= set(calls) for layer in layers)

    def _follow(self, number, group, owned):
        """Adds what follows a call to its group."""
        while True:
            added = self._next(number)
            if added is None or added & owned:
                return
            group |= added
            owned |= added
            number = max(added)

    def _next(self, number) -> set[int] | None:
        """Returns the call after a call, or the calls up to where the branches after it join; None at the end."""
        call = self.graph.calls[number]
        readers = {self.position[reader.outputs[0]] for name in call.outputs for reader in self.graph.readers(name)}
        if any(name in self.graph.output_names for name in call.outputs) or not readers:
            return None
        if len(readers) == 1:
            added = readers
        else:
            around = (region for region in self.regions if readers <= region and min(region) > number)
            added = set(next(around, ()))
        if not added or added & self.kernels or self._reads_others(added, number):
            return None
        last = self.graph.calls[max(added)]
        keeps_size = self._num_values(last.outputs[0]) == self._num_values(call.outputs[0])
        return added if keeps_size else None

    def _reads_others(self, added, number):
        sources = {self.position[name] for other in added for name in self.graph.calls[other].inputs}
        return not sources <= added | {number}

    def _num_values(self, tensor):
        return math.prod(size or 1 for size in self.graph.tensors[tensor].shape[1:])

    def _block(self, group) -> Block:
        calls: list[Call] = [self.graph.calls[number] for number in sorted(group)]
        inside = {name for call in calls for name in call.outputs}
        outside = (name for call in calls for name in call.inputs if name not in inside)
        outputs = (
            name
            for call in calls
            for name in call.outputs
            if name in self.graph.output_names or any(reader not in calls for reader in self.graph.readers(name))
        )
        return Block(
            tuple(self._layers(group)),
            tuple(sorted(group)),
            tuple(dict.fromkeys(outside)),
            tuple(dict.fromkeys(outputs)),
        )
