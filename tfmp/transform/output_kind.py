"""Infers what outputs are: classes, probabilities, logits or values."""

import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.graph import Graph, Layer
from tfmp.lowering.signature_names import signature_outputs
from tfmp.operators import NUMBERS, TABLE
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import operator_of_function

LARGEST, SIDE, VALUE = "largest", "side of 0.5", "value"
_REGRESSIONS = {  # losses of Keras by their names without underscores
    *("mse", "mae", "mape", "msle", "huber", "huberloss", "logcosh", "cosinesimilarity", "poisson"),
    *(f"mean{error}error" for error in ("squared", "absolute", "absolutepercentage", "squaredlogarithmic")),
}


def holds_probabilities(graph: Graph, tensor: str) -> bool:
    """Returns True if a tensor is the output of a softmax, directly or through a quantizer."""
    return _function(_maker(graph, tensor, in_place=True)) == "softmax"


def decision(graph: Graph, tensor: str) -> str:
    """Returns how an output predicts classes.

    - `"largest"`: by the largest of two or more numbers on the last axis. They come from a softmax; or they are logits,
      which come from no activation, with one row per sample.
    - `"side of 0.5"`: by each number, from a sigmoid with one row per sample.
    - `"value"`: by each index or Boolean, and casts of these; not by a number that is truncated to an integer.
    - `""`: it does not predict classes.
    """
    shape = graph.tensors[tensor].shape
    source, maker = tensor, graph.layer_of(graph.producer(tensor))
    while maker.kind == "cast":
        source = graph.producer(source).inputs[0]
        maker = graph.layer_of(graph.producer(source))
    computes_numbers = maker.kind in TABLE and TABLE[maker.kind].reads == NUMBERS
    if computes_numbers or not graph.tensors[source].is_float or graph.tensors[tensor].dtype == "bool":
        return VALUE
    if source != tensor:
        return ""
    if holds_probabilities(graph, tensor):
        return LARGEST if shape[-1] != 1 else ""
    function = _function(_maker(graph, tensor))
    if len(shape) != 2 or function in (OTHER, "custom"):
        return ""
    if function == "sigmoid":
        return SIDE
    return LARGEST if shape[-1] != 1 and not (function in TABLE and TABLE[function].is_activation) else ""


def decisions(model: KerasModel, graph: Graph) -> dict[str, str]:
    """Returns `decision` of every output by its name in a file; with a regression loss, there are no logits.

    Args:
        model: The model; if it is compiled, its loss is considered.
        graph: The graph of the model.
    """
    losses = [loss for loss in tf.nest.flatten(getattr(model, "loss", None)) if loss is not None]
    regression = bool(losses) and all(_loss_name(loss) in _REGRESSIONS for loss in losses)
    decisions_by_name = {}
    for name, tensor in zip(signature_outputs(graph), graph.output_names, strict=True):
        decisions_by_name[name] = decision(graph, tensor)
        if regression and decisions_by_name[name] != VALUE and not holds_probabilities(graph, tensor):
            decisions_by_name[name] = ""
    return decisions_by_name


def _loss_name(loss):
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.replace("_", "").lower()


def _maker(graph, tensor, *, in_place=False) -> Layer:
    """Returns the layer that computes the values of a tensor; `in_place` stops at reshapes."""
    while True:
        call = graph.producer(tensor)
        layer = graph.layer_of(call)
        if layer.kind not in TABLE or not TABLE[layer.kind].keeps_values:
            return layer
        if in_place and graph.tensors[call.inputs[0]].shape != graph.tensors[tensor].shape:
            return layer
        tensor = call.inputs[0]


def _function(layer):
    """Returns the kind of the activation at the end of a layer, or the layer's kind if it has none."""
    name = layer.attributes.get("activation", "linear") if layer.shape is not None else "linear"
    operator = operator_of_function(name)
    if operator is None:
        return name
    return layer.kind if name == "linear" else operator[0].kind
