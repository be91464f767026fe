"""Matches data to the inputs of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.data.structure import leaves
from tfmp.graph import Graph, Tensor, TensorRef, map_references


class ModelInputs:
    """The inputs of a model or a file, with which data are matched.

    Args:
        structure: A `TensorRef` for one input, or a tuple, list or dict of these.
        tensors: Input tensors by name.
    """

    def __init__(self, structure: Any, tensors: Mapping[str, Tensor]):
        self.structure, self.tensors = structure, tensors
        self.names = tuple(name for name, _ in _pairs(structure, structure))

    @classmethod
    def of(cls, graph: Graph) -> "ModelInputs":
        """Those of a graph."""
        return cls(graph.inputs, graph.tensors)

    @property
    def batch_size(self) -> int | None:
        """The fixed batch size, or None if any is allowed."""
        sizes = {self.tensors[name].shape[0] for name in self.names}
        return next(iter(sizes)) if len(sizes) == 1 else None

    def accepts(self, structure: Sequence[Any]) -> bool:
        """Returns True if a tuple or list has only inputs: distinguishes (input, input) from (inputs, targets)."""
        if any(isinstance(value, list | tuple | Mapping) for value in structure):
            return _same_structure(self.structure, structure)
        return len(list(leaves(structure))) == len(self.names)

    def named(self, arrays: Any, name: str) -> dict[str, np.ndarray]:
        """Returns a dict of arrays by input name, checked and with the rank of the input.

        Args:
            arrays: Arrays in the structure of the model's inputs, in a dict by input name, or in a list in their order.
            name: Name of the data in errors.

        Raises:
            ValueError: If arrays are missing, have another shape, no samples, or values that the input cannot hold.
        """
        matched = self._matched(arrays)
        if matched is None:
            keys = tuple(map(str, self.structure)) if self._is_keyed else self.names
            what = f"the keys {', '.join(map(str, arrays))}" if isinstance(arrays, Mapping) else _described(arrays)
            raise ValueError(
                f"{name} must have one array for each input of the model, {', '.join(keys)}"
                f"{', as a dict with these keys' if self._is_keyed else ''}. Received: {what}."
            )
        return {key: self._checked(matched[key], key, name) for key in self.names}

    def arranged(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """Returns arrays, given by name, in the structure in which the model is called."""
        return map_references(self.structure, lambda reference: arrays[reference.name])

    @property
    def _is_keyed(self):
        return isinstance(self.structure, Mapping)

    def _matched(self, arrays):
        if _same_structure(self.structure, arrays):
            return dict(_pairs(self.structure, arrays))
        if isinstance(arrays, Mapping):
            return arrays if set(self.names) <= set(arrays) else None
        flat = list(leaves(arrays))
        if len(flat) != len(self.names) or self._is_keyed and len(flat) > 1:
            return None
        return dict(zip(self.names, flat, strict=True))

    def _checked(self, array, key, name):
        tensor = self.tensors[key]
        array = np.asarray(array)
        wanted, shape = tensor.shape[1:], array.shape[1:]
        # Like Keras, adds or removes a last axis of size 1.
        if len(shape) == len(wanted) + 1 and shape[-1] == 1:
            shape = shape[:-1]
        elif len(shape) + 1 == len(wanted) and wanted[-1] == 1:
            shape = (*shape, 1)
        if array.ndim == 0 or not _fits(shape, wanted):
            hint = ", without an axis of samples: make batches of it" if _fits(array.shape, wanted) else ""
            raise ValueError(
                f"{name} for input `{key}` must have the shape ({', '.join(map(str, ('samples', *wanted)))}). "
                f"Received: {array.shape}{hint}"
            )
        if tensor.dtype != "string":
            _check_values(array, tensor.dtype, key, name)
        return array.reshape(len(array), *shape)


def _check_values(array, dtype, key, name):
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} for input `{key}` must be numbers. Received: {array.dtype}")
    if not dtype.startswith(("int", "uint")) or array.dtype == dtype or not array.size:
        return
    limits = np.iinfo(dtype)
    if array.min() < limits.min or array.max() > limits.max or array.dtype.kind == "f" and np.any(array % 1):
        raise ValueError(
            f"{name} for input `{key}`, which is {dtype}, must be whole numbers from {limits.min} to {limits.max}. "
            f"Received: {array.dtype} from {array.min():g} to {array.max():g}"
        )


def _fits(shape, wanted):
    return len(shape) == len(wanted) and all(size in (None, given) for given, size in zip(shape, wanted, strict=True))


def _same_structure(structure, arrays):
    """Returns True if `arrays` has an array for each reference of `structure`; other keys of a dict are ignored."""
    if isinstance(structure, TensorRef):
        return hasattr(arrays, "shape")
    if isinstance(structure, Mapping):
        return isinstance(arrays, Mapping) and all(
            key in arrays and _same_structure(value, arrays[key]) for key, value in structure.items()
        )
    if not isinstance(arrays, list | tuple) or len(arrays) != len(structure):
        return False
    return all(_same_structure(*pair) for pair in zip(structure, arrays, strict=True))


def _pairs(structure, arrays):
    if isinstance(structure, TensorRef):
        yield structure.name, arrays
    else:
        for key in structure if isinstance(structure, Mapping) else range(len(structure)):
            yield from _pairs(structure[key], arrays[key])


def _described(arrays):
    shapes = [str(np.shape(array)) for array in leaves(arrays)]
    count = f"{len(shapes)} array{'s' * (len(shapes) != 1)}"
    return f"a {type(arrays).__name__} of {count} of the shapes {', '.join(shapes[:4])}{', ...' * (len(shapes) > 4)}"
