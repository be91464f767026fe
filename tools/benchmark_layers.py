r"""Measures how the time of the functions on a model grows with its number of layers.

    python tools/benchmark_layers.py --output=layers.json

Networks of residual blocks with few channels, so that the work of the library is all that counts; processor time, least
of some repetitions, of each function in turn for all sizes. The garbage collector does not look again at what was there
before a measurement: TensorFlow, Keras and the networks of other sizes, whose objects are most of what it would visit.
"""

import gc
import itertools
import json
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from absl import app, flags

import tfmp
from tfmp.files.atomic_file import check_writable, write_atomically

_SHARED = {"allow_override": True}  # another program that tests load beside this one has such a flag, too
_LAYERS = flags.DEFINE_list("layers", ["20", "80", "320"], "Numbers of convolutions.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 1, "How often each function is measured.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the results.", **_SHARED)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.", **_SHARED)


def chain(num_layers):
    """A residual network with this number of convolutions, each with its normalization and activation."""
    kl = keras.layers
    x = inputs = keras.Input((8, 8, 4))
    for i in range(num_layers):
        y = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(4, 3, padding="same", use_bias=False)(x)))
        x = kl.Add()([x, y]) if i % 2 else y
    return keras.Model(inputs, kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))


def functions_of(model):
    """The measured functions, in an order in which each finds what it needs."""
    relaxed = tfmp.relax(model)
    budget = tfmp.Budget("bitops", like_uniform=(2, 2))
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=budget)
    return {
        "relax": lambda: tfmp.relax(model),
        "cost": lambda: tfmp.cost(relaxed, "bitops"),
        "tflite_bytes": lambda: tfmp.cost(relaxed, "tflite_bytes"),
        "peak_activation_memory": lambda: tfmp.cost(relaxed, "peak_activation_memory"),
        "discretize": lambda: tfmp.discretize(relaxed, strategy="budget", budget=budget),
        "fix": lambda: tfmp.fix(relaxed, assignment),
    }


def measure(counts, repetitions):
    """`{function: {number of layers: processor time in seconds}}`."""
    functions = {count: functions_of(chain(count)) for count in counts}
    found = {}
    for name in functions[counts[0]]:
        found[name] = {}
        for count in counts:
            seconds = []
            for _ in range(repetitions):
                gc.collect()
                gc.freeze()
                start = time.process_time()
                functions[count][name]()
                seconds.append(time.process_time() - start)
                gc.unfreeze()
            found[name][str(count)] = min(seconds)
    return found


def main(argv):
    """Measures and prints a line for each function."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    if _OUTPUT.value:
        check_writable(_OUTPUT.value, _OVERWRITE.value)
    counts = [int(count) for count in _LAYERS.value]
    found = measure(counts, _REPETITIONS.value)
    for name, seconds in found.items():
        times = [seconds[str(count)] for count in counts]
        growth = "".join(f", x {b / a:.2f}" for a, b in itertools.pairwise(times))
        print(name.ljust(24), *(f"{each:8.2f} s" for each in times), growth)
    if _OUTPUT.value:
        result = {
            "cpu_seconds": found,
            "load_average": os.getloadavg()[0],
            "machine": platform.machine(),
            "versions": {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tf.__version__},
        }
        write_atomically(_OUTPUT.value, json.dumps(result, indent=2) + "\n", overwrite=_OVERWRITE.value)


if __name__ == "__main__":
    app.run(main)
