"""Sizes of files that are predicted and measured."""

import numpy as np

import tfmp
from tfmp.costs import TFLiteBytes

# What a prediction may be off where no two constants are equal by chance: gaps that align tables and vectors, what two
# kinds of vectors share.
TOLERANCE_BYTES = 1024


def apart(fixed, seed=0):
    """Moves the steps of a calibrated model as training does: no two layers that read one tensor keep equal ones."""
    rng = np.random.default_rng(seed)
    for layer in fixed.layers:
        for variable in layer.weights:
            if "activation_selector" in variable.path and variable.path.endswith("step"):
                variable.assign(variable * rng.uniform(0.8, 1.2))
    return fixed


def different_channels(model, seed=0):
    """Gives normalizations and biases of a new model numbers as training does: no two are equal."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            name = variable.path.rpartition("/")[2]
            if name in ("bias", "beta"):
                variable.assign(rng.normal(0, 0.1, variable.shape))
            elif name == "gamma":
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))


def check_size(fixed, path, *, mode, **arguments):
    """Compares a predicted size with the file's; returns the report."""
    report = tfmp.export_tflite(fixed, path, mode=mode, **arguments)
    predicted = tfmp.cost(fixed, TFLiteBytes(mode))
    assert abs(predicted - report.size_bytes) <= TOLERANCE_BYTES, (predicted, report.size_bytes)
    return report
