"""Fixtures of all tests, and the choice of slow cases."""

import fnmatch
import gc
import sys

import pytest

# What test files share explains its failed assertions, too.
pytest.register_assert_rewrite("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Has layers that name themselves numbered from one again, so that no name depends on the tests before."""
    # Not `keras.utils.clear_session`: it drops TensorFlow's kernels too, and nothing else public does it.
    if "keras.src.utils.naming" in sys.modules:
        sys.modules["keras.src.utils.naming"].reset_uids()
    if "tf_keras" in sys.modules:
        sys.modules["tf_keras"].backend.reset_uids()


@pytest.fixture(scope="module")
def eagerly():
    """Runs functions of TensorFlow as they are: compiling them takes far longer than a few steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def pytest_collection_finish(session):
    """Spares the collector the million objects of the packages, which live to the end."""
    gc.collect()
    gc.freeze()


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
