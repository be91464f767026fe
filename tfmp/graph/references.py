"""Tensors inside nested structures, such as the arguments of a call."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class TensorRef:
    """Stands for a tensor inside the arguments of a call."""

    name: str


def map_references(structure: Any, function: Callable[[TensorRef], Any]) -> Any:
    """Copies a nested structure of tuples, lists and dicts with `function(reference)` for every `TensorRef`."""
    if isinstance(structure, TensorRef):
        return function(structure)
    if isinstance(structure, list | tuple):
        return type(structure)(map_references(item, function) for item in structure)
    if isinstance(structure, Mapping):
        return {key: map_references(item, function) for key, item in structure.items()}
    return structure


def references_in(structure: Any) -> Iterator[str]:
    """Yields the names of the tensors in a nested structure of tuples, lists and dicts."""
    if isinstance(structure, TensorRef):
        yield structure.name
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from references_in(item)
    elif isinstance(structure, Mapping):
        for item in structure.values():
            yield from references_in(item)
