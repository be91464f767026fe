"""The interpreter that tests run with, and its installed packages."""

def _python_environment(repository_ctx):
    root = repository_ctx.path(Label("//:WORKSPACE")).dirname
    python = repository_ctx.os.environ.get("PYTHON", "{}/.venv/bin/python".format(root))
    found = repository_ctx.execute([python, "-c", "import pytest, tfmp"])
    if found.return_code:
        fail("Expected an interpreter with the installed packages of the project: run `make install`, or name one by " +
             "--repo_env=PYTHON=/absolute/path. {} does not do: {}".format(python, found.stderr.strip()))
    repository_ctx.file("BUILD.bazel")
    repository_ctx.file("defs.bzl", "PYTHON = {}\n".format(repr(python)))

python_environment = repository_rule(
    implementation = _python_environment,
    doc = "A repository whose `defs.bzl` names `PYTHON`: that of --repo_env, or the one of `make install`.",
    environ = ["PYTHON"],
    local = True,
)
