"""What a file says of itself, without a runtime: a damaged file may end the process that runs it."""

import dataclasses
import os

from tfmp.graph.targets import LITERT
from tfmp.reports import FileTensor
from tfmp.tflite.checked_model import checked_model, file_tensor, own_signature
from tfmp.tflite.file_metadata import written_target
from tfmp.tflite.file_runner import FileRunner, read_file
from tfmp.tflite.open_file import open_file
from tfmp.tflite.writer.packing import text_of


@dataclasses.dataclass(frozen=True)
class UnloadedFile:
    """A file that no runtime has loaded: what of a `FileRunner` can be read without running it.

    Args:
        label: Name of the file in messages.
        content: Bytes of the file.
        inputs: The inputs by their names in the file.
        outputs: The outputs by their names in the file.
    """

    label: str
    content: bytes
    inputs: dict[str, FileTensor]
    outputs: dict[str, FileTensor]
    arena_bytes: int | None = None


def inspected_file(source: str | os.PathLike[str]) -> FileRunner | UnloadedFile:
    """Returns a file to be read. A runtime loads only those of microcontrollers, to say what memory they take.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If it is for microcontrollers and their runtime is not installed.
        ValueError: If it is truncated, damaged, not a TFLite file, or has no signature of tfmp.
    """
    label, content = read_file(source)
    if written_target(content) != LITERT.name:
        return open_file(source)
    model = checked_model(content, label)
    signature = own_signature(model, label)
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    inputs, outputs = (
        {text_of(entry.name): file_tensor(tensors[entry.tensorIndex]) for entry in entries or ()}
        for entries in (signature.inputs, signature.outputs)
    )
    return UnloadedFile(label, content, inputs, outputs)
