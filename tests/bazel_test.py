"""`bazel test` runs test files against the installed packages, and reports those that fail."""

import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bazel") is None, reason="needs Bazel, see CONTRIBUTING.md"),
]


@pytest.fixture(scope="module")
def bazel(tmp_path_factory):
    command = ["bazel", f"--output_user_root={tmp_path_factory.mktemp('bazel')}"]

    def run(*arguments):
        options = ["--symlink_prefix=/", f"--repo_env=PYTHON={sys.executable}"]
        return subprocess.run([*command, "test", *options, *arguments], cwd=ROOT, capture_output=True, text=True)

    yield run
    subprocess.run([*command, "shutdown"], cwd=ROOT, check=True)


def test_runs_tests_of_numpy_and_of_tensorflow(bazel):
    done = bazel("//tests:graph/code_format_test", "//tests:quantizers/least_squares_test")
    assert done.returncode == 0, done.stderr
    assert "2 tests pass" in done.stdout


def test_reports_what_fails(bazel):
    done = bazel("//tests:graph/code_format_test", "--test_filter=no_test_is_called_this")
    assert done.returncode == 3, done.stderr  # tests ran, one did not succeed


def test_names_the_way_to_an_interpreter_with_the_packages(bazel):
    done = bazel("//tests:graph/code_format_test", "--repo_env=PYTHON=/bin/false")
    assert "make install" in done.stderr
