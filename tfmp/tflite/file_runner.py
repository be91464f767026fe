"""Runs batches of any size on a file of a fixed batch size."""

import abc
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmp.checks import check_path
from tfmp.reports import FileTensor


def read_file(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """Returns the name of a TFLite file in messages, and its bytes.

    Args:
        source: Path of the file, or its bytes.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if isinstance(source, bytes | bytearray):
        return "the given bytes", bytes(source)
    path = pathlib.Path(check_path("path", source))
    if not path.is_file():
        raise FileNotFoundError(f"Expected a TFLite file. Received: {str(path)!r}, which is no file.")
    return repr(str(path)), path.read_bytes()


class FileRunner(abc.ABC):
    """Base class of interpreters: a loaded file that takes batches of any size.

    Attributes:
        label: Name of the file in messages.
        content: Bytes of the file.
        inputs: The inputs by their names in the file.
        outputs: The outputs by their names in the file.
        batch_size: The fixed batch size of the file.
    """

    label: str
    content: bytes
    inputs: dict[str, FileTensor]
    outputs: dict[str, FileTensor]
    batch_size: int

    @abc.abstractmethod
    def __init__(self, source: str | os.PathLike[str] | bytes): ...

    @classmethod
    @abc.abstractmethod
    def check_installed(cls) -> None:
        """Raises `ImportError` if the runtime is not installed."""

    @abc.abstractmethod
    def run(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes the outputs.

        Args:
            inputs: One array, or arrays by input name, all with the same first size; codes if the file takes codes.

        Returns:
            Arrays by output name.
        """

    @property
    @abc.abstractmethod
    def readable_tensors(self) -> dict[str, FileTensor]:
        """All tensors that `codes` returns, by their names in the file."""

    def operators_outside_xnnpack(self) -> list[tuple[str, str]]:
        """Lists operators, kind and output, that run in slower kernels than others; none by default."""
        return []

    @property
    def arena_bytes(self) -> int | None:
        """Bytes of memory that the runtime uses, None if it does not say."""
        return None

    @abc.abstractmethod
    def stored_codes(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes every readable tensor, as the file stores it; arguments as in `run`."""

    def codes(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes every readable tensor of the file, by the same kernels as `run`.

        Args:
            inputs: As in `run`.

        Returns:
            int32 codes, without the zero points, by tensor name in the file; numbers of tensors in floating point.
        """
        stored = self.stored_codes(inputs)
        return {
            name: stored[name] if tensor.scale is None else stored[name].astype(np.int32) - (tensor.zero_point or 0)
            for name, tensor in self.readable_tensors.items()
        }

    def by_batches(
        self, runner: Callable[..., dict[str, np.ndarray]], inputs: np.ndarray | Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the results of a function of one batch, arrays by input name, for a batch of any size."""
        arrays = self._arrays(inputs)
        count = len(next(iter(arrays.values())))
        results = []
        for start in range(0, count, self.batch_size):
            batch = {name: array[start : start + self.batch_size] for name, array in arrays.items()}
            missing = start + self.batch_size - count
            if missing > 0:
                batch = {name: np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) for name, x in batch.items()}
            results.append(runner(**batch))
        return {name: np.concatenate([result[name] for result in results])[:count] for name in results[0]}

    def _arrays(self, inputs: Any) -> dict[str, np.ndarray]:
        if not isinstance(inputs, Mapping):
            if len(self.inputs) != 1:
                raise ValueError(f"Expected arrays by name for the inputs {sorted(self.inputs)}. Received: one array.")
            inputs = dict.fromkeys(self.inputs, inputs)
        if set(inputs) != set(self.inputs):
            raise ValueError(f"Expected the inputs {sorted(self.inputs)}. Received: {sorted(inputs)}")
        arrays = {}
        for name, tensor in self.inputs.items():
            array = np.asarray(inputs[name])
            if array.ndim != len(tensor.shape) or array.shape[1:] != tensor.shape[1:] or not len(array):
                raise ValueError(
                    f"Input {name!r} must have the shape (any, {', '.join(map(str, tensor.shape[1:]))}). "
                    f"Received: {array.shape}"
                )
            if tensor.scale is not None and array.dtype != tensor.dtype and not _are_codes(array, tensor):
                raise ValueError(
                    f"Input {name!r} takes {tensor.dtype} codes, rint(x / {tensor.scale}) + {tensor.zero_point}. "
                    f"Received: {array.dtype}"
                )
            arrays[name] = np.ascontiguousarray(array, tensor.dtype)
        if len({len(array) for array in arrays.values()}) != 1:
            raise ValueError(
                f"Expected as many examples in each input. Received: {[len(array) for array in arrays.values()]}"
            )
        return arrays


def _are_codes(array, tensor):
    """Returns True for whole numbers, of any type, that are already codes."""
    plain = tensor.scale == 1 and tensor.zero_point == 0
    return plain and array.dtype.kind in "fiu" and np.array_equal(array.astype(tensor.dtype), array)
