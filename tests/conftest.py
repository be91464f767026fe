"""Fixtures of all tests, and the choice of slow cases."""

import fnmatch
import functools
import gc
import sys
import typing

import hypothesis
import pytest

# Of what packages create at import nothing is garbage: looking for it takes a tenth of the time.
gc.disable()

# TensorFlow asks of nearly every value if it has a protocol. Python 3.11 collects the names that the protocol has for
# every question, some 4 % of the time of tests/transform; later versions keep them. Nothing public does it.
if sys.version_info < (3, 12):
    typing._get_protocol_attrs = functools.cache(typing._get_protocol_attrs)

# Every run draws the same examples; `pytest --hypothesis-profile=default` draws new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")

# What test files share explains its failed assertions, too.
pytest.register_assert_rewrite("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Makes tests independent of those before: names of layers, and whether TensorFlow compiles its functions."""
    # Layers that name themselves are numbered from one again.
    # Not `keras.utils.clear_session`: it drops TensorFlow's kernels too, and nothing else public does it.
    if "keras.src.utils.naming" in sys.modules:
        sys.modules["keras.src.utils.naming"].reset_uids()
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.reset_uids()
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].config.run_functions_eagerly(_runs_eagerly(item))


def _runs_eagerly(item):
    """Returns whether functions run as they are: compiling takes far longer than the few steps of a default test."""
    if item.get_closest_marker("slow") is not None:
        return "eagerly" in item.fixturenames
    return item.get_closest_marker("compiled") is None


@pytest.fixture(scope="module")
def eagerly():
    """Has a slow test run functions as default ones do; `pytest_runtest_setup` looks for its name."""


def pytest_collection_finish(session):
    """Spares the collector the million objects of the packages, which live to the end, and has it run seldom."""
    gc.freeze()
    gc.set_threshold(5_000)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector, name, obj):
    """Marks as slow the cases of a test that its `default_cases` omit."""
    cases = yield
    for mark in getattr(obj, "pytestmark", ()) if isinstance(cases, list) else ():
        if mark.name == "default_cases":
            omitted = [case for case in cases if not any(_matches(case, pattern) for pattern in mark.args)]
            unknown = [pattern for pattern in mark.args if not any(_matches(case, pattern) for case in cases)]
            if unknown or not omitted:
                raise collector.CollectError(
                    f"`default_cases` of {name} must be some of its cases. Received: {unknown}"
                )
            for case in omitted:
                case.add_marker(pytest.mark.slow)
    return cases


def _matches(case, pattern):
    return fnmatch.fnmatchcase(case.callspec.id, pattern)
