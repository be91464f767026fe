"""Worker processes that evaluate an oracle and can be stopped."""

import contextlib
import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

_START_SECONDS = 600  # time for a process to import its modules
_SAFE_PATH = "PYTHONSAFEPATH"
_ENVIRONMENT = threading.Lock()  # workers are started by several threads


class OracleFailure(Exception):
    """The reason why an oracle returned no number; `Oracle` catches it."""


class OracleWorker:
    """A separate process for a function that may hang or crash. It starts with the first call.

    Args:
        function: A picklable function of one argument.
    """

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function
        self._process: Any = None
        self._connection: Any = None

    def ask(self, argument: Any, timeout_seconds: float | None = None) -> Any:
        """Returns the result of the function.

        Raises:
            OracleFailure: If it raised an error, crashed or took too long; in the last two cases the process has ended.
        """
        try:
            if self._process is None:
                self._start()
            self._connection.send(argument)
            has_answer, answer = self._received(timeout_seconds)
        except (EOFError, OSError) as error:
            self.end()
            raise OracleFailure("its process died") from error
        except OracleFailure:
            self.end()
            raise
        if not has_answer:
            raise OracleFailure(answer)
        return answer

    def _start(self):
        # Not a fork: threads of TensorFlow in this process would not survive it.
        context = multiprocessing.get_context("spawn")
        connection, other = context.Pipe()
        process = context.Process(target=_serve, args=(other, self.function), daemon=True)
        with other, _safe_path():
            process.start()
        self._process, self._connection = process, connection
        try:
            self._received(_START_SECONDS)  # a timeout must not include the time for imports
        except EOFError as error:
            raise OracleFailure(
                "its process died before it was asked: it could not import the program or the function, see its error "
                'above. A program that starts workers needs `if __name__ == "__main__":` around what it does'
            ) from error

    def _received(self, timeout_seconds):
        if not self._connection.poll(timeout_seconds):
            raise OracleFailure(f"no answer within {timeout_seconds} seconds")
        return self._connection.recv()

    def end(self) -> None:
        """Kills the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = self._connection = None


@contextlib.contextmanager
def _safe_path():
    """Starts processes without the current folder in `sys.path`, until they receive the path of this process."""
    with _ENVIRONMENT:
        before = os.environ.get(_SAFE_PATH)
        os.environ[_SAFE_PATH] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_SAFE_PATH]
            else:
                os.environ[_SAFE_PATH] = before


def _serve(connection, function):
    connection.send("ready")
    while True:
        try:
            argument = connection.recv()
        except EOFError:
            return
        try:
            answer = True, float(function(argument))
        except Exception:  # errors of the user's function are passed on as text, because they may not be picklable
            answer = False, traceback.format_exc(limit=-3)
        connection.send(answer)
