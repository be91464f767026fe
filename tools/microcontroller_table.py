r"""Prints flash and arena of the networks of MLPerf Tiny on a microcontroller at uniform weight bits, as a table.

    python tools/microcontroller_table.py
    python tools/microcontroller_table.py ds_cnn --bits=3,4

Each file is run in TensorFlow Lite for Microcontrollers on random inputs and compared with its folded model, code by
code. Weights are random, and activations have 8 bits: size and arena do not depend on training. INT8 is mode "fast".
"""

import pathlib
import tempfile

import keras
import numpy as np
from absl import app, flags

import tfmp
from tfmp import networks
from tfmp.costs import MicroArenaBytes, MicroBytes

NETWORKS = ("resnet8", "ds_cnn", "mobilenet_v1_vww", "dense_autoencoder")
_BITS = flags.DEFINE_list("bits", ["8", "7", "6", "5", "4", "3", "2"], "Weight bits of the layers that are searched.")
_SAMPLES = 8


def measured(fixed, mode, inputs, folder):
    """Returns the file's bytes, the arena's bytes, both as foreseen, and whether all codes are equal."""
    path = pathlib.Path(folder) / "model.tflite"
    report = tfmp.export_tflite(fixed, path, target="micro", mode=mode, verify=inputs, tolerance=None, overwrite=True)
    foreseen = (tfmp.cost(fixed, cost(mode)) for cost in (MicroBytes, MicroArenaBytes))
    equal = all(not operator.largest_difference for operator in report.operators)
    return report.size_bytes, report.file.arena_bytes, *foreseen, equal


def randomize(model, rng):
    """Gives biases and normalizations random values: those of new layers are equal, and a file stores these once."""
    for weight in model.weights:
        if len(weight.shape) == 1:
            is_positive = weight.name in ("gamma", "moving_variance")
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) if is_positive else rng.normal(0, 0.1, weight.shape))


def rows(name, bits, folder):
    """Yields the rows of a network: INT8, then each number of bits."""
    model, rng = networks.get(name)(keras), np.random.default_rng(0)
    randomize(model, rng)
    inputs = rng.normal(size=(_SAMPLES, *model.input_shape[1:])).astype(np.float32)
    search_model = tfmp.relax(model, weight_bits=tuple(bits), activation_bits=(8,), calibration=inputs)
    searched = tfmp.discretize(search_model)
    int8 = None
    for mode, weight_bits in (("fast", max(bits)), *(("small", each) for each in sorted(bits, reverse=True))):
        fixed = tfmp.fix(search_model, tfmp.BitAssignment(dict.fromkeys(searched, (weight_bits, 8))))
        flash, arena, foreseen_flash, foreseen_arena, equal = measured(fixed, mode, inputs, folder)
        int8 = int8 or flash
        label = "INT8" if mode == "fast" else f"W{weight_bits}"
        yield (
            f"| `{name}` | {label} | {flash:,} | {flash / int8:.3f} | {foreseen_flash / flash - 1:+.2%} | {arena:,} "
            f"| {foreseen_arena / arena - 1:+.2%} | {'all' if equal else 'not all'} |"
        )


def main(argv):
    """Prints one row for each network and number of bits."""
    keras.utils.set_random_seed(0)
    bits = sorted({int(each) for each in _BITS.value})
    print("| network | weights | flash, bytes | of INT8 | foreseen | arena, bytes | foreseen | codes equal |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in argv[1:] or NETWORKS:
            for row in rows(name, bits, folder):
                print(row, flush=True)


if __name__ == "__main__":
    app.run(main)
