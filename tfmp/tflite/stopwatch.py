"""Times files in the runtime."""

import math
import statistics
import time
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from ai_edge_litert import interpreter as litert

from tfmp.checks import check_integer

_SHORTEST_RUN_SECONDS = 2e-3

_Key = TypeVar("_Key")


class Stopwatch:
    """Measures the latency of files, in turns.

    Args:
        threads: Threads of the runtime.
        runs: Number of turns per file, plus one to warm up. In a turn, a file runs for some milliseconds.
    """

    def __init__(self, *, threads: int = 1, runs: int = 15):
        self.threads = check_integer("threads", threads, at_least=1)
        self.runs = check_integer("runs", runs, at_least=1)

    def measure(self, files: Mapping[_Key, bytes]) -> dict[_Key, tuple[float, tuple[float, float]]]:
        """Returns the latency of one call of each file, with inputs already set: the median over the turns.

        Args:
            files: Bytes of files, by any keys.

        Returns:
            `(median, (first quartile, third quartile))` in us, by the same keys.
        """
        started = {key: self._start(content) for key, content in files.items()}
        seconds: dict[_Key, list[float]] = {key: [] for key in files}
        for turn in range(self.runs + 1):
            for key, (interpreter, calls) in started.items():
                times = [_seconds(interpreter) for _ in range(calls)]
                if turn:
                    # A call that the system interrupted is one of many.
                    seconds[key].append(statistics.median(times))
        return {key: _summary(times) for key, times in seconds.items()}

    def _start(self, content):
        """Returns the interpreter with random inputs, and the number of calls that takes long enough to measure."""
        interpreter = litert.Interpreter(model_content=content, num_threads=self.threads)
        interpreter.allocate_tensors()
        rng = np.random.default_rng(0)
        for detail in interpreter.get_input_details():
            values = (
                rng.integers(-128, 128, detail["shape"])
                if detail["dtype"] == np.int8
                else rng.normal(size=detail["shape"])
            )
            interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        interpreter.invoke()  # prepares the kernels
        return interpreter, max(1, math.ceil(_SHORTEST_RUN_SECONDS / _seconds(interpreter)))


def _seconds(interpreter):
    start = time.perf_counter()
    interpreter.invoke()
    return max(time.perf_counter() - start, 1e-9)


def _summary(times):
    micros = [1e6 * each for each in times]
    low, middle, high = statistics.quantiles(micros, n=4) if len(micros) > 1 else micros * 3
    return middle, (low, high)
