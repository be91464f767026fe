"""Sensitivities from gradients: one pass over the data for all layers and candidates."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.assign.finest_network import FinestNetwork
from tfmp.assign.layer_errors import LayerErrors
from tfmp.assign.output_directions import output_directions
from tfmp.data.batches import num_samples, padded, regrouped
from tfmp.data.whole_batches import fixed_batch_size
from tfmp.graph import Layer, map_references

Scores = dict[str, tuple[np.ndarray, np.ndarray]]

_BATCH_SIZE = 8  # bounds the memory of the gradients of large networks
_GRADIENTS, _MOST_DIRECTIONS = 512, 8  # with few samples, each has several random directions


class GradientScores:
    """Estimates the increase of the error to second order, by the Fisher information at each layer's output.

        score(b) = 1/2 E_n[ (g_n . e_n(b))**2 ],  less that of 8 bits

    where e_n(b) is the error of the layer's output for sample n with its kernel, or its input, at b bits, after the
    correction of its moments, and g_n the gradient of the network's error with respect to this output.

    With a loss, g_n is the gradient of the sample's loss (the empirical Fisher information). Without one, the error is
    the divergence from the network's output z in floating point. Its gradient there is zero and its Hessian H(z) is
    known, so g_n is the gradient of u . z with a random u for which E[u u'] = H(z): E[g g'] is then the Gauss-Newton
    matrix, which is the exact Hessian of the divergence with respect to the layer's output.

    Args:
        network: The network, with calibrated ranges.
        layers: The layers to measure, with their candidates.
        samples: The samples, from `read_samples`.
        loss: Function of (targets, outputs), or of (targets, outputs, sample_weight); None for the divergence.
        divergence: As in `divergence_of`.
        seed: Integer, for the directions u.

    Raises:
        ValueError: If no output is a floating-point number.

    Reference:
        Li et al., 2021, BRECQ, https://arxiv.org/abs/2102.05426, eq. 7 and 10 (the Hessian at a layer's output by the
        Fisher information). Dong et al., 2020, HAWQ-V2, https://arxiv.org/abs/1911.03852 (second-order sensitivities
        of bit-widths). Martens, 2020, https://arxiv.org/abs/1412.1193, section 9 (Fisher and Gauss-Newton matrix).
    """

    def __init__(
        self,
        network: FinestNetwork,
        layers: Sequence[Layer],
        samples: Sequence[tuple[Any, tuple[Any, ...]]],
        *,
        loss: Callable[..., Any] | None = None,
        divergence: str | None = None,
        seed: int = 0,
    ):
        graph, framework = network.floating_graph, network.framework
        self._graph, self._loss, self._samples, self._seed = graph, loss, samples, seed
        self._errors = [LayerErrors(network, layer) for layer in layers]
        calls = [call for layer in layers for call in graph.calls_of(layer.name)]
        self._num_calls = [len(graph.calls_of(layer.name)) for layer in layers]
        ends = [call.inputs[0] for call in calls] + [call.outputs[0] for call in calls]
        self._model = framework.tensor_model(network.floating, [*graph.output_names, *ends])
        self._batch_size = fixed_batch_size(self._model)
        variables = map(framework.tf_variable, network.floating.weights)
        self._watched = [variable for variable in variables if variable.dtype.is_floating]
        self.num_samples = sum(num_samples(inputs) for inputs, _ in samples)
        self._num_directions = 1
        if loss is None:
            self._num_directions = min(_MOST_DIRECTIONS, -(-_GRADIENTS // self.num_samples))
            self._directions = output_directions(graph, self._output_variances, divergence)
        self._step = tf.function(self._projections, reduce_retracing=True)

    def measure(self, progress: Callable[[int], None] = lambda count: None) -> tuple[Scores, float]:
        """Returns the scores of the candidates, by layer, of kernel and input, and the error at 8 bits everywhere.

        The score of a tensor without a choice is zero.

        Args:
            progress: Called after each batch with the number of samples so far.
        """
        reached = 0
        for inputs, reference, count in self._batches():
            seed = tf.constant([self._seed, reached], tf.int64)
            for errors, parts in zip(self._errors, self._step(inputs, reference, seed, count), strict=True):
                errors.add(parts)
            reached += count
            progress(reached)
        found = {errors.name: errors.scores() for errors in self._errors}
        return {name: scores for name, (scores, _) in found.items()}, sum(finest for _, finest in found.values())

    def _batches(self) -> Iterator[tuple[Any, Any, int]]:
        """Yields inputs, references and the number of samples; a model with a fixed batch size gets padded inputs."""
        for pair in self._samples:
            for inputs, reference in regrouped([pair], self._batch_size or _BATCH_SIZE):
                count = num_samples(inputs)
                if self._batch_size is not None:
                    inputs, _ = padded(inputs, self._batch_size)
                targets = () if self._loss is None else reference
                yield *(tf.nest.map_structure(tf.convert_to_tensor, each) for each in (inputs, targets)), count

    def _projections(self, inputs, reference, seed, count):
        """Returns what `LayerErrors.add` takes for each layer, of the first `count` samples."""
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([tensor for tensor in tf.nest.flatten(inputs) if tensor.dtype.is_floating])
            tape.watch(self._watched)
            outputs, sources, results = self._tensors(inputs)
            outputs = [output[:count] for output in outputs]
            if self._loss is not None:
                by_name = dict(zip(self._graph.output_names, outputs, strict=True))
                structure = map_references(self._graph.outputs, lambda reference: by_name[reference.name])
                targets, *weights = reference
                # The loss is a mean over the samples; the gradients are those of each sample's own loss.
                error = count * tf.reduce_mean(tf.cast(self._loss(targets, structure, *weights), tf.float32))
        options = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        if self._loss is not None:
            gradients = [tape.gradient(error, results, **options)]
        else:
            gradients = []
            for number in range(self._num_directions):
                pairs = self._directions(outputs, seed + [number * 2**32, 0])
                targets, directions = zip(*pairs, strict=True)
                gradients.append(tape.gradient(targets, results, output_gradients=list(directions), **options))
        parts, start = [], 0
        for errors, num_calls in zip(self._errors, self._num_calls, strict=True):
            calls = slice(start, start + num_calls)
            of_directions = [[each[:count] for each in every[calls]] for every in gradients]
            # One layer after the other: the errors of all layers at once would not fit into memory.
            with tf.control_dependencies([*gradients[-1], *(parts[-1] if parts else ())]):
                parts.append(errors.projected([tf.identity(each[:count]) for each in sources[calls]], of_directions))
            start += num_calls
        return parts

    def _tensors(self, inputs):
        """Returns the network's outputs, and the inputs and outputs of the calls of all layers."""
        tensors = tf.nest.flatten(self._model(inputs, training=False))
        first, num_calls = len(self._graph.output_names), sum(self._num_calls)
        return tensors[:first], tensors[first : first + num_calls], tensors[first + num_calls :]

    def _output_variances(self):
        """Returns the variance of each output over the samples."""
        compute, values = tf.function(lambda inputs: self._tensors(inputs)[0], reduce_retracing=True), []
        for inputs, _, count in self._batches():
            values.append([np.asarray(output, np.float64)[:count].ravel() for output in compute(inputs)])
        return [float(np.concatenate(parts).var()) for parts in zip(*values, strict=True)]
