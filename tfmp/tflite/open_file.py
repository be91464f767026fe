"""Opens a file in the runtime that it was written for."""

import os

from tfmp.graph.targets import LITERT, MICRO, Target, target_of
from tfmp.tflite.file_metadata import written_target
from tfmp.tflite.file_runner import FileRunner, read_file
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.micro_interpreter import MicroInterpreter

_RUNNERS: dict[str, type[FileRunner]] = {LITERT.name: Interpreter, MICRO.name: MicroInterpreter}


def runner_of(target: Target) -> type[FileRunner]:
    """Returns the class that runs the files of a target."""
    return _RUNNERS[target.name]


def open_file(source: str | os.PathLike[str] | bytes) -> FileRunner:
    """Returns the interpreter of a file, in the runtime that its metadata name, LiteRT by default.

    Args:
        source: Path of the file, or its bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the runtime is not installed.
        ValueError: If the runtime cannot run it.
    """
    _, content = read_file(source)
    return runner_of(target_of(written_target(content)))(source)
