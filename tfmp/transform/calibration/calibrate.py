"""Calibrates ranges and batch normalizations."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import batches, num_samples, regrouped
from tfmp.data.whole_batches import by_whole_batches, fixed_batch_size, full_batches
from tfmp.operators.batch_normalization import channel_axis, has_last_channels
from tfmp.transform.calibration.moment_correction import ChannelMoments, MomentsInOrder
from tfmp.transform.reconstruction.segmented_model import SegmentedModel

_MAX_VALUES = 2**18
_MAX_BYTES = 2**29


def calibrate_ranges(model: KerasModel, float_model: KerasModel, data: Any, *, least_squares: bool = False) -> None:
    """Sets the range of every activation quantizer of a model from the tensors of its float model on the data.

    Args:
        model: A relaxed or fixed model.
        float_model: The same network without quantizers, with the same tensor names.
        data: As in `tfmp.data.batches.batches`.
        least_squares: True for ranges of least squared error, also of kernels, for networks without more training.
            Otherwise activations get the initial ranges of training, and kernels keep their ranges.
    """
    graph = framework_of(model).read(model, weights=False)
    wanted: dict[str, list[str]] = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        if not layer.activation.formats[0].is_float:
            wanted.setdefault(layer.name, []).append(_source(graph, call.inputs[0]))
        if least_squares and not layer.weight.formats[0].is_float:
            built = framework_of(model).layer(model, layer.name)
            built.weight_selector.calibrate(np.asarray(built.kernel), least_squares=True)
    if not wanted:
        return
    names = list(dict.fromkeys(name for names in wanted.values() for name in names))
    sample = _sample(float_model, names, batches(data, graph=graph))
    for layer_name, names in wanted.items():
        values = np.concatenate([sample[name] for name in names])
        framework_of(model).layer(model, layer_name).activation_selector.calibrate(values, least_squares=least_squares)


def _source(graph, tensor):
    """Returns the tensor of the float model that the added quantizers read."""
    while graph.layer_of(graph.producer(tensor)).kind == "quantize":
        tensor = graph.producer(tensor).inputs[0]
    return tensor


def _sample(model, names, chunks):
    """Returns up to 2**18 values of each tensor over all batches and the extremes among them, by name."""
    tensor_model = framework_of(model).tensor_model(model, names)
    read = by_whole_batches(tensor_model)
    rng = np.random.default_rng(0)
    drawn = {name: _Drawn(rng) for name in names}
    for batch in _small(chunks, tensor_model.outputs):
        outputs = read(batch)  # `predict_on_batch` of a replicated model repeats the batch
        for name, values in zip(names, outputs if isinstance(outputs, list) else [outputs], strict=True):
            drawn[name].add(np.asarray(values).ravel())
    return {name: np.concatenate([each.values, each.extremes]) for name, each in drawn.items()}


def _small(batches, tensors):
    """Yields batches, split where these tensors of a batch would take more than `_MAX_BYTES`."""
    bytes_per_sample = 4 * sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in tensors)
    most = max(1, _MAX_BYTES // bytes_per_sample)
    for batch in batches:
        yield from regrouped([batch], most) if num_samples(batch) > most else [batch]


class _Drawn:
    """A random sample of all added values, or all of them if they are few.

    The sample is random because every n-th value may belong to one channel.
    """

    def __init__(self, rng):
        self._rng, self._seen = rng, 0
        self.values = self.extremes = np.zeros(0, np.float32)

    def add(self, values):
        before, self._seen = self._seen, self._seen + values.size
        if before <= _MAX_VALUES:
            pool = np.concatenate([self.values, values]) if before else values
            self.values = pool if self._seen <= _MAX_VALUES else self._rng.choice(pool, _MAX_VALUES)
        else:
            replaced = self._rng.binomial(_MAX_VALUES, values.size / self._seen)
            places = self._rng.choice(_MAX_VALUES, replaced, replace=False)
            self.values[places] = self._rng.choice(values, replaced)
        ends = [*self.extremes, values.min(), values.max()]
        self.extremes = np.array([np.min(ends), np.max(ends)], values.dtype)


def reestimate_normalization(model: KerasModel, data: Any) -> dict[str, int]:
    """Sets the moving statistics of every batch normalization to their averages over the data.

    Other bits change the inputs of a normalization; this corrects its statistics without training. Moving ranges are
    updated too. Channels that the data do not determine keep their statistics: those that are nearly constant, whose
    variance near zero would amplify other values later, and all channels of tensors with few values.

    Args:
        model: A trained Keras model; its other weights do not change.
        data: As in `tfmp.data.batches.batches`.

    Returns:
        The number of channels that kept their statistics, by the name of their normalization.
    """
    framework = framework_of(model)
    graph = framework.read(model, weights=False)
    layers = {layer.name: framework.layer(model, layer.name) for layer in graph.in_order() if _is_normalization(layer)}
    layers = {name: layer for name, layer in layers.items() if layer.trainable}
    if not layers:
        return {}
    before = {
        name: [np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance)]
        for name, layer in layers.items()
    }
    momenta = [layer.momentum for layer in layers.values()]
    try:
        seen = 0
        for batch in full_batches(batches(data, graph=graph), fixed_batch_size(model)):
            size = len(tf.nest.flatten(batch)[0])
            for layer in layers.values():
                layer.momentum = seen / (seen + size)  # the average over all samples so far
            model(batch, training=True)
            seen += size
    finally:
        for layer, momentum in zip(layers.values(), momenta, strict=True):
            layer.momentum = momentum
    moments_by_name = {
        name: ChannelMoments(
            np.asarray(layer.moving_mean, np.float64),
            np.asarray(layer.moving_variance, np.float64),
            seen * _num_positions(graph, name),
        )
        for name, layer in layers.items()
    }
    counts = {name: _set_statistics(layers[name], moments, *before[name]) for name, moments in moments_by_name.items()}
    if any(counts.values()):
        # Training normalizes such channels by the batch, so the layers after them saw other values.
        tensors = {
            name: [call.inputs[0] for call in graph.calls_of(name)]
            for name in layers
            if has_last_channels(graph, graph.layers[name])
        }
        moments = MomentsInOrder(SegmentedModel(model), tensors, batches(data, graph=graph))
        for name in tensors:
            counts[name] = _set_statistics(layers[name], moments.of(name), *before[name])
    return counts


def _set_statistics(layer, moments, mean, variance):
    """Sets the usable moments of a normalization and returns the number of channels that keep their old ones."""
    usable = moments.usable(variance + layer.epsilon)
    layer.moving_mean.assign(np.where(usable, moments.mean, mean))
    layer.moving_variance.assign(np.where(usable, moments.variance, variance))
    return int(np.sum(~usable))


def _is_normalization(layer):
    return layer.kind == "batch_normalization"


def _num_positions(graph, name):
    """Returns the number of values of a channel in one sample, over all calls; free sizes count as 1."""
    shapes = [graph.tensors[call.inputs[0]].shape for call in graph.calls_of(name)]
    axis = channel_axis(graph.layers[name])
    return sum(
        math.prod(size or 1 for i, size in enumerate(shape) if i not in (0, axis % len(shape))) for shape in shapes
    )
