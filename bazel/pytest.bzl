"""Test files as Bazel tests.

The rules for Python that come with Bazel need a C++ toolchain and packages from the network; running a test file needs
neither.
"""

load("@python_environment//:defs.bzl", "PYTHON")

_SCRIPT = """#!/bin/bash
export HYPOTHESIS_STORAGE_DIRECTORY="$TEST_TMPDIR" TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow
exec {python} -B -m pytest -c setup.cfg --rootdir=. -p no:cacheprovider \\
  --junitxml="$XML_OUTPUT_FILE" -k "$TESTBRIDGE_TEST_ONLY" {file}
"""

def _pytest_test(ctx):
    ctx.actions.write(
        ctx.outputs.executable,
        _SCRIPT.format(python = PYTHON, file = ctx.file.src.short_path),
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = [ctx.file.src, ctx.file._settings])
    for dependency in ctx.attr.deps:
        runfiles = runfiles.merge(dependency[DefaultInfo].default_runfiles)
    return [DefaultInfo(runfiles = runfiles)]

pytest_test = rule(
    implementation = _pytest_test,
    doc = "Runs one test file with pytest; `--test_filter` goes to its `-k`.",
    attrs = {
        "src": attr.label(allow_single_file = [".py"], mandatory = True),
        "deps": attr.label_list(),
        "_settings": attr.label(allow_single_file = True, default = "//:setup.cfg"),
    },
    test = True,
)

def pytest_tests(srcs, **kwargs):
    """A `pytest_test` for each file, by its path without `.py`."""
    for src in srcs:
        pytest_test(name = src[:-len(".py")], src = src, **kwargs)
