"""Affine maps: normalizations, rescalings and constants, and what of them one integer operation computes."""

import dataclasses
import math

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.fold_error import FoldError
from tfmp.operators.normalization import channel_axis, fusable_normalization

FUSED_ACTIVATIONS = {"linear": None, "relu": (0.0, math.inf), "relu6": (0.0, 6.0)}
_KINDS = ("batch_normalization", "normalization", "affine", "hard_sigmoid")
_SMALLEST_DEVIATION = 1e-7  # below, Keras divides by this


@dataclasses.dataclass(frozen=True)
class AffineMap:
    """factor * x + shift in float64, `[]` for a whole tensor or `[channels]`."""

    factor: np.ndarray
    shift: np.ndarray

    def after(self, first: "AffineMap") -> "AffineMap":
        """This map of what `first` returns."""
        return AffineMap(self.factor * first.factor, self.factor * first.shift + self.shift)

    def __call__(self, x):
        return self.factor * x + self.shift

    def keeps_bounds(self, low: float, high: float) -> bool:
        """True if values from `low` to `high` become those between two others that have zero between them."""
        if self.factor.ndim or self.shift.ndim or not self.factor > 0:
            return False
        return self(low) <= 0 <= self(high)


@dataclasses.dataclass(frozen=True)
class AffineChain:
    """Affine maps in a row, with what clips between them, that one integer operation computes.

    Args:
        source: Name of the tensor that the first map reads.
        product: The call that makes `source` if it computes the maps along with its own product; else None, and
            `source` has to be stored.
        map: All maps as one.
        low: Smallest value of the result.
        high: Largest value.
    """

    source: str
    product: Call | None
    map: AffineMap
    low: float = -math.inf
    high: float = math.inf


def is_affine(graph: Graph, call: Call) -> bool:
    """True for calls that compute one map per channel, or one for the whole tensor."""
    layer = graph.layer_of(call)
    return layer.kind in _KINDS and all(axis in (-1, _rank(graph, call) - 1) for axis in _axes(layer))


def affine_chain(graph: Graph, call: Call) -> AffineChain:
    """Returns the chain that ends with a call of an affine layer.

    It reaches back through tensors that nothing else reads, over identities and ReLUs as far as the clip of the one
    operation can be theirs, to a layer with a kernel or to what has to be stored.

    Raises:
        FoldError: If the layer keeps another axis than that of the channels.
    """
    layer = graph.layer_of(call)
    if not is_affine(graph, call):
        axes = ", ".join(map(str, _axes(layer)))
        raise FoldError(
            layer.name,
            f"it normalizes axis {axes}, where only the last, that of the channels, has an integer form",
            'Normalize the last axis. Else `mode="float"` exports it.',
        )
    total, low, high = affine_map(layer), *_bounds(layer)
    tensor = call.inputs[0]
    while True:
        behind, clip = _behind(graph, tensor)
        if behind is None or (clip is not None and not total.keeps_bounds(*clip)):
            return AffineChain(tensor, None, total, low, high)
        if clip is not None:
            low, high = max(low, float(total(clip[0]))), min(high, float(total(clip[1])))
        if graph.layer_of(behind).shape is not None:
            return AffineChain(behind.outputs[0], behind, total, low, high)
        total = total.after(affine_map(graph.layer_of(behind)))
        tensor = behind.inputs[0]


def affine_map(layer: Layer) -> AffineMap:
    """Returns the map that an affine layer computes."""
    weights = {name: np.asarray(value, np.float64) for name, value in layer.weights.items()}
    if layer.kind == "batch_normalization":
        factor = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + layer.attributes["epsilon"])
        return AffineMap(factor, weights.get("beta", 0.0) - factor * weights["moving_mean"])
    if layer.kind == "normalization":
        return _normalization(layer, weights)
    factor, offset = (np.asarray(layer.attributes[name], np.float64) for name in ("factor", "offset"))
    return AffineMap(factor.reshape(-1) if factor.ndim else factor, offset.reshape(-1) if offset.ndim else offset)


def _normalization(layer, weights):
    mean, variance = (
        weights[name] if layer.attributes.get(name) is None else np.asarray(layer.attributes[name], np.float64)
        for name in ("mean", "variance")
    )
    mean, deviation = np.squeeze(mean), np.maximum(np.sqrt(np.squeeze(variance)), _SMALLEST_DEVIATION)
    if layer.attributes.get("invert"):
        return AffineMap(deviation, mean)
    return AffineMap(1 / deviation, -mean / deviation)


def _axes(layer):
    """The axes along which a normalization has numbers of its own."""
    if layer.kind == "batch_normalization":
        return (channel_axis(layer),)
    return tuple(layer.attributes["axis"] or ()) if layer.kind == "normalization" else ()


def _behind(graph, tensor):
    """The call of an affine layer or a product whose result a chain can go on with, and what clips on the way."""
    clip = None
    while len(graph.readers(tensor)) == 1 and tensor not in graph.output_names:
        call = graph.producer(tensor)
        layer = graph.layer_of(call)
        if is_affine(graph, call):
            return call, _narrower(clip, _finite(_bounds(layer)))
        if layer.shape is not None:
            return _of_product(graph, call, layer, tensor, clip)
        if layer.kind == "relu":
            clip = _narrower(clip, _bounds(layer))
        elif layer.kind != "identity":
            break
        tensor = call.inputs[0]
    return None, None


def _of_product(graph, call, layer, tensor, clip):
    reader = graph.layer_of(graph.readers(tensor)[0])
    once = sum(other.layer == layer.name for other in graph.calls) == 1
    # Two calls with different maps behind them would be two kernels in the file.
    if layer.attributes.get("activation", "linear") not in FUSED_ACTIVATIONS or not (
        once or fusable_normalization(graph, call) is reader
    ):
        return None, None
    return call, _narrower(clip, FUSED_ACTIVATIONS[layer.attributes.get("activation", "linear")])


def _bounds(layer):
    if layer.kind == "relu":
        max_value = layer.attributes.get("max_value")
        return 0.0, math.inf if max_value is None else max_value
    return (0.0, 1.0) if layer.kind == "hard_sigmoid" else (-math.inf, math.inf)


def _finite(bounds):
    return None if bounds == (-math.inf, math.inf) else bounds


def _narrower(clip, other):
    if clip is None or other is None:
        return clip or other
    return max(clip[0], other[0]), min(clip[1], other[1])


def _rank(graph, call):
    return len(graph.tensors[call.inputs[0]].shape)
