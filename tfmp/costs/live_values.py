"""Tensors that are in memory at each step of a network."""

import math

from tfmp.costs.file_structure import file_structure
from tfmp.graph import Graph

_FLOAT_BITS, _RUNTIME_BITS = 32, 8


def live_values(graph: Graph) -> list[tuple[float, dict[str, int]]]:
    """Returns what is alive while each operation of the integer network runs, for one sample.

    A tensor lives from the operation that writes it to the last one that reads it, both included; inputs of the network
    from the beginning, outputs to the end. What an operation only reshapes stays where it is.

    Returns:
        For every operation the bits of what is in floating point or on a grid of the runtime's own, and layer name to
        the number of values that are stored on the grid of that layer's input.

    Raises:
        ValueError: If the size of a tensor is free.
    """
    made, place = file_structure(graph), {}
    first, last = dict.fromkeys(graph.input_names, 0), dict.fromkeys(graph.input_names, 0)
    grids, shapes = dict.fromkeys(graph.input_names), {name: graph.tensors[name].shape for name in graph.input_names}
    count = 0
    for operation in made.operations:
        read = [place.get(name, name) for name in operation.inputs]
        if operation.kind == "RESHAPE":
            place[operation.output] = read[0]
            continue
        grids[operation.output], shapes[operation.output] = operation.grid, operation.shape
        first[operation.output] = count
        last.update(dict.fromkeys((*read, operation.output), count))
        count += 1
    last.update((place.get(name, name), count - 1) for name in made.outputs)
    steps = [(0.0, {}) for _ in range(count)]
    for name, grid in grids.items():
        values, owner = _count(name, shapes[name]), made.owners.get(grid)
        for step in range(first[name], last[name] + 1):
            fixed, owned = steps[step]
            if owner is None:
                steps[step] = fixed + values * (_FLOAT_BITS if grid is None else _RUNTIME_BITS), owned
            else:
                owned[owner] = owned.get(owner, 0) + values
    return steps


def _count(name, shape):
    if None in shape[1:]:
        raise ValueError(
            f"Tensor `{name}` has a free size, {shape}: the memory that it takes is not known. Build the model with an "
            "input of fixed sizes."
        )
    return math.prod(shape[1:])
