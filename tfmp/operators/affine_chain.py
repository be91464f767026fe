"""Finds chains of affine maps that one integer operation can compute, together with the product before them."""

import dataclasses
import math

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.batch_normalization import fusable_normalization
from tfmp.operators.fold_error import FoldError
from tfmp.operators.operator import MOVES, Clip, unclipped
from tfmp.operators.operator_table import TABLE, fused_clip, operator_of


@dataclasses.dataclass(frozen=True)
class AffineChain:
    """A sequence of affine maps and the clips between them, which one integer operation computes.

    Args:
        source: Name of the tensor that the first map reads.
        product: The call that computes `source`, if the same operation can also compute the maps; otherwise None, and
            `source` must be stored.
        map: The composition of all maps.
        low: Smallest value of the result.
        high: Largest value of the result.
    """

    source: str
    product: Call | None
    map: AffineMap
    low: float = -math.inf
    high: float = math.inf


def is_affine(graph: Graph, call: Call) -> bool:
    """Returns True if a call computes one affine map per channel, or one for the whole tensor."""
    layer = graph.layer_of(call)
    operator = operator_of(layer)
    if operator is None or operator.affine_map is None:
        return False
    return all(axis in (-1, _rank(graph, call) - 1) for axis in operator.axes(layer))


def affine_map(layer: Layer) -> AffineMap:
    """Returns the map that an affine layer computes.

    Raises:
        ValueError: If layers of its kind compute no affine map.
    """
    operator = operator_of(layer)
    if operator is None or operator.affine_map is None:
        raise ValueError(f"Expected a layer that computes an affine map. Received: `{layer.name}`, a {layer.kind!r}")
    return operator.affine_map(layer)


def affine_chain(graph: Graph, call: Call) -> AffineChain:
    """Returns the chain that ends with a call of an affine layer.

    The chain is followed backwards, as long as each tensor has one reader, through affine layers, identities and those
    ReLUs whose clip the operation can apply to its own output. It ends at a layer with a kernel, or at a tensor that
    must be stored.

    Raises:
        FoldError: If the map of the layer differs along another axis than the channels.
    """
    layer = graph.layer_of(call)
    if not is_affine(graph, call):
        axes = ", ".join(map(str, TABLE[layer.kind].axes(layer)))
        raise FoldError(
            layer.name,
            f"it normalizes axis {axes}, where only the last, that of the channels, has an integer form",
            'Normalize the last axis. Else `mode="float"` exports it.',
        )
    total, (low, high) = affine_map(layer), _bounds(layer)
    tensor = call.inputs[0]
    while True:
        previous, clip = _previous(graph, tensor)
        if previous is None or (clip is not None and not total.keeps_bounds(*clip)):
            return AffineChain(tensor, None, total, low, high)
        if clip is not None:
            low, high = max(low, float(total(clip[0]))), min(high, float(total(clip[1])))
        if graph.layer_of(previous).shape is not None:
            return AffineChain(previous.outputs[0], previous, total, low, high)
        total = total.after(affine_map(graph.layer_of(previous)))
        tensor = previous.inputs[0]


def _previous(graph: Graph, tensor: str) -> tuple[Call | None, Clip | None]:
    """Returns the call of the affine layer or product before a tensor, and the clip in between; None at the end."""
    clip = None
    while len(graph.readers(tensor)) == 1 and tensor not in graph.output_names:
        call = graph.producer(tensor)
        layer = graph.layer_of(call)
        operator = operator_of(layer)
        if is_affine(graph, call):
            return call, _narrower(clip, _finite(_bounds(layer)))
        if layer.shape is not None:
            return _of_product(graph, call, layer, tensor, clip)
        if operator is None or operator.reads != MOVES or operator.clip is None:
            break
        clip = _narrower(clip, _finite(_bounds(layer)))
        tensor = call.inputs[0]
    return None, None


def _of_product(
    graph: Graph, call: Call, layer: Layer, tensor: str, clip: Clip | None
) -> tuple[Call | None, Clip | None]:
    reader = graph.layer_of(graph.readers(tensor)[0])
    once = len(graph.calls_of(layer.name)) == 1
    fused = fused_clip(layer.attributes.get("activation", "linear"))
    # Two calls followed by different maps would need two kernels in the file.
    if fused is None or not (once or fusable_normalization(graph, call) is reader):
        return None, None
    return call, _narrower(clip, _finite(fused))


def _bounds(layer: Layer) -> Clip:
    return (TABLE[layer.kind].clip or unclipped)(layer)


def _finite(bounds: Clip) -> Clip | None:
    return None if bounds == (-math.inf, math.inf) else bounds


def _narrower(clip: Clip | None, other: Clip | None) -> Clip | None:
    if clip is None or other is None:
        return clip or other
    return max(clip[0], other[0]), min(clip[1], other[1])


def _rank(graph: Graph, call: Call) -> int:
    return len(graph.tensors[call.inputs[0]].shape)
