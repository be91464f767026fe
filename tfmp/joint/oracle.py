"""Cost oracles: functions from a network to a number, with a cache."""

import concurrent.futures
import functools
import hashlib
import json
import math
import os
import pickle
import queue
from collections.abc import Callable, Sequence

import numpy as np

from tfmp.checks import check_function, check_integer, check_number, check_path, received
from tfmp.files.atomic_file import write_atomically
from tfmp.files.json_record import parse_json, read_text
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.oracle_worker import OracleFailure, OracleWorker


class Oracle:
    """Computes costs of networks with a function that is called once per network.

    If the function raises, returns a number that is not finite, kills its process or takes too long, it is called
    again. If it fails each time, the error names the network. Earlier results are kept.

    Args:
        function: Function from a `DiscreteNetwork` to a number. With workers it must be picklable: a function or object
            in a module, not a lambda. The program then needs `if __name__ == "__main__":`, because workers import it.
        workers: Number of parallel processes; 0 to call the function in this process.
        timeout_seconds: Time after which a worker is killed and a new one started; None for no limit.
        retries: Number of retries for a network that failed.
        cache_path: File of results, one per line, for this and later runs with the same function. Other files are
            refused and not changed.

    Raises:
        ValueError: If there is a timeout without workers, or a number is negative; in a call, if a network fails.
        TypeError: If `function` is not a function, or cannot be pickled for workers.

    Example:
        >>> oracle = Oracle(measure_on_the_board, workers=2, timeout_seconds=600)
    """

    def __init__(
        self,
        function: Callable[[DiscreteNetwork], float],
        *,
        workers: int = 0,
        timeout_seconds: float | None = None,
        retries: int = 1,
        cache_path: str | os.PathLike | None = None,
    ):
        check_function("function", function, "a `DiscreteNetwork`")
        check_integer("workers", workers, at_least=0)
        check_integer("retries", retries, at_least=0)
        if timeout_seconds is not None:
            check_number("timeout_seconds", timeout_seconds, above=0)
            hint = "`timeout_seconds` needs workers: only a separate process can be stopped"
            check_integer("workers", workers, at_least=1, hint=hint)
        if cache_path is not None:
            cache_path = os.path.abspath(check_path("cache_path", cache_path))
        if workers:
            _check_picklable(function)
        self.function, self.timeout_seconds, self.retries = function, timeout_seconds, retries
        self.workers = [OracleWorker(function) for _ in range(workers)]
        self.cache_path = cache_path
        self.cache: dict[str, float] = {}
        if cache_path is not None and os.path.exists(cache_path):
            self.cache.update(_read_cache(cache_path))

    def __call__(self, networks: Sequence[DiscreteNetwork]) -> np.ndarray:
        """Returns one number for each network, float64."""
        wanted = {key(network): network for network in networks}
        missing = {name: network for name, network in wanted.items() if name not in self.cache}
        if self.workers:
            self._ask_workers(missing)
        else:
            for name, network in missing.items():
                self._learn(name, self._asked(network, lambda: self._finite(self.function(network))))  # noqa: B023
        return np.array([self.cache[key(network)] for network in networks], np.float64)

    def _ask_workers(self, missing):
        free = queue.SimpleQueue()
        for worker in self.workers:
            free.put(worker)

        def ask(name, network):
            worker = free.get()
            try:
                return name, self._asked(network, lambda: self._finite(worker.ask(network, self.timeout_seconds)))
            finally:
                free.put(worker)

        with concurrent.futures.ThreadPoolExecutor(len(self.workers)) as threads:
            asked = [threads.submit(ask, *item) for item in missing.items()]
            try:
                for future in concurrent.futures.as_completed(asked):
                    self._learn(*future.result())
            except BaseException:
                threads.shutdown(cancel_futures=True)  # waits for running calls
                for future in asked:
                    if not future.cancelled() and future.exception() is None:
                        self._learn(*future.result())
                raise

    def _learn(self, name, number):
        if name in self.cache:
            return
        self.cache[name] = number
        if self.cache_path is not None:
            with open(self.cache_path, "a", encoding="utf-8") as file:
                file.write(json.dumps([name, number]) + "\n")

    def _asked(self, network, ask):
        for attempt in range(self.retries + 1):
            try:
                return ask()
            except Exception as error:  # the user's function may raise anything
                if attempt == self.retries:
                    raise ValueError(
                        f"The oracle returned no number for a network in {attempt + 1} attempts. The last reason: "
                        f"{type(error).__name__}: {error}. Fix the function, or raise `timeout_seconds` or `retries`; "
                        f"a search with a `backup_dir` then resumes. The network:\n{network}"
                    ) from error

    def _finite(self, number):
        if not math.isfinite(number):
            raise OracleFailure(f"expected a finite number, received {number!r}")
        return float(number)

    def close(self) -> None:
        """Stops the workers; the next call starts new ones."""
        for worker in self.workers:
            worker.end()


def _read_cache(path):
    """Returns the results in a cache file; removes an incomplete last line of a killed run.

    Raises:
        ValueError: If it is not a cache file.
    """
    try:
        text = read_text(path)
        complete, _, rest = text.rpartition("\n")
        answers = [_answer(line) for line in complete.splitlines()]
        if rest[:2] != '["'[: len(rest)]:
            raise ValueError(f"the line {received(rest)} is no answer")
    except ValueError as error:
        raise ValueError(
            f"`cache_path` must be a file that an oracle wrote, or a new one. Received: {path!r}: {error}. It was not "
            "changed; choose another path"
        ) from error
    if rest:
        write_atomically(path, f"{complete}\n" if complete else "", overwrite=True)
    return answers


def _answer(line):
    pair = parse_json(line)
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], float)):
        raise ValueError(f"the line {received(line)} is no answer")
    return pair


def _check_picklable(function):
    try:
        pickle.dumps(function)
    except Exception as error:  # pickling an object may raise anything
        raise TypeError(
            "With `workers` an oracle must be picklable: a function of a module, or an object of a class of one. "
            f"Received: {function!r} ({error}). Move it to the top of a module, or take `workers=0`."
        ) from error


def key(network: DiscreteNetwork) -> str:
    """Returns a short name that identifies a network, independently of the candidates of its space."""
    choices = (str(choice).replace(" ", "") for choice in network.choices)
    return " ".join([_digest(network.space), *choices])


@functools.lru_cache
def _digest(space):
    fixed = {name: value for name, value in space.as_dict().items() if name != "candidates"}
    return hashlib.sha256(json.dumps(fixed, default=int).encode()).hexdigest()[:16]
