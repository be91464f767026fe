"""The accuracy of a file itself."""

import numpy as np
import tensorflow as tf

from tfmp.data.batches import check_finite
from tfmp.export.interpreter import Interpreter


def evaluate_tflite(path, data) -> float:
    """Returns the share of samples that a TFLite classifier gets right, run in the interpreter.

    Args:
        path: A file with one output of scores per class; its inputs in floating point.
        data: `(inputs, labels)` as arrays, or a `tf.data.Dataset` of batches of them. Labels are integers from 0, or
            one-hot.

    Returns:
        Accuracy, 0 to 1.

    Raises:
        ValueError: If the file has several outputs or less than two classes, or the data has no samples, inputs that
            are not finite, or labels that are no classes of the file.
    """
    interpreter = Interpreter(path)
    if len(interpreter.outputs) != 1:
        raise ValueError(f"Expected a file with one output. Received one with {', '.join(interpreter.outputs)}.")
    right, seen = 0, 0
    for inputs, labels in _labelled(data):
        check_finite(inputs, "Inputs")
        scores = next(iter(interpreter.run(inputs).values()))
        labels = _class_indices(np.asarray(labels), scores)
        right += int((scores.argmax(-1) == labels).sum())
        seen += labels.size
    if not seen:
        raise ValueError("Expected at least one sample. Received none.")
    return right / seen


def _class_indices(labels, scores):
    if scores.shape[-1] < 2:
        raise ValueError(f"Expected scores of two classes or more. Received an output of shape {scores.shape}.")
    if labels.shape == scores.shape:
        return labels.argmax(-1)
    if labels.shape not in (scores.shape[:-1], (*scores.shape[:-1], 1)):
        raise ValueError(
            f"Labels must be class indices of shape {scores.shape[:-1]}, or one-hot of shape {scores.shape}. "
            f"Received: {labels.shape}"
        )
    classes = scores.shape[-1]
    if labels.dtype.kind not in "fiub" or not np.isin(labels, np.arange(classes)).all():
        raise ValueError(
            f"Labels must be whole numbers from 0 to {classes - 1}, one for each class of the file. "
            f"Received: {labels.dtype} labels, among them {', '.join(map(str, np.unique(labels)[[0, -1]]))}"
        )
    return labels.reshape(scores.shape[:-1])


def _labelled(data):
    pairs = data.as_numpy_iterator() if isinstance(data, tf.data.Dataset) else [data]
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise ValueError("`data` must be (inputs, labels), or a `tf.data.Dataset` of batches of such pairs.")
        yield pair
