"""`tfmp.evaluate_tflite`: accuracy and losses of a file."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.checks import received
from tfmp.data.batches import labelled_batches, regrouped
from tfmp.tflite.file_contents import file_signature
from tfmp.tflite.open_file import open_file
from tfmp.tflite.output_metrics import (
    ACCURACY,
    OutputMetric,
    check_metric,
    default_names,
    is_metric_object,
    metric_name,
    output_metric,
)

_BATCH_SIZE = 64


def evaluate_tflite(path: str | os.PathLike[str], data: Any, *, metrics: Any = None) -> float | dict[str, float]:
    """Runs a TFLite file and returns metrics of its outputs.

    Without `metrics`, the metric of an output follows from its targets:

    | Output | Targets | Metric |
    |---|---|---|
    | several numbers | class indices, or distributions such as one-hot vectors | `accuracy` of the largest |
    | sigmoids | zeros and ones | `accuracy`, threshold 0.5 |
    | one number | integers 0 and 1 | `accuracy` of a logit, threshold 0 |
    | any | other numbers of its shape | `mae` and `mse` |

    Args:
        path: A file, of tfmp or of another converter.
        data: (inputs, targets) or (inputs, targets, sample_weight), as arrays or in batches of any form, see
            `tfmp.relax`. Several inputs, targets and weights are lists in the order of the model or dicts by the names
            in the file. If the file takes codes, arrays of its type are codes, and other numbers are quantized.
        metrics: `"accuracy"`, `"mae"`, `"mse"`; functions of (targets, outputs), called once with all samples and
            averaged if they return an array; or metric objects of either Keras. One, or a list for every output, or a
            dict of these by output.

    Returns:
        The accuracy, 0 to 1, of a file with one output of classes if `metrics` is None. Otherwise a dict of metrics:
        `{"mae": ..., "mse": ...}`; with several outputs `{"<output>_accuracy": ...}`. All metrics are weighted.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a complete TFLite file, the data have no samples, no targets or values that are not
            finite, or inputs or targets do not match the file.
        TypeError: If the data have another form, or a metric has a wrong type.

    Example:
        >>> accuracy = tfmp.evaluate_tflite("model.tflite", (x_test, y_test))
        >>> error = tfmp.evaluate_tflite("depth.tflite", (x_test, depth), metrics=["mae"])["mae"]
    """
    interpreter = open_file(path)
    signature = file_signature(interpreter)
    requested = {} if metrics is None else _by_output(metrics, signature.outputs)
    size = interpreter.batch_size * -(-_BATCH_SIZE // interpreter.batch_size)
    collected: dict[tuple[str, str], OutputMetric] = {}
    labelled = labelled_batches(data, inputs=signature.inputs, batch_size=size)
    for arrays, targets, weights in regrouped(labelled, size):
        outputs = _outputs(interpreter, arrays)
        targets = _by_name(targets, signature.outputs, "targets")
        if isinstance(weights, np.ndarray):  # one array applies to every output
            weights = dict.fromkeys(outputs, weights)
        weights = {} if weights is None else _by_name(weights, signature.outputs, "sample weights")
        if not collected:
            requested = requested or {
                name: default_names(array, outputs[name], name in signature.sigmoids) for name, array in targets.items()
            }
            _check_targets(targets, requested)
            collected = _collectors(requested, signature)
        for (output, _), metric in collected.items():
            metric.add(targets[output], outputs[output], weights.get(output))
    if metrics is None and list(requested.values()) == [(ACCURACY,)]:
        return next(iter(collected.values())).result()
    several = len(signature.outputs) > 1
    return {f"{output}_{name}" if several else name: metric.result() for (output, name), metric in collected.items()}


def _outputs(interpreter, arrays):
    """Returns the numbers of every output; inputs that are not codes are converted to the type of the file."""
    stored = {
        name: arrays[name] if arrays[name].dtype == tensor.dtype else tensor.stored(arrays[name])
        for name, tensor in interpreter.inputs.items()
    }
    return {name: interpreter.outputs[name].values(values) for name, values in interpreter.run(stored).items()}


def _by_output(metrics, outputs):
    """Returns lists of metrics by output."""
    if not isinstance(metrics, Mapping):
        metrics = dict.fromkeys(outputs, metrics)
    unknown = [name for name in metrics if name not in outputs]
    if unknown or not metrics:
        raise ValueError(
            f"`metrics` must have outputs of the file as keys, {', '.join(outputs)}. "
            f"Received: {received(list(metrics))}"
        )
    requested = {name: list(each) if isinstance(each, list | tuple) else [each] for name, each in metrics.items()}
    if not all(requested.values()):
        raise ValueError("`metrics` must hold at least one metric for each output that it names. Received: none.")
    given = [metric for each in requested.values() for metric in each]
    for metric in given:
        check_metric(metric)
    stateful = [id(metric) for metric in given if is_metric_object(metric)]
    if len(set(stateful)) < len(stateful):
        raise ValueError(
            "A metric object of Keras collects one output. Received: one object for several. Give `metrics` as a dict "
            f"with an object for each of the outputs {', '.join(outputs)}."
        )
    return requested


def _collectors(requested, signature):
    """Returns collectors by output and by metric name."""
    collected = {}
    for output, metrics in requested.items():
        for metric in metrics:
            name = unique = metric_name(metric)
            number = 0
            while (output, unique) in collected:
                number += 1
                unique = f"{name}_{number}"
            collected[output, unique] = output_metric(metric, output, output in signature.sigmoids)
    return collected


def _by_name(arrays, outputs, word):
    """Returns arrays by output name, for outputs that have any."""
    if isinstance(arrays, np.ndarray):
        arrays = [arrays]
    if isinstance(arrays, list | tuple) and len(arrays) == len(outputs):
        arrays = dict(zip(outputs, arrays, strict=True))
    if not isinstance(arrays, Mapping) or not set(arrays) <= set(outputs):
        description = (
            f"the keys {', '.join(map(str, arrays))}" if isinstance(arrays, Mapping) else f"{len(arrays)} arrays"
        )
        raise ValueError(
            f"`data` must have {word} for each output of the file, {', '.join(outputs)}: a list in this order, or a "
            f"dict. Received: {description}"
        )
    return {name: array for name, array in arrays.items() if array is not None}


def _check_targets(targets, requested):
    missing = [name for name in requested if name not in targets]
    if missing or not targets:
        raise ValueError(
            f"`data` must have targets for each evaluated output. Received: none for {', '.join(missing) or 'any'}"
        )
