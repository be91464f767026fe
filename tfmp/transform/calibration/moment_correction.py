"""Means and variances per channel, and correcting what quantization has shifted of them."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import batches, num_samples
from tfmp.data.whole_batches import by_whole_batches, fixed_batch_size
from tfmp.graph import Graph
from tfmp.operators.batch_normalization import fusable_normalization, has_last_channels
from tfmp.transform.reconstruction.segmented_model import LiveTensors, SegmentedModel

_MIN_VALUES = 32
_SMALLEST_SHARE = 1e-3
_ROUNDING = 1e-6  # relative to the squared mean: rounding error of the difference of two float32 averages


@dataclasses.dataclass(frozen=True)
class ChannelMoments:
    """Moments of one tensor over all positions of all samples.

    Args:
        mean: `[channels]` array, float64.
        variance: `[channels]` array, float64.
        count: Number of values per channel.
    """

    mean: np.ndarray
    variance: np.ndarray
    count: int

    def usable(self, variance: ArrayLike) -> np.ndarray:
        """Returns a `[channels]` mask, False for channels whose moments the data do not determine.

        These are channels with the usual variance that are nearly constant here, and all channels of a tensor with few
        values.
        """
        smallest = np.maximum(_SMALLEST_SHARE * np.asarray(variance, np.float64), _ROUNDING * np.square(self.mean))
        return (self.variance > smallest) & (self.count >= _MIN_VALUES)


def moment_reader(
    model: KerasModel, tensors: Mapping[str, Sequence[str]], batches: Callable[[], Iterable[Any]]
) -> Callable[[], dict[str, ChannelMoments]]:
    """Returns a function that computes the current moments of tensors of a model.

    Args:
        model: A Keras model.
        tensors: Any name to the tensors over which its moments are averaged.
        batches: Function that returns an iterator of batches, inputs of the model.

    Returns:
        A function without arguments that returns a dict of `ChannelMoments` by these names.
    """
    names = [name for group in tensors.values() for name in group]
    tensor_model = framework_of(model).tensor_model(model, names)
    read = by_whole_batches(tensor_model)

    @tf.function(reduce_retracing=fixed_batch_size(tensor_model) is None)
    def powers(chunk):
        return [_powers(output) for output in tf.nest.flatten(read(chunk))]

    def moments():
        sizes, parts = [], []
        for chunk in batches():
            sizes.append(num_samples(chunk))
            parts.append(powers(chunk))
        calls = iter(zip(*parts, strict=True))
        return {name: _pooled([next(calls) for _ in group], sizes) for name, group in tensors.items()}

    return moments


def _powers(tensor):
    """Returns the means of the values and of their squares per channel, `[2, channels]`, and the values per channel."""
    x = tf.cast(tensor, tf.float32)
    powers = [tf.reduce_mean(power, axis=range(power.shape.rank - 1)) for power in (x, tf.square(x))]
    return tf.stack(powers), tf.size(x) // tf.shape(x)[-1]


def _pooled(calls, sizes):
    """Returns the moments over all calls of a layer, from a list of `_powers` of batches for each call."""
    means = [np.average([np.asarray(pair, np.float64) for pair, _ in call], axis=0, weights=sizes) for call in calls]
    mean, power = np.mean(means, axis=0)
    count = sum(int(count) for call in calls for _, count in call)
    return ChannelMoments(mean, np.maximum(power - mean**2, 0), count)


class MomentsInOrder:
    """Computes the current moments of tensors in the order of the network, all in one pass.

    Args:
        model: The model, in parts. Layers before the tensors that were asked for last must not change.
        tensors: As in `moment_reader`, with names of layers: the tensors are inputs or outputs of their calls.
        batches: Inputs of the model.
    """

    def __init__(self, model: SegmentedModel, tensors: Mapping[str, Sequence[str]], batches: Iterable[Any]):
        self._calls, self._tensors = model.graph.calls, tensors
        self._live = LiveTensors(model, list(batches))

    def of(self, layer: str, *, changed: str | None = None) -> ChannelMoments:
        """Returns the moments of the tensors of a layer that runs after those that were asked for before.

        Args:
            layer: Its name.
            changed: The first layer that may change between this call and the next. None if that is `layer`.
        """
        start = layer if changed is None else changed
        self._live.advance(next(number for number, call in enumerate(self._calls) if call.layer == start))
        group = self._tensors[layer]
        found = self._live.compute(list(dict.fromkeys(group)))
        calls = [found[name] for name in group]
        return _pooled([[_powers(batch) for batch in call] for call in calls], [len(batch) for batch in calls[0]])


STATISTICS = ("moving_mean", "moving_variance")


class MomentCorrection:
    """Corrects the mean and variance of tensors, channel by channel, to those of the float network.

    If a normalization follows, its moving mean and variance are set so that its output has the mean and variance of the
    float network. Otherwise the difference of the means is added to the bias of the quantized layer; a layer without
    bias is not changed.

    Args:
        graph: A relaxed or fixed network with separate activation layers (`with_separate_activations(graph)`).
        model: The model of this graph, changed in place.
        floating: The float model of the same network, with the same tensor names.
        data: As in `tfmp.data.batches.batches`.

    Attributes:
        carriers: Names of the layers whose statistics or bias hold a correction, in the order of the network.
        kept_channels: Number of unchanged channels in the last correction of a normalization, by carrier.
    """

    def __init__(self, graph: Graph, model: KerasModel, floating: KerasModel, data: Any):
        self._batches = functools.partial(batches, data, graph=graph)
        self._variables: dict[str, dict[str, Any]] = {}
        self._exact: dict[str, dict[str, Any]] = {}
        self._carrier_of: dict[str, str] = {}
        self._epsilon: dict[str, float] = {}
        tensors: dict[str, list[str]] = {}
        framework = framework_of(model)
        for call in graph.calls:
            layer, normalization = graph.layer_of(call), fusable_normalization(graph, call)
            if layer.kind == "batch_normalization":
                if not has_last_channels(graph, layer):
                    continue
                paths, tensor = list(STATISTICS), call.inputs[0]
                self._epsilon[layer.name] = layer.attributes["epsilon"]
            elif normalization is not None:
                self._carrier_of[layer.name] = normalization.name
                continue
            elif layer.shape is not None and layer.is_quantized and "bias" in layer.weights:
                self._carrier_of[layer.name] = layer.name
                paths, tensor = ["bias"], call.outputs[0]
            else:
                continue
            for kept, owner in ((self._variables, model), (self._exact, floating)):
                kept[layer.name] = {path: getattr(framework.layer(owner, layer.name), path) for path in paths}
            tensors.setdefault(layer.name, []).append(tensor)
        self.carriers = tuple(self._variables)
        self.kept_channels: dict[str, int] = {}
        self._model, self._tensors = SegmentedModel(model), tensors
        if self.carriers:
            self._read_wanted = moment_reader(floating, tensors, self._batches)
            self._wanted = self._read_wanted()

    def in_order(self) -> MomentsInOrder:
        """Returns the moments of the carriers' tensors for one pass of corrections in the order of `carriers`."""
        return MomentsInOrder(self._model, self._tensors, self._batches())

    def floating_changed(self) -> None:
        """Takes the moments of the float network anew."""
        if self.carriers:
            self._wanted = self._read_wanted()

    def carrier(self, layer: str) -> str | None:
        """Returns the name of the layer that holds the correction of a layer with a kernel, or None."""
        return self._carrier_of.get(layer)

    def correct(self, carrier: str, current: ChannelMoments) -> None:
        """Corrects one tensor.

        Channels of a normalization whose moments are not usable, in either network, do not change.

        Args:
            carrier: One of `carriers`.
            current: The tensor's moments, from `in_order`.
        """
        wanted, values = self._wanted[carrier], self.values(carrier)
        if "bias" in values:
            self.assign(carrier, {"bias": values["bias"] + wanted.mean - current.mean})
            return
        epsilon = self._epsilon[carrier]
        exact_mean, exact_variance = (np.asarray(self._exact[carrier][path], np.float64) for path in STATISTICS)
        usable = current.usable(exact_variance + epsilon) & wanted.usable(exact_variance + epsilon)
        quotient = current.variance / np.where(usable, wanted.variance, 1)
        variance = np.maximum(quotient * (exact_variance + epsilon) - epsilon, 0)
        factor = np.sqrt((variance + epsilon) / (exact_variance + epsilon))
        corrected = current.mean - factor * (wanted.mean - exact_mean), variance
        pairs = zip(STATISTICS, corrected, strict=True)
        self.assign(carrier, {path: np.where(usable, value, values[path]) for path, value in pairs})
        self.kept_channels[carrier] = int(np.sum(~usable))

    def values(self, carrier: str) -> dict[str, np.ndarray]:
        """Returns the arrays that hold a correction, by their names in the layer."""
        return {path: np.asarray(variable) for path, variable in self._variables[carrier].items()}

    def assign(self, carrier: str, values: Mapping[str, np.ndarray]) -> None:
        """Writes arrays in the form of `values`."""
        for path, value in values.items():
            self._variables[carrier][path].assign(value)
