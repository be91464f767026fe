"""Metrics of outputs against targets."""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tfmp.checks import received

ACCURACY, MAE, MSE = "accuracy", "mae", "mse"
NAMES = (ACCURACY, MAE, MSE)


class OutputMetric(Protocol):
    """A metric that is accumulated batch by batch."""

    def add(self, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        """Adds a batch: arrays with one entry per sample, and sample weights or None."""

    def result(self) -> float:
        """Returns the metric over all batches."""


def default_names(targets: np.ndarray, outputs: np.ndarray, is_sigmoid: bool) -> tuple[str, ...]:
    """Returns the default metrics of an output, from its first batch: `("accuracy",)`, or `("mae", "mse")` for numbers.

    Targets are classes if they are integer labels or distributions such as one-hot vectors, for outputs of several
    numbers; zeros and ones, for sigmoids; or integers, for a single logit.
    """
    single = _is_single(outputs)
    if not single and targets.shape != outputs.shape:
        return (ACCURACY,)  # class indices, or an error
    binary = targets.dtype.kind in "fiub" and np.isin(targets, (0, 1)).all()
    if binary and (is_sigmoid or single and targets.dtype.kind in "iub"):
        return (ACCURACY,)
    return (ACCURACY,) if not single and _are_distributions(targets) else (MAE, MSE)


def output_metric(metric: Any, output: str, is_sigmoid: bool) -> OutputMetric:
    """Returns the collector of a metric.

    Args:
        metric: One of `NAMES`; a function of (targets, outputs); or a metric object of Keras.
        output: Name of the output.
        is_sigmoid: True for a sigmoid, with the threshold 0.5; otherwise the threshold is 0.
    """
    if metric == ACCURACY:
        return _Accuracy(output, 0.5 if is_sigmoid else 0.0)
    if isinstance(metric, str):
        power = 1 if metric == MAE else 2
        return _WeightedMean(lambda targets, outputs: np.abs(outputs - _numbers(targets, outputs, output)) ** power)
    return _MetricObject(metric) if is_metric_object(metric) else _WholeFunction(metric)


def is_metric_object(metric: Any) -> bool:
    """Returns True for metric objects of either Keras, and for objects with the same methods."""
    return not isinstance(metric, type) and all(hasattr(metric, name) for name in ("update_state", "result"))


def check_metric(metric: Any) -> None:
    """Raises `TypeError` if a metric is not a name, a function or a metric object."""
    is_function = callable(metric) and not isinstance(metric, type)
    if not (isinstance(metric, str) and metric in NAMES or is_function or is_metric_object(metric)):
        raise TypeError(
            f"`metrics` must hold {', '.join(map(repr, NAMES))}, functions of (targets, outputs) or metric objects of "
            f"Keras. Received: {received(metric)}"
        )


def metric_name(metric: Any) -> str:
    """Returns the name of a metric in the result."""
    name = metric if isinstance(metric, str) else getattr(metric, "name", None) or getattr(metric, "__name__", "")
    return name if name and name.isidentifier() else "metric"


class _WeightedMean:
    def __init__(self, values: Callable[[np.ndarray, np.ndarray], np.ndarray]):
        self._values, self._sum, self._weight = values, 0.0, 0.0

    def add(self, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        values = np.asarray(self._values(targets, outputs), np.float64)
        weights = _spread(weights, values)
        self._sum += float((values * weights).sum())
        self._weight += float(weights.sum())

    def result(self) -> float:
        if not self._weight:
            raise ValueError("The sample weights must not all be zero. Received: weights that sum to 0.")
        return self._sum / self._weight


class _Accuracy(_WeightedMean):
    """Share of correct classes; the first batch determines whether every number is a binary class."""

    def __init__(self, output, threshold):
        super().__init__(self._hits)
        self._output, self._threshold, self._is_binary = output, threshold, None

    def _hits(self, targets, outputs):
        if self._is_binary is None:
            same = targets.shape == outputs.shape
            self._is_binary = _is_single(outputs) or same and not _are_distributions(targets)
        if not self._is_binary:
            return outputs.argmax(-1) == _class_indices(targets, outputs)
        targets = _numbers(targets, outputs, self._output)
        if not np.isin(targets, (0, 1)).all():
            raise ValueError(
                f"Targets of `{self._output}` must be zeros and ones, or one-hot. Received: numbers from "
                f'{targets.min():g} to {targets.max():g}. Give `metrics=["mae", "mse"]` for these.'
            )
        return (outputs > self._threshold) == targets


class _MetricObject:
    def __init__(self, metric):
        self._metric = metric
        metric.reset_state()

    def add(self, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        self._metric.update_state(targets, outputs, sample_weight=weights)

    def result(self) -> float:
        return _as_number(self._metric.result(), self._metric)


class _WholeFunction:
    """A function that is called once with all targets and outputs, so it need not be a mean over samples."""

    def __init__(self, function):
        self._function, self._batches = function, []

    def add(self, targets: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> None:
        self._batches.append((targets, outputs) if weights is None else (targets, outputs, weights))

    def result(self) -> float:
        targets, outputs, *weights = (np.concatenate(parts) for parts in zip(*self._batches, strict=True))
        if weights and "sample_weight" in inspect.signature(self._function).parameters:
            return _as_number(self._function(targets, outputs, sample_weight=weights[0]), self._function)
        values = np.asarray(self._function(targets, outputs))
        if not weights:
            return _as_number(values, self._function)
        if values.shape[:1] != targets.shape[:1]:
            raise ValueError(
                f"With sample weights, the metric `{metric_name(self._function)}` must take `sample_weight` or return "
                f"one value per sample. Received: {received(values)}. Otherwise omit the weights from the data."
            )
        mean = _WeightedMean(lambda *_: values)
        mean.add(targets, outputs, weights[0])
        return mean.result()


def _as_number(value, metric):
    value = np.asarray(value)
    if value.dtype.kind not in "fiub":
        raise ValueError(f"The metric `{metric_name(metric)}` must return numbers. Received: {received(value)}")
    return float(value.mean(dtype=np.float64))


def _spread(weights, values):
    """Returns sample weights broadcast to the shape of the values."""
    if weights is None:
        return np.ones_like(values)
    weights = np.asarray(weights, np.float64)
    if weights.shape[1:] == (1,):
        weights = weights[:, 0]
    if weights.shape != values.shape[: weights.ndim]:
        raise ValueError(
            f"Sample weights must have one entry per sample, or per value of shape {values.shape}. "
            f"Received: {weights.shape}"
        )
    return np.broadcast_to(weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)), values.shape)


def _is_single(outputs):
    return outputs.ndim == 1 or outputs.shape[-1] == 1


def _numbers(targets, outputs, name):
    if targets.size != outputs.size or targets.shape[:1] != outputs.shape[:1] or targets.dtype.kind not in "fiub":
        raise ValueError(
            f"Targets of `{name}` must be numbers of shape {outputs.shape}. "
            f"Received: {targets.dtype} of shape {targets.shape}"
        )
    return targets.reshape(outputs.shape).astype(np.float64)


def _are_distributions(targets):
    if targets.dtype.kind not in "fiub":
        return False
    return bool((targets >= 0).all() and np.allclose(targets.sum(-1), 1, atol=1e-3))


def _class_indices(labels, scores):
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
