"""Quantization without training: uniform against assigned bits at equal BitOps.

    python -m recipes.without_training --models=digits,resnet8 --seeds=0

For each network, trained in floating point, and each uniform pair of bits, `uniform` gives every searched layer that
pair and `sensitivity` what `tfmp.assign_by_sensitivity` finds at the same BitOps. Both are then fixed in three ways,
from 256 training images and without any training:

- `start`: the ranges that training would start from;
- `normalization`: the same, the statistics of batch normalization estimated again (`calibration=`);
- `post_training`: ranges of least squared error, means and variances corrected (`post_training=True`).

Every finished run leaves one JSON in `recipes/results/without_training/`; runs whose JSON exists are skipped.
"""

import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from absl import app, flags

import tfmp
from recipes import resnet8_cifar10
from tfmp import demo
from tfmp.types.atomic_file import write_atomically

FLAGS = flags.FLAGS
RESULTS = pathlib.Path(__file__).parent / "results" / "without_training"
# `seeds` and `work_dir` are flags of the recipe imported above.
flags.DEFINE_list("models", ["digits", "resnet8"], "What to quantize.")
flags.DEFINE_list("uniform_bits", ["3", "4"], "Bits of weights and inputs alike whose BitOps are the budget.")

CANDIDATES = (2, 3, 4, 5, 6, 8)
NUM_CALIBRATION = 256
_DIGITS_EPOCHS, _DIGITS_BATCH_SIZE, _DIGITS_LEARNING_RATE = 25, 32, 3e-3


def digits(seed, work_dir):
    """Returns the demo's network, trained in seconds, its training images and its test set."""
    (x_train, y_train), test = demo.load_digits()
    keras.utils.set_random_seed(seed)
    model = tfmp.networks.get("digits_cnn")(keras)
    steps = -(-len(x_train) // _DIGITS_BATCH_SIZE)
    rate = resnet8_cifar10.cosine(_DIGITS_LEARNING_RATE, _DIGITS_EPOCHS, steps)
    resnet8_cifar10.compile_model(model, keras.optimizers.Adam(rate))
    model.fit(x_train, y_train, batch_size=_DIGITS_BATCH_SIZE, epochs=_DIGITS_EPOCHS, verbose=0)
    return model, x_train, test


def resnet8(seed, work_dir):
    """Returns the float network of the recipe `resnet8_cifar10`, from its file if it was trained before."""
    config = json.loads((RESULTS.parent.parent / "configs" / "resnet8_cifar10.json").read_text())
    model, _ = resnet8_cifar10.float_model(config, seed, work_dir)
    _, (x_train, test) = resnet8_cifar10.datasets(config, seed)
    return model, x_train, test


NETWORKS = {"digits": digits, "resnet8": resnet8}


def accuracy(model, test):
    """Share of the test images that a model gets right."""
    resnet8_cifar10.compile_model(model, "sgd")
    return resnet8_cifar10.accuracy(model, test)


def run(network, kind, bits, seed):
    """Quantizes one network at one budget.

    Args:
        network: The model, its training images, its test set.
        kind: `"uniform"` or `"sensitivity"`.
        bits: Of weights and inputs; their BitOps are the budget.
        seed: Integer, for `tfmp.relax`.
    """
    model, x_train, test = network
    images = x_train[:NUM_CALIBRATION]
    search_model = tfmp.relax(model, weight_bits=CANDIDATES, activation_bits=CANDIDATES, calibration=images, seed=seed)
    start = time.time()
    if kind == "sensitivity":
        assignment = tfmp.assign_by_sensitivity(search_model, images, tfmp.Budget("bitops", like_uniform=(bits, bits)))
    else:
        assignment = tfmp.BitAssignment(dict.fromkeys(tfmp.discretize(search_model), (bits, bits)))
    seconds = time.time() - start
    fixed = {
        "start": tfmp.fix(search_model, assignment),
        "normalization": tfmp.fix(search_model, assignment, calibration=images),
        "post_training": tfmp.fix(search_model, assignment, calibration=images, post_training=True),
    }
    return {
        "float_accuracy": accuracy(model, test),
        "accuracy": {name: accuracy(each, test) for name, each in fixed.items()},
        "bitops": tfmp.cost(search_model, "bitops", assignment),
        "bits": {name: list(pair) for name, pair in assignment.bits.items()},
        "provenance": assignment.provenance,
        "assignment_seconds": round(seconds, 1),
    }


def main(_):
    """Runs what has no result yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in map(int, FLAGS.seeds):
        for name in FLAGS.models:
            network = None
            for bits in map(int, FLAGS.uniform_bits):
                for kind in ("uniform", "sensitivity"):
                    path = RESULTS / f"{name}-{bits}-{kind}-seed{seed}.json"
                    if path.exists():
                        print(f"{path.name}: exists, skipped")
                        continue
                    network = network or NETWORKS[name](seed, pathlib.Path(FLAGS.work_dir))
                    record = {
                        "network": name,
                        "kind": kind,
                        "uniform_bits": bits,
                        "seed": seed,
                        **run(network, kind, bits, seed),
                        "num_calibration": NUM_CALIBRATION,
                        "num_test": len(network[2][0]),
                        "candidates": CANDIDATES,
                        "versions": {
                            "tfmp": tfmp.__version__,
                            "keras": keras.__version__,
                            "tensorflow": tf.__version__,
                        },
                    }
                    write_atomically(path, json.dumps(record, indent=1) + "\n")
                    print(f"{path.name}: {record['accuracy']}", flush=True)


if __name__ == "__main__":
    app.run(main)
