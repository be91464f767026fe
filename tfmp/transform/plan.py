"""What happens to each layer of a model, and why."""

import dataclasses
import fnmatch

from tfmp.transform.rules import rule_of
from tfmp.transform.rules.products import RULES as PRODUCTS
from tfmp.transform.signs import non_negative_tensors
from tfmp.types import Graph, Layer
from tfmp.types.checks import check_choice

SEARCHED, KEPT, LEFT = "searched", "kept", "left alone"
FIRST_AND_LAST = ("int8", "float", "search")


@dataclasses.dataclass(frozen=True)
class LayerPlan:
    """The fate of one layer.

    Args:
        name: Name of the layer.
        status: `"searched"`; `"kept"`, at 8 bits or in floating point; or `"left alone"`.
        reason: Why it is not searched; empty if it is.
        signed_input: True if its input can be negative.
    """

    name: str
    status: str
    reason: str = ""
    signed_input: bool = True


def plan(graph: Graph, *, layers=None, skip=None, first_and_last="int8", quantizer=("lsq", "lsq")):
    """Decides which layers are searched.

    Args:
        graph: The model.
        layers: The layers to search: a name, a pattern such as `"block*/conv*"`, a function from `Layer` to bool, or a
            list of these; None for all that can be.
        skip: The layers not to search, given likewise.
        first_and_last: `"int8"` keeps the layers that read an input or lead to an output without another multiplying
            layer between at 8 bits, `"float"` keeps them in floating point, `"search"` searches them.
        quantizer: Names of the weight and the activation quantizer.

    Returns:
        Layer name to `LayerPlan`, in the order in which the layers run.

    Raises:
        ValueError: If a name or pattern matches no layer that multiplies, or `first_and_last` is unknown.
    """
    check_choice("first_and_last", first_and_last, FIRST_AND_LAST)
    multiplying = [layer for layer in graph.in_order() if layer.shape is not None]
    chosen, skipped = matcher(layers, multiplying, "layers"), matcher(skip, multiplying, "skip")
    first, last = first_and_last_layers(graph, {layer.name for layer in multiplying})
    positive = non_negative_tensors(graph)
    plans = {}
    for layer in graph.in_order():
        if layer.kind == "input":
            continue
        signed = any(name not in positive for call in graph.calls if call.layer == layer.name for name in call.inputs)
        if layer.shape is None:
            status, reason = LEFT, _why_left(layer)
        elif layers is not None and not chosen(layer):
            status, reason = KEPT, "not among the chosen layers"
        elif skip is not None and skipped(layer):
            status, reason = KEPT, "skipped by request"
        elif layer.name in first and first_and_last != "search":
            status, reason = KEPT, "first layer: it reads an input of the model"
        elif layer.name in last and first_and_last != "search":
            status, reason = KEPT, "last layer: it leads to an output of the model"
        elif layer.kind == "conv2d_transpose":
            status, reason = KEPT, "a transposed convolution: the runtime computes it at 8 bits"
        elif signed and quantizer[1] == "hwgq":
            status, reason = KEPT, "its input can be negative, which half-wave quantization cannot represent"
        else:
            status, reason = SEARCHED, ""
        plans[layer.name] = LayerPlan(layer.name, status, reason, signed)
    return plans


def _why_left(layer: Layer) -> str:
    if layer.kind in PRODUCTS:
        return "its output size is not fixed; give the model a fixed input shape"
    if layer.attributes.get("data_format") == "channels_first":
        return "channels come first, which the runtime has no kernels for"
    if rule_of(layer) is None:
        return layer.attributes.get("left_because") or "no quantized form of this layer is known"
    return "it has no kernel"


def matcher(selection, candidates, argument):
    """A function that is True for the layers that a user's argument selects: names, patterns, functions of a layer."""
    if selection is None:
        return lambda layer: False
    parts = [selection] if isinstance(selection, str) or callable(selection) else list(selection)
    for part in parts:
        if isinstance(part, str) and not any(fnmatch.fnmatchcase(layer.name, part) for layer in candidates):
            raise ValueError(
                f"`{argument}` names {part!r}, which matches no layer. "
                f"There are: {', '.join(layer.name for layer in candidates) or 'none'}"
            )
        if not isinstance(part, str) and not callable(part):
            raise TypeError(f"`{argument}` takes names, patterns or functions of a layer. Received: {part!r}")

    def matches(layer):
        return any(fnmatch.fnmatchcase(layer.name, part) if isinstance(part, str) else part(layer) for part in parts)

    return matches


def first_and_last_layers(graph: Graph, multiplying):
    """Names of the layers reached from an input, and from an output backwards, through no other of them.

    Args:
        graph: The model.
        multiplying: Names of the layers that multiply.
    """
    first, reached = set(), set(graph.input_names)
    for call in graph.calls:
        if not any(name in reached for name in call.inputs):
            continue
        if call.layer in multiplying:
            first.add(call.layer)
        else:
            reached.update(call.outputs)
    last, needed = set(), set(graph.output_names)
    for call in reversed(graph.calls):
        if not any(name in needed for name in call.outputs):
            continue
        if call.layer in multiplying:
            last.add(call.layer)
        else:
            needed.update(call.inputs)
    return first, last
