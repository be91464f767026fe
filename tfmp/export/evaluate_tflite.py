"""The accuracy of a file itself."""

import numpy as np
import tensorflow as tf

from tfmp.export.interpreter import Interpreter


def evaluate_tflite(path, data) -> float:
    """Returns the share of samples that a TFLite classifier gets right, run in the interpreter.

    Args:
        path: A file with one output of scores per class; its inputs in floating point.
        data: `(inputs, labels)` as arrays, or a `tf.data.Dataset` of batches of them. Labels are integers, or one-hot.

    Returns:
        Accuracy, 0 to 1.

    Raises:
        ValueError: If the file has several outputs, the data no labels or no samples.
    """
    interpreter = Interpreter(path)
    if len(interpreter.outputs) != 1:
        raise ValueError(f"Expected a file with one output. Received one with {', '.join(interpreter.outputs)}.")
    right, seen = 0, 0
    for inputs, labels in _labelled(data):
        scores = next(iter(interpreter.run(inputs).values()))
        labels = np.asarray(labels)
        labels = labels.argmax(-1) if labels.shape == scores.shape else labels.reshape(scores.shape[:-1])
        right += int((scores.argmax(-1) == labels).sum())
        seen += labels.size
    if not seen:
        raise ValueError("Expected at least one sample. Received none.")
    return right / seen


def _labelled(data):
    if isinstance(data, tf.data.Dataset):
        return data.as_numpy_iterator()
    if isinstance(data, list | tuple) and len(data) == 2:
        return [data]
    raise ValueError("`data` must be (inputs, labels), or a `tf.data.Dataset` of such pairs.")
