"""Output error of a network: divergence from floating point, or a loss."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.checks import check_choice
from tfmp.data.batches import batches, labelled_batches, num_samples
from tfmp.data.model_inputs import ModelInputs
from tfmp.data.whole_batches import by_whole_batches, fixed_batch_size
from tfmp.graph import Graph
from tfmp.transform.output_kind import holds_probabilities

DIVERGENCES = ("kl", "squared_error")
_SMALLEST_PROBABILITY = 1e-7


def read_samples(
    graph: Graph,
    floating: KerasModel,
    data: Any,
    *,
    loss: Callable[..., Any] | None = None,
    divergence: str | None = None,
    name: str = "`data`",
) -> tuple[Callable[..., Any], list[tuple[Any, tuple[Any, ...]]]]:
    """Reads data into memory, each batch with the references for its outputs.

    Args:
        graph: The network.
        floating: The float model of the same network.
        data: Inputs, as in `tfmp.data.batches.batches`; with `loss`, inputs and targets, as in `labelled_batches`.
        loss: Function of (targets, outputs), or of (targets, outputs, sample_weight) if the data have weights; None for
            the divergence from the outputs in floating point.
        divergence: As in `divergence_of`.
        name: Name of the data in errors.

    Returns:
        The loss, and a list of pairs: the inputs of a batch, and a tuple of the references for its outputs.
    """
    if loss is None:
        chunks = list(batches(data, graph=graph, name=name))
        # Traced, because a model that runs eagerly keeps every tensor to its end: 11 GB for a ResNet-50 at 224 pixels.
        compute = tf.function(by_whole_batches(floating), reduce_retracing=fixed_batch_size(floating) is None)
        outputs = list(map(compute, chunks))
        return divergence_of(graph, outputs, divergence), [*zip(chunks, zip(outputs), strict=True)]
    inputs = ModelInputs.of(graph)
    labelled = labelled_batches(data, inputs=inputs, name=name)
    return loss, [
        (inputs.arranged(arrays), (targets,) if weights is None else (targets, weights))
        for arrays, targets, weights in labelled
    ]


class MeanLoss:
    """Computes the mean loss of a model over samples, at every call.

    Args:
        model: A Keras model, which may change between calls.
        loss: The loss from `read_samples`.
        samples: The samples from `read_samples`, or a part of them.
    """

    def __init__(self, model: KerasModel, loss: Callable[..., Any], samples: Sequence[tuple[Any, tuple[Any, ...]]]):
        self._weights = [num_samples(inputs) for inputs, _ in samples]
        self._samples = tf.nest.map_structure(tf.constant, samples)

        compute = by_whole_batches(model)

        @tf.function(reduce_retracing=fixed_batch_size(model) is None)
        def mean_loss(inputs, reference):
            targets, *weights = reference
            return tf.reduce_mean(tf.cast(loss(targets, compute(inputs), *weights), tf.float32))

        self._mean_loss = mean_loss

    def __call__(self) -> float:
        return float(np.average([float(self._mean_loss(*pair)) for pair in self._samples], weights=self._weights))


def divergence_of(graph: Graph, references: Sequence[Any], divergence: str | None = None) -> Callable[[Any, Any], Any]:
    """Returns a function of (reference outputs, outputs) that computes the divergence of each sample.

    - `"kl"`: KL(reference || output) over the last axis, for classifiers. If the output ends in a softmax, it is that
      of its probabilities, otherwise that of the softmax of the output.
    - `"squared_error"`: mean squared difference in units of the reference's variance.

    The divergences of all floating-point outputs are added; if there are none, it is the share of values that differ.
    None uses `"kl"` for outputs that end in a softmax and `"squared_error"` for others.

    Args:
        graph: The network.
        references: The outputs in floating point, one structure per batch.
        divergence: One of the above, or None.
    """
    if divergence is not None:
        check_choice("divergence", divergence, DIVERGENCES)
    kinds, are_float = [], [graph.tensors[name].is_float for name in graph.output_names]
    for position, name in enumerate(graph.output_names):
        if not are_float[position]:
            kinds.append((None if any(are_float) else "mismatch", False, 1))
            continue
        is_probability = holds_probabilities(graph, name)
        values = np.concatenate([np.asarray(tf.nest.flatten(batch)[position]) for batch in references])
        kinds.append((divergence or ("kl" if is_probability else "squared_error"), is_probability, values.var()))

    def difference(reference, output, kind, is_probability, variance):
        reference, output = tf.cast(reference, tf.float32), tf.cast(output, tf.float32)
        if kind == "mismatch":
            apart = tf.cast(tf.not_equal(reference, output), tf.float32)
        elif kind == "squared_error":
            apart = tf.square(output - reference) / max(variance, 1e-12)
        else:
            logs = [_log_probabilities(values, is_probability) for values in (reference, output)]
            apart = tf.reduce_sum(tf.exp(logs[0]) * (logs[0] - logs[1]), axis=-1, keepdims=True)
        return tf.reduce_mean(apart, axis=range(1, apart.shape.rank))

    def total(references, outputs):
        flat = zip(tf.nest.flatten(references), tf.nest.flatten(outputs), kinds, strict=True)
        return tf.add_n([difference(reference, output, *kind) for reference, output, kind in flat if kind[0]])

    return total


def _log_probabilities(values, is_probability):
    return tf.math.log(tf.maximum(values, _SMALLEST_PROBABILITY)) if is_probability else tf.nn.log_softmax(values)
