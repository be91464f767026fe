"""Quantization without training: uniform against assigned bits at equal BitOps.

    python -m recipes.without_training

For each network, trained in floating point, and each uniform pair of bits, `uniform` gives every searched layer that
pair and `sensitivity` what `tfmp.assign.by_sensitivity` finds at the same BitOps. Both are then fixed in three ways,
from 256 training images and without any training:

- `start`: the ranges that training would start from;
- `normalization`: the same, the statistics of batch normalization estimated again (`calibration=`);
- `post_training`: ranges of least squared error, means and variances corrected (`post_training=True`).

Every finished run leaves one JSON in `recipes/results/without_training/`; runs whose JSON exists are skipped.
"""

import functools
import time

import keras

import tfmp
from recipes import classifier, experiment
from tfmp import demo

_DIGITS_EPOCHS, _DIGITS_BATCH_SIZE, _DIGITS_LEARNING_RATE = 25, 32, 3e-3


def digits(seed):
    """Returns the demo's network, trained in seconds, its training images and its test set."""
    (x_train, y_train), test = demo.load_digits()
    keras.utils.set_random_seed(seed)
    model = tfmp.networks.get("digits_cnn")(keras)
    steps = -(-len(x_train) // _DIGITS_BATCH_SIZE)
    rate = classifier.cosine(_DIGITS_LEARNING_RATE, _DIGITS_EPOCHS, steps)
    classifier.compile_model(model, keras.optimizers.Adam(rate))
    model.fit(x_train, y_train, batch_size=_DIGITS_BATCH_SIZE, epochs=_DIGITS_EPOCHS, verbose=0)
    return model, x_train, test


def cifar10_network(run):
    """Returns the float network of the recipe `resnet8_cifar10`, from its file if it was trained before."""
    model, _ = classifier.float_model(run.config, run.seed, run.work_dir)
    _, (x_train, test) = classifier.datasets(run.config, run.seed)
    return model, x_train, test


def accuracy(model, test):
    """Share of the test images that a model gets right."""
    classifier.compile_model(model, "sgd")
    return classifier.accuracy(model, test)


def quantize(run, kind):
    """Quantizes one network at one budget; `kind` is `"uniform"` or `"sensitivity"`."""
    network, bits, candidates = run.config["network"], run.config["bits"], tuple(run.config["candidates"])
    model, x_train, test = digits(run.seed) if network == "digits" else cifar10_network(run)
    images = x_train[: run.config["num_calibration"]]
    search_model = tfmp.relax(
        model,
        weight_bits=candidates,
        activation_bits=candidates,
        quantizer=run.config["quantizer"],
        calibration=images,
        seed=run.seed,
    )
    start = time.time()
    if kind == "sensitivity":
        assignment = tfmp.assign.by_sensitivity(search_model, images, tfmp.Budget("bitops", like_uniform=(bits, bits)))
    else:
        assignment = tfmp.BitAssignment(dict.fromkeys(tfmp.discretize(search_model), (bits, bits)))
    seconds = time.time() - start
    fixed = {
        "start": tfmp.fix(search_model, assignment),
        "normalization": tfmp.fix(search_model, assignment, calibration=images),
        "post_training": tfmp.fix(search_model, assignment, calibration=images, post_training=True),
    }
    return {
        "network": network,
        "kind": kind,
        "uniform_bits": bits,
        "float_accuracy": accuracy(model, test),
        "accuracy": {name: accuracy(each, test) for name, each in fixed.items()},
        "bitops": tfmp.cost(search_model, "bitops", assignment),
        "bits": {name: list(pair) for name, pair in assignment.bits.items()},
        "provenance": assignment.provenance,
        "assignment_seconds": round(seconds, 1),
        "num_test": len(test[0]),
    }


METHODS = {kind: functools.partial(quantize, kind=kind) for kind in ("uniform", "sensitivity")}

if __name__ == "__main__":
    experiment.main("without_training", METHODS)
