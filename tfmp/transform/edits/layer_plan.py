"""Decides for each layer whether it is searched, fixed at 8 bits or left in floating point."""

import dataclasses
import fnmatch
from collections.abc import Callable, Collection, Mapping, Sequence

from tfmp import quantizers
from tfmp.checks import check_choice, check_instance
from tfmp.graph import Graph, Layer
from tfmp.operators import MOVES, operator_of
from tfmp.operators.fold_error import no_integer_form
from tfmp.operators.operator_table import non_negative_tensors

SEARCHED, EIGHT_BITS, FOLLOWS, FLOAT = "searched", "8 bits", "follows", "float"
FIRST_AND_LAST = ("int8", "float", "search")
# Selects layers by names, patterns of names or functions; None for the default.
LayerSelection = str | Callable[[Layer], bool] | Collection[str | Callable[[Layer], bool]] | None


@dataclasses.dataclass(frozen=True)
class LayerPlan:
    """The decision for one layer: searched, fixed at 8 bits or left in floating point.

    Args:
        name: Name of the layer.
        status: `"searched"`; `"8 bits"`; `"follows"` if it has no kernel and takes the grids of the layers around it;
            or `"float"`.
        reason: The reason why it is not searched; empty if it is searched or follows.
        signed_input: True if its input can be negative.
    """

    name: str
    status: str
    reason: str = ""
    signed_input: bool = True


def plan(
    graph: Graph,
    *,
    layers: LayerSelection = None,
    skip: LayerSelection = None,
    first_and_last: str = "int8",
    quantizer: tuple[str, str] = ("lsq", "lsq"),
) -> dict[str, LayerPlan]:
    """Decides which layers are searched.

    Args:
        graph: The model.
        layers: The layers to search: a name, a pattern such as `"block*/conv*"`, a function from `Layer` to bool, or a
            list of these; None for all that can be.
        skip: The layers not to search, in the same form.
        first_and_last: For the layers with a kernel that have no other one between them and an input or an output:
            `"int8"` keeps them at 8 bits; `"float"` keeps them, and all other layers that are not searched, in floating
            point; `"search"` searches them.
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
    takes_signed = quantizers.family(quantizer[1]).takes_signed_input
    plans = {}
    for layer in graph.in_order():
        if layer.kind == "input":
            continue
        signed = any(name not in positive for call in graph.calls_of(layer.name) for name in call.inputs)
        if layer.shape is None:
            status, reason = _without_search(layer)
        elif layers is not None and not chosen(layer):
            status, reason = EIGHT_BITS, "not among the chosen layers"
        elif skip is not None and skipped(layer):
            status, reason = EIGHT_BITS, "skipped by request"
        elif (layer.name in first or layer.name in last) and first_and_last != "search":
            status, reason = EIGHT_BITS, _position(first.get(layer.name), last.get(layer.name))
        elif signed and not takes_signed:
            status, reason = EIGHT_BITS, f"its input can be negative, which `{quantizer[1]}` cannot represent"
        else:
            status, reason = SEARCHED, ""
        if first_and_last == "float" and status in (EIGHT_BITS, FOLLOWS):
            status = FLOAT
        plans[layer.name] = LayerPlan(layer.name, status, reason, signed)
    return plans


def _without_search(layer: Layer) -> tuple[str, str]:
    """Returns the status of a layer that cannot be searched, and the reason."""
    operator = operator_of(layer)
    if operator is not None and operator.kernel is not None:
        return FLOAT, "its output size is not fixed; give the model a fixed input shape"
    if operator is None:
        return FLOAT, no_integer_form(layer, layer.name).clause
    return FOLLOWS, ""


def _position(after, before):
    """Returns why a layer counts as the first or the last one, see `first_and_last_layers`; None if it does not."""
    if after == "":
        return "first layer: it reads an input of the model"
    if before == "":
        return "last layer: it leads to an output of the model"
    return (
        f"the first layer with a kernel after `{after}`" if after else f"the last layer with a kernel before `{before}`"
    )


def matcher(selection: LayerSelection, candidates: Sequence[Layer], argument: str) -> Callable[[Layer], bool]:
    """Returns a function that is True for the layers that a user's names, patterns or functions select."""
    if selection is None:
        return lambda layer: False
    expected = "a name, a pattern, a function of a layer, or a list of these"
    parts = [selection] if isinstance(selection, str) or callable(selection) else selection
    for part in check_instance(argument, parts, (list, tuple, set), expected):
        if isinstance(part, str) and not any(fnmatch.fnmatchcase(layer.name, part) for layer in candidates):
            raise ValueError(
                f"`{argument}` names {part!r}, which matches no layer. "
                f"There are: {', '.join(layer.name for layer in candidates) or 'none'}"
            )
        if not callable(part):
            check_instance(argument, part, str, expected)

    def matches(layer):
        return any(fnmatch.fnmatchcase(layer.name, part) if isinstance(part, str) else part(layer) for part in parts)

    return matches


def first_and_last_layers(graph: Graph, multiplying: Collection[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Returns the multiplying layers that are first after an input, and those that are last before an output.

    Args:
        graph: The model.
        multiplying: Names of the layers that multiply.

    Returns:
        Two dicts from the name of a layer to the name of the closest layer in between that combines values, such as a
        recurrent one or an average; `""` if all layers in between only move values or map them one by one.
    """
    first = _reached(graph, graph.calls, graph.input_names, multiplying, ("inputs", "outputs"))
    last = _reached(graph, reversed(graph.calls), graph.output_names, multiplying, ("outputs", "inputs"))
    return first, last


def _reached(graph, calls, ends, multiplying, sides):
    reached, mixing = {}, dict.fromkeys(ends, "")
    for call in calls:
        near, far = (getattr(call, side) for side in sides)
        seen = [mixing[name] for name in near if name in mixing]
        if not seen:
            continue
        closest = min(seen)  # "" if no layer on one of the paths combines values
        if call.layer in multiplying:
            reached[call.layer] = min(closest, reached.get(call.layer, closest))
        else:
            passed = closest if _keeps_apart(graph.layer_of(call)) else call.layer
            mixing.update({name: min(passed, mixing.get(name, passed)) for name in far})
    return reached


def _keeps_apart(layer):
    """Returns True for layers that move values, or map them one by one."""
    operator = operator_of(layer)
    return operator is not None and (operator.each_value or operator.reads == MOVES)
