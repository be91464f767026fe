"""Sizes of files that are predicted and measured."""

import numpy as np

import tfmp
from tfmp.costs import TFLiteBytes


def tolerance(size_bytes):
    """What a prediction may be off."""
    return max(1024, 0.01 * size_bytes)


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
    assert abs(predicted - report.size_bytes) <= tolerance(report.size_bytes), (predicted, report.size_bytes)
    return report
