"""What quantization does to means and variances, taken back without training."""

import numpy as np
import tensorflow as tf

from tfmp.bindings import binding
from tfmp.data.batches import batches
from tfmp.transform.normalization import channel_axis, fusable_normalization
from tfmp.types import Graph

_SMALLEST_VARIANCE = 1e-12
_STATISTICS = ("moving_mean", "moving_variance")


class MomentCorrection:
    """Brings tensors back to the mean and variance that they have, channel by channel, in floating point.

    A normalization carries the correction of what it reads in its moving mean and variance, so that what it writes has
    the mean and variance of before. A quantized layer that no normalization follows carries that of its product in its
    bias, the mean alone; without a bias it is left as it is.

    Args:
        graph: A relaxed or fixed network, its activations in layers of their own (`with_separate_activations(graph)`).
        model: The model of that graph, changed in place.
        floating: The model of the same network in floating point, its tensors under the same names.
        data: As in `tfmp.data.batches.batches`.

    Attributes:
        carriers: Names of the layers that carry a correction, in the order of the network.
    """

    def __init__(self, graph: Graph, model, floating, data):
        self._chunks = list(batches(data, graph=graph))
        self._variables, self._exact, self._tensors, self._carrier_of = {}, {}, {}, {}
        bound = binding.of(model)
        for call in graph.calls:
            layer, normalization = graph.layer_of(call), fusable_normalization(graph, call)
            if layer.kind == "batch_normalization":
                if channel_axis(layer) not in (-1, len(graph.tensors[call.outputs[0]].shape) - 1):
                    continue
                paths, tensor = _STATISTICS, call.inputs[0]
            elif normalization is not None:
                self._carrier_of[layer.name] = normalization.name
                continue
            elif layer.shape is not None and layer.is_quantized and "bias" in layer.weights:
                self._carrier_of[layer.name] = layer.name
                paths, tensor = ("bias",), call.outputs[0]
            else:
                continue
            for kept, owner in ((self._variables, model), (self._exact, floating)):
                kept[layer.name] = {path: getattr(bound.layer(owner, layer.name), path) for path in paths}
            self._tensors.setdefault(layer.name, []).append(tensor)
        self.carriers = tuple(self._variables)
        if self.carriers:
            self._moments = self._reader(model)
            self._wanted = self._reader(floating)()

    def carrier(self, layer) -> str | None:
        """The name of the layer that carries the correction of a layer with a kernel, None if none does."""
        return self._carrier_of.get(layer)

    def correct(self, carrier):
        """Corrects one tensor, given what the network before it computes now."""
        mean, variance = self._moments()[carrier]
        wanted_mean, wanted_variance = self._wanted[carrier]
        if "bias" in self._variables[carrier]:
            self.assign(carrier, {"bias": self.values(carrier)["bias"] + wanted_mean - mean})
            return
        exact_mean, exact_variance = (np.asarray(self._exact[carrier][path]) for path in _STATISTICS)
        quotient = variance / np.maximum(wanted_variance, _SMALLEST_VARIANCE)
        moving_mean = mean - np.sqrt(quotient) * (wanted_mean - exact_mean)
        self.assign(carrier, dict(zip(_STATISTICS, (moving_mean, quotient * exact_variance), strict=True)))

    def values(self, carrier):
        """The arrays that carry a correction, by their names in the layer."""
        return {path: np.asarray(variable) for path, variable in self._variables[carrier].items()}

    def assign(self, carrier, values):
        """Writes what `values` returned, or would."""
        for path, value in values.items():
            self._variables[carrier][path].assign(value)

    def _reader(self, model):
        """A function that returns means and variances per channel over all data, by carrier."""
        names = [tensor for tensors in self._tensors.values() for tensor in tensors]
        tensors = binding.of(model).tensor_model(model, names)

        @tf.function(reduce_retracing=True)
        def powers(chunk):
            outputs = [tf.cast(output, tf.float32) for output in tf.nest.flatten(tensors(chunk, training=False))]
            return [
                tf.stack([tf.reduce_mean(power, axis=range(power.shape.rank - 1)) for power in (x, tf.square(x))])
                for x in outputs
            ]

        def moments():
            sizes = [len(tf.nest.flatten(chunk)[0]) for chunk in self._chunks]
            found = [[np.asarray(power, np.float64) for power in powers(chunk)] for chunk in self._chunks]
            averages = iter([np.average(parts, axis=0, weights=sizes) for parts in zip(*found, strict=True)])
            result = {}
            for name, tensors_of in self._tensors.items():
                mean, power = np.mean([next(averages) for _ in tensors_of], axis=0)
                result[name] = mean, np.maximum(power - mean**2, 0)
            return result

        return moments
