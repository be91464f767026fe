"""Finds what is in memory while a network runs."""

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from tfmp.graph import Graph
from tfmp.graph.open_values import Constant, OpenArray
from tfmp.lowering.open_lowering import write_open
from tfmp.operators.writing.sink import Options, Quantization, Sink

_CONSTANT = -1


def live_values(graph: Graph) -> list[tuple[float, dict[str, int]]]:
    """Returns what is alive while each operation of the integer network runs, for one sample.

    A tensor lives from the operation that writes it to the last one that reads it, both included; inputs of the network
    from the beginning, outputs to the end. What an operation only reshapes or clips stays where it is.

    Returns:
        For every operation the bits of what is in floating point or on a grid of the runtime's own, and layer name to
        the number of values that are stored on the grid of that layer's input.

    Raises:
        ValueError: If the size of a tensor is free.
    """
    for name, tensor in graph.tensors.items():
        if None in tensor.shape[1:]:
            raise ValueError(
                f"Tensor `{name}` has a free size, {tensor.shape}: the memory that it takes is not known. Build the "
                "model with an input of fixed sizes."
            )
    liveness = Liveness()
    _, outputs = write_open(graph, liveness, full_range=True)
    return liveness.steps(outputs.values())


class Liveness(Sink):
    """Keeps the first and the last step at which every tensor is in memory.

    A step is an operator that writes other values than it reads, or on another grid: not RESHAPE, nor QUANTIZE between
    equal scales, which clips.
    """

    def __init__(self) -> None:
        self._tensors: list[tuple[int, str, Quantization | None]] = []
        self._place: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._num_steps = 0

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        self._tensors.append((math.prod(shape), dtype, quantization))
        return len(self._tensors) - 1

    def constant(
        self,
        name: str,
        values: Constant,
        *,
        quantization: Quantization | None = None,
        packed_bits: int | None = None,
    ) -> int:
        return _CONSTANT

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int, options: Options | None = None
    ) -> None:
        read = [self._place.get(index, index) for index in inputs if index != _CONSTANT]
        if kind == "RESHAPE" or (kind == "QUANTIZE" and self._scales(inputs[0]) == self._scales(outputs[0])):
            self._place[outputs[0]] = read[0]
            return
        self._first.update(dict.fromkeys(outputs, self._num_steps))
        self._last.update(dict.fromkeys((*read, *outputs), self._num_steps))
        self._num_steps += 1

    def _scales(self, index: int) -> Hashable:
        _, dtype, quantization = self._tensors[index]
        return index if quantization is None else (dtype, quantization.scales)

    def steps(self, outputs: Iterable[int]) -> list[tuple[float, dict[str, int]]]:
        """Returns what is alive at every step, see `live_values`; `outputs` stay to the end."""
        last = self._last | {self._place.get(index, index): self._num_steps - 1 for index in outputs}
        steps: list[tuple[float, dict[str, int]]] = [(0.0, {}) for _ in range(self._num_steps)]
        for index, end in last.items():
            values, dtype, quantization = self._tensors[index]
            owner = None if quantization is None else _owner(quantization)
            for step in range(self._first.get(index, 0), end + 1):
                fixed, owned = steps[step]
                if owner is None:
                    steps[step] = fixed + 8 * np.dtype(dtype).itemsize * values, owned
                else:
                    owned[owner] = owned.get(owner, 0) + values
        return steps


def _owner(quantization: Quantization) -> str | None:
    """Name of the layer whose range a tensor has; None for those of the runtime."""
    scales = quantization.scales
    return scales.label if isinstance(scales, OpenArray) and isinstance(scales.label, str) else None
