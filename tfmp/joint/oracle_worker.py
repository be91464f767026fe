"""A process that evaluates an oracle and can be stopped."""

import contextlib
import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

_START_SECONDS = 600  # in which a process imports what it needs
_SAFE_PATH = "PYTHONSAFEPATH"
_ENVIRONMENT = threading.Lock()  # workers are started from several threads


class OracleFailure(Exception):
    """Why an oracle gave no number; `Oracle` catches it."""


class OracleWorker:
    """A process of its own for a function that may hang or die. It starts when it is first asked.

    Args:
        function: A picklable function of one argument.
    """

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function
        self._process: Any = None
        self._connection: Any = None

    def ask(self, argument: Any, timeout_seconds: float | None = None) -> Any:
        """Returns what the function returns.

        Raises:
            OracleFailure: If it raised, died or took longer; the process of the last two is gone then.
        """
        try:
            if self._process is None:
                self._start()
            self._connection.send(argument)
            found, answer = self._received(timeout_seconds)
        except (EOFError, OSError) as error:
            self.end()
            raise OracleFailure("its process died") from error
        except OracleFailure:
            self.end()
            raise
        if not found:
            raise OracleFailure(answer)
        return answer

    def _start(self):
        # Not a fork: the threads of TensorFlow, which this process may have, do not survive one.
        context = multiprocessing.get_context("spawn")
        connection, other = context.Pipe()
        process = context.Process(target=_serve, args=(other, self.function), daemon=True)
        with other, _safe_path():
            process.start()
        self._process, self._connection = process, connection
        try:
            self._received(_START_SECONDS)  # no timeout of an answer should count what it imports
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
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = self._connection = None


@contextlib.contextmanager
def _safe_path():
    """Lets processes start without the current folder on their path, before they take over the path of this one."""
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
        except Exception:  # whatever the user's function raises is told in words, for it may not be picklable
            answer = False, traceback.format_exc(limit=-3)
        connection.send(answer)
