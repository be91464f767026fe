"""Cost `micro_arena_bytes`: bytes of memory of TensorFlow Lite for Microcontrollers."""

import collections
import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from tfmp.costs.cost import Cost, LayerSum, tables
from tfmp.graph import CodeFormat, Graph, Layer, LayerShape
from tfmp.graph.targets import MICRO
from tfmp.lowering.arena import DECODER_BYTES, Arena, aligned
from tfmp.lowering.open_lowering import write_open
from tfmp.lowering.weight_packing import WeightStorage, check_mode, weight_storage


class MicroArenaBytes(Cost):
    """The arena of the interpreter: its tensors, planned as it plans them, and its own structures.

    It is what the interpreter uses with pointers of 64 bits; a microcontroller with shorter ones needs less. A kernel
    that is packed takes memory, as INT8, while its layer runs: fewer bits in the file can mean more memory.

    The cost is not a sum over layers: each operator has a sum, and the cost is the largest.

    Args:
        mode: That of the export, `"small"` or `"fast"`.

    Raises:
        ValueError: In `sums`, if the runtime lacks an operation of the network.

    Example:
        >>> budgets = [tfmp.Budget("micro_bytes", limit=262144), tfmp.Budget("micro_arena_bytes", limit=65536)]
    """

    name = "micro_arena_bytes"
    unit = "bytes"
    per_call = False
    file_target = MICRO

    def __init__(self, mode: str = "small"):
        check_mode(mode)
        self.mode = mode

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        """Returns the bytes that each kernel takes while its layer runs, besides those in the file."""
        sizes = [float(aligned(self._storage(shape, each).unpacked_bytes)) for each in weight_formats]
        return np.repeat(np.array(sizes)[:, None], len(activation_formats), axis=1)

    def sums(self, graph: Graph, layers: Collection[str]) -> tuple[LayerSum, ...]:
        arena = self._arena(graph, "fast")
        calls = collections.Counter(call.layer for call in graph.calls)
        unpacked = tables(graph, self)
        decoders = {name: calls[name] * self._decoder_table(graph.layers[name]) for name in unpacked}
        in_use: dict[str | None, int] = {None: 0}
        for step in arena.steps():
            in_use[step.layer] = max(in_use.get(step.layer, 0), step.num_bytes)
        sums = [
            LayerSum(
                {name: table + (unpacked[name] if name == layer else 0) for name, table in decoders.items()},
                float(arena.persistent_bytes + num_bytes),
            )
            for layer, num_bytes in in_use.items()
        ]
        # The runtime's plan can leave gaps: others among unpacked kernels than where none is unpacked.
        first = {layer.name: (layer.weight.bits[0], layer.activation.bits[0]) for layer in graph.searched}
        gap = max(0.0, self._arena(graph, self.mode).total_bytes - max(each.of(graph, first) for each in sums))
        sums = [dataclasses.replace(each, constant=each.constant + gap) for each in sums]
        if graph.searched:
            sums.append(LayerSum(decoders, float(arena.total_bytes)))
        return tuple(_without(graph, each, layers) for each in sums)

    def _arena(self, graph: Graph, mode: str) -> Arena:
        arena = Arena()
        inputs, outputs = write_open(graph, arena, mode=mode, target=MICRO)
        arena.finish(inputs.values(), outputs.values())
        return arena

    def _decoder_table(self, layer: Layer) -> np.ndarray:
        shape, formats = layer.require_shape(), layer.weight.formats
        sizes = [0.0 if self._storage(shape, each).index_bits is None else float(DECODER_BYTES) for each in formats]
        return np.repeat(np.array(sizes)[:, None], len(layer.activation.formats), axis=1)

    def _storage(self, shape: LayerShape, weight_format: CodeFormat) -> WeightStorage:
        if weight_format.is_float:
            return WeightStorage(8, shape.num_weights)
        low, high = weight_format.code_range
        return weight_storage(shape, low, high, bits=weight_format.bits, mode=self.mode, target=MICRO)

    def outside(self, graph: Graph, layers: Collection[str]) -> float:
        return 0.0  # all layers are in the sums


def _without(graph: Graph, total: LayerSum, layers: Collection[str]) -> LayerSum:
    """Returns a sum over some layers only, with the expectation of the others in its constant."""
    others = LayerSum({name: table for name, table in total.tables.items() if name not in layers}, total.constant)
    return LayerSum({name: total.tables[name] for name in layers}, others.of(graph))
