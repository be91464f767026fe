"""In whatever order tfmp is imported with TensorFlow, the Kerases and TFMOT, the user's `tf.keras` stays what it was.

TFMOT makes it tf_keras if it comes before the first use; nothing of ours may decide otherwise, or use it first.
"""

import os
import subprocess
import sys

import pytest

# TFMOT sets it for every process that a process with it starts, that of other tests too.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
# Every order is a path in a tree of processes: each node imports one package more than its parent.
PROGRAM = """
import importlib, os, sys, traceback

def load(name):
    importlib.import_module(name)
    if name == "tfmp":
        import tfmp
        tfmp.layers, tfmp.keras2, tfmp.MixedPrecisionSearch, tfmp.relax, tfmp.export_tflite, tfmp.load_model

def report(done):
    import tensorflow as tf
    framework = getattr(tf, "keras").Model.__module__.split(".")[0]
    print(",".join(done), framework, os.environ.get("TF_USE_LEGACY_KERAS"), flush=True)

def in_child(function, *arguments):
    process = os.fork()
    if process == 0:
        try:
            function(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(process, 0)[1] != 0:
        raise SystemExit(f"failed: {function.__name__} {arguments}")

def grow(done, remaining):
    if not set(remaining) - {"tfmp"}:
        in_child(report, done)
    for name in remaining:
        in_child(branch, done, name, [other for other in remaining if other != name])

def branch(done, name, remaining):
    load(name)
    grow([*done, name], remaining)

grow([], sys.argv[1].split(","))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "packages",
    [
        ("tensorflow_model_optimization",),
        ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"),
    ],
    ids=["representative", "all"],
)
def test_importing_tfmp_decides_nothing(packages):
    program = [sys.executable, "-c", PROGRAM, ",".join([*packages, "tfmp"])]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {tuple(order.split(",")): rest for order, *rest in (line.split() for line in done.stdout.splitlines())}
    alone = {order: rest for order, rest in found.items() if "tfmp" not in order}
    with_ours = {order: rest for order, rest in found.items() if "tfmp" in order}
    count = 1
    for number in range(2, len(packages) + 1):
        count *= number
    assert len(alone) == count and len(with_ours) == count * (len(packages) + 1)
    for order, rest in with_ours.items():
        assert rest == alone[tuple(name for name in order if name != "tfmp")], order


@pytest.mark.slow
def test_tf_keras_of_the_user_stays_keras_3():
    """Without TFMOT there is no reason for `tf.keras` to be anything else; loading our tf_keras binding is none."""
    program = """
import tensorflow as tf, tfmp, os
tfmp.keras2.MixedPrecisionDense, tfmp.layers.MixedPrecisionDense
print(getattr(tf, "keras").Model.__module__.split(".")[0], os.environ.get("TF_USE_LEGACY_KERAS"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.stdout.split() == ["keras", "None"], done.stderr[-2000:]
