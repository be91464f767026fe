r"""Measures what the tests cost, and prints it as JSON: CPU and wall seconds of the whole and of every test file.

    python tools/benchmark_tests.py                      # the default suite
    python tools/benchmark_tests.py tests/tuner -m slow  # arguments go to pytest

All tests run in one process. CPU seconds count its threads and the processes that tests start and wait for; they are
nearly the same on a busy machine, wall seconds are not. `(collection)` is the import of packages and test files.
"""

import collections
import contextlib
import json
import os
import sys
import time

import pytest


def seconds():
    """CPU seconds of this process and of those it has waited for, and wall seconds."""
    times = os.times()
    return sum(times[:4]), time.perf_counter()


class Stopwatch:
    """Adds up what the tests of each file take, with their fixtures."""

    def __init__(self):
        self.start = seconds()
        self.files = collections.defaultdict(lambda: [0.0, 0.0])

    def add(self, name, start):
        for index, (now, before) in enumerate(zip(seconds(), start, strict=True)):
            self.files[name][index] += now - before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        start = seconds()
        try:
            return (yield)
        finally:
            self.add(item.location[0], start)

    def pytest_collection_finish(self, session):
        self.add("(collection)", self.start)

    def report(self):
        """The JSON text, the most expensive file first."""
        self.add("(whole)", self.start)
        ordered = sorted(self.files.items(), key=lambda entry: entry[1], reverse=True)
        figures = {name: {"cpu": round(cpu, 1), "wall": round(wall, 1)} for name, (cpu, wall) in ordered}
        return json.dumps({"whole": figures.pop("(whole)"), "files": figures}, indent=2)


def main(arguments):
    """Runs pytest, which prints to standard error; prints the figures and returns its exit code."""
    stopwatch = Stopwatch()
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(["-q", *arguments], plugins=[stopwatch])
    print(stopwatch.report())
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
