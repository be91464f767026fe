r"""Prints how large and how fast the files of a network are in both modes of export, at uniform bits, as a table.

    python tools/measure_modes.py resnet18 --image_size=64 --bits=8,4,2
    python tools/measure_modes.py model.keras

The network is a name in `tfmp.networks`, its weights random, or a `.keras` file in floating point. Inputs are random:
size and speed do not depend on them.
"""

import pathlib
import tempfile
import time

import keras
import numpy as np
from absl import app, flags

import tfmp
from tfmp import networks
from tfmp.costs import TFLiteBytes
from tfmp.lowering.weight_packing import MODES
from tfmp.tflite.interpreter import Interpreter

_BITS = flags.DEFINE_list("bits", ["8", "4", "2"], "Bits of weights and inputs of the layers that are searched.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", None, "For a network of tfmp: height and width of its images.")
_RUNS = flags.DEFINE_integer("runs", 30, "Runs of each file, of which the median counts.")


def measured(fixed, inputs, folder, runs):
    """Returns bytes, predicted bytes and milliseconds per sample of a fixed model by mode; the files take turns."""
    paths = {mode: pathlib.Path(folder) / f"{mode}.tflite" for mode in MODES}
    sizes = {mode: tfmp.export_tflite(fixed, paths[mode], mode=mode, overwrite=True).size_bytes for mode in MODES}
    interpreters = {mode: Interpreter(paths[mode]) for mode in MODES}
    times = {mode: [] for mode in MODES}
    for _ in range(runs):
        for mode, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.run(inputs)
            times[mode].append(1e3 * (time.perf_counter() - start))
    return {mode: (sizes[mode], tfmp.cost(fixed, TFLiteBytes(mode)), np.median(times[mode])) for mode in MODES}


def main(argv):
    """Prints one row for each number of bits."""
    if len(argv) != 2:
        raise app.UsageError("Expected one network: a name in `tfmp.networks` or a `.keras` file.")
    keras.utils.set_random_seed(0)
    if argv[1].endswith(".keras"):
        model = keras.models.load_model(argv[1])
    else:
        size = {} if _IMAGE_SIZE.value is None else {"image_size": _IMAGE_SIZE.value}
        model = networks.get(argv[1])(keras, **size)
    shape = model.input_shape[1:]
    images = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    bits = sorted({int(each) for each in _BITS.value}, reverse=True)
    candidates = tuple(sorted({*bits, 8}))
    search_model = tfmp.relax(model, weight_bits=candidates, activation_bits=candidates, calibration=images)
    searched = tfmp.discretize(search_model)
    print("| network | bits | float bytes | fast bytes | small bytes | small / fast | predicted | fast ms | small ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in bits:
            fixed = tfmp.fix(search_model, dict.fromkeys(searched, (count, count)))
            # A step of training: new layers have equal scales and biases, which a file stores once.
            fixed.compile(keras.optimizers.SGD(1e-3), loss="mean_squared_error")
            fixed.fit(images, np.zeros((len(images), *fixed.output_shape[1:]), np.float32), verbose=0)
            found = measured(fixed, images[:1], folder, _RUNS.value)
            (fast, _, fast_ms), (small, predicted, small_ms) = (found[mode] for mode in MODES)
            print(
                f"| {model.name} {shape[0]} | {count} | {4 * model.count_params():,} | {fast:,} | {small:,} | "
                f"{small / fast:.1%} | {predicted:,.0f} | {fast_ms:.2f} | {small_ms:.2f} |"
            )


if __name__ == "__main__":
    app.run(main)
