"""Runs a TFLite file in TensorFlow Lite for Microcontrollers."""

import contextlib
import functools
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tfmp.reports import FileTensor
from tfmp.tflite.checked_model import checked_model, file_tensor, own_signature
from tfmp.tflite.file_runner import FileRunner, read_file
from tfmp.tflite.writer.packing import text_of

_MEMORY_OF_TENSORS = 2  # times their bytes: tensors that are kept are not planned, only aligned
_MEMORY_OF_STRUCTURES = 1024  # bytes, generous, of the runtime's own for each tensor and each operator
_MEMORY_OF_INTERPRETER = 2**16  # the same for the interpreter
_ALLOCATION = re.compile(r"Arena allocation (\w+) (\d+) bytes")


class MicroInterpreter(FileRunner):
    """A loaded TFLite file that takes batches of any size, in TensorFlow Lite for Microcontrollers.

    It is the C++ code of a microcontroller with the portable kernels, compiled for this machine.

    Args:
        source: Path of the file, or its bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the package `tflite-micro` is not installed.
        ValueError: If it is not a TFLite file, or the runtime lacks an operator or an encoding of it.

    Example:
        >>> MicroInterpreter("model.tflite").arena_bytes
    """

    def __init__(self, source: str | os.PathLike[str] | bytes):
        self.label, self.content = read_file(source)
        self._model = checked_model(self.content, self.label)
        subgraph = self._model.subgraphs[0]
        signature = own_signature(self._model, self.label)
        self._input_names, self.inputs = self._ends(signature.inputs, subgraph.inputs)
        self._output_names, self.outputs = self._ends(signature.outputs, subgraph.outputs)
        self.batch_size = next(iter(self.inputs.values())).shape[0]
        self._runtime = self._load()

    @classmethod
    def check_installed(cls) -> None:
        _runtime()

    def run(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.by_batches(self._outputs, inputs)

    def stored_codes(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.by_batches(self._computed, inputs)

    def ready_to_run(self) -> Callable[[], None]:
        """Returns a function that runs the file once, on random codes that are set already, to be timed."""
        rng = np.random.default_rng(0)
        runtime = self._load(keep_tensors=False)
        for index, name in enumerate(self._input_names):
            tensor = self.inputs[name]
            runtime.set_input(rng.integers(0, 2, tensor.shape).astype(tensor.dtype), index)
        return runtime.invoke

    @functools.cached_property
    def readable_tensors(self) -> dict[str, FileTensor]:
        return {name: tensor for name, (_, tensor) in self._codes.items()}

    @functools.cached_property
    def arena_bytes(self) -> int:
        """What the runtime uses of its arena, in bytes; a microcontroller needs less, its pointers are shorter."""
        recording = self._load(keep_tensors=False)
        # The package shows the use of the arena only as text of the C++ code.
        with _standard_error() as text:
            recording.print_allocations()
        return {part: int(count) for part, count in _ALLOCATION.findall(text[0])}["total"]

    @functools.cached_property
    def _codes(self) -> dict[str, tuple[int, FileTensor]]:
        """Index and description by name of all tensors of codes that an operator computes from others."""
        subgraph = self._model.subgraphs[0]
        computed = [*map(int, subgraph.inputs)]
        for operator in subgraph.operators:
            if self._model.operatorCodes[operator.opcodeIndex].customCode is None:  # otherwise it decodes a constant
                computed += map(int, operator.outputs)
        tensors = {index: subgraph.tensors[index] for index in computed}
        named = ((text_of(tensor.name), index, file_tensor(tensor)) for index, tensor in tensors.items())
        return {name: (index, tensor) for name, index, tensor in named if name and tensor.scale is not None}

    def _ends(self, entries, indices) -> tuple[list[str], dict[str, FileTensor]]:
        """Returns the names of inputs or outputs in the runtime's order, and their tensors by name."""
        tensors = {text_of(entry.name): entry.tensorIndex for entry in entries}
        names = {index: name for name, index in tensors.items()}
        return [names[int(index)] for index in indices], {
            name: file_tensor(self._model.subgraphs[0].tensors[index]) for name, index in tensors.items()
        }

    def _load(self, *, keep_tensors: bool = True):
        runtime = _runtime()
        kept = "kPreserveAllTensors" if keep_tensors else "kAllocationRecording"
        # With an arena that is too small, the package does not raise an error but ends the process.
        subgraph = self._model.subgraphs[0]
        values = sum(math.prod(map(int, tensor.shape)) for tensor in subgraph.tensors if tensor.shape is not None)
        structures = len(subgraph.tensors) + len(subgraph.operators)
        arena_size = _MEMORY_OF_INTERPRETER + _MEMORY_OF_STRUCTURES * structures + 8 * _MEMORY_OF_TENSORS * values
        message = [""]
        try:
            with _standard_error() as message:
                return runtime.Interpreter.from_bytes(
                    self.content,
                    arena_size=arena_size,
                    intrepreter_config=getattr(runtime.InterpreterConfig, kept),  # the package's spelling
                )
        except RuntimeError as error:
            raise ValueError(
                f"Expected a file that TensorFlow Lite for Microcontrollers can run. Received: {self.label}. Export it "
                f'with `target="micro"`. The runtime says: {" ".join(message[0].split()) or error}'
            ) from error

    def _invoke(self, batch: Mapping[str, np.ndarray]) -> None:
        for index, name in enumerate(self._input_names):
            self._runtime.set_input(batch[name], index)
        self._runtime.invoke()

    def _outputs(self, **batch: np.ndarray) -> dict[str, np.ndarray]:
        self._invoke(batch)
        return {name: self._runtime.get_output(index) for index, name in enumerate(self._output_names)}

    def _computed(self, **batch: np.ndarray) -> dict[str, np.ndarray]:
        self._invoke(batch)
        return {name: self._runtime.GetTensor(index, 0)["tensor_data"] for name, (index, _) in self._codes.items()}


def _runtime():
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise ImportError(
            "Files for microcontrollers are run by the package `tflite-micro`, which is not installed. Install it: "
            "pip install 'tfmp[micro]'"
        ) from error
    return runtime


@contextlib.contextmanager
def _standard_error() -> Iterator[list[str]]:
    """Collects what C++ code writes to the standard error of the process; one text, at the end."""
    text = [""]
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        descriptor = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(descriptor, 2)
            os.close(descriptor)
            file.seek(0)
            text[0] = file.read().decode(errors="replace")
