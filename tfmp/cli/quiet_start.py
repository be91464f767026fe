"""Silences the start-up messages of TensorFlow's libraries."""

import contextlib
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile

# Libraries print notes, for example about a missing GPU driver or the CPU instructions in use, before TensorFlow reads
# TF_CPP_MIN_LOG_LEVEL. They are useless in the output of a command.
_NOTE = re.compile(rb"WARNING: All log messages before absl|I\d{4} |To enable the following instructions: |INFO: ")
_RUNTIME = "ai_edge_litert.interpreter"


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Import hook that loads TensorFlow and LiteRT as usual, but without their notes.

    It works for any first import: it silences the loading of TensorFlow's libraries and the creation of LiteRT's
    interpreters.
    """

    def __init__(self):
        self._names = {"tensorflow", _RUNTIME}

    def find_spec(self, name, path=None, target=None):
        if name not in self._names:
            return None
        self._names.remove(name)
        if not self._names:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _without_notes():
                    load(module)
                if name == _RUNTIME:
                    module.Interpreter = _quiet(module.Interpreter)
                else:  # commands run each of many networks once: tracing again is not by mistake
                    module.get_logger().addFilter(lambda record: "tf.function retracing" not in record.getMessage())

            spec.loader.exec_module = load_quietly
        return spec


def _quiet(interpreter_class):
    """Returns the interpreter class without its note about the delegate, which no argument can turn off."""

    class Interpreter(interpreter_class):
        def __init__(self, *arguments, **options):
            with _without_notes():
                super().__init__(*arguments, **options)

        def allocate_tensors(self):
            with _without_notes():
                super().allocate_tensors()

    return Interpreter


def import_tensorflow_quietly() -> None:
    """Makes the first import of TensorFlow print only warnings and errors of its libraries."""
    if "tensorflow" not in sys.modules and not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder())


@contextlib.contextmanager
def _without_notes():
    """Captures what is written to the descriptor of standard error, and then prints all of it except notes."""
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            os.write(2, b"".join(line for line in written if not _NOTE.match(line)))
