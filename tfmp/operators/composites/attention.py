"""Attention with several heads: dense layers for its projections, around scores and sums in floating point.

    q, k, v = query @ kernel_q + bias_q, key @ kernel_k + bias_k, value @ kernel_v + bias_v
    output = concatenation over heads(softmax(q_h @ k_h.T / sqrt(key_dim)) @ v_h) @ kernel + bias

The projections are searched like every dense layer; the last one keeps the name of the layer. What is between them, its
core, has no weights and runs in floating point.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.graph import Call, Graph, Layer, TensorRef
from tfmp.graph.masks import has_masks
from tfmp.operators.composites.part import Part, dense_part, is_plain, shared_arguments
from tfmp.operators.operator import Attributes, Operator

CORE = "attention_core"
CORE_REASON = "it multiplies activations by activations, which has no integer form"
_TENSORS = ("query", "value", "key")
_HANDLED = (*_TENSORS, "use_causal_mask")


def _multi_head(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    axes, output_shape = config.get("attention_axes"), config.get("output_shape")
    if axes not in (None, (1,), [1]) or (isinstance(output_shape, list | tuple) and len(output_shape) != 1):
        return None
    heads, key_dim = config["num_heads"], config["key_dim"]
    return _attributes(config, call, (heads, heads), (key_dim, config.get("value_dim") or key_dim))


def _grouped_query(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    heads = config["num_query_heads"], config["num_key_value_heads"]
    return _attributes(config, call, heads, (config["head_dim"], config["head_dim"]))


def _attributes(
    config: Mapping[str, Any], call: Call | None, heads: tuple[int, int], sizes: tuple[int, int]
) -> Attributes | None:
    """Returns the numbers of heads of query and key, and their sizes for key and value; None if it is not split."""
    if call is None or not is_plain(config) or config.get("use_gate") or config.get("sliding_window"):
        return None
    arguments = _arguments(call)
    others = arguments.keys() - {name for name, value in arguments.items() if value is None or value is False}
    # Masks that are tensors are not passed on, and scores are no output of a part.
    if others - {*_HANDLED} or len(call.args) > len(_TENSORS) or len(call.outputs) > 1:
        return None
    if not all(isinstance(arguments.get(name), TensorRef) for name in ("query", "value")):
        return None
    return {"heads": heads, "sizes": sizes, "use_bias": config["use_bias"], "dropout": config["dropout"]}


def _arguments(call: Call) -> dict[str, Any]:
    return {**dict(zip(_TENSORS, call.args, strict=False)), **call.kwargs}


def _parts(graph: Graph, layer: Layer, call: Call) -> Sequence[Part] | None:
    arguments = _arguments(call)
    sources = {name: (arguments.get(name) or arguments["value"]).name for name in ("query", "key", "value")}
    shapes = {name: graph.tensors[tensor].shape for name, tensor in sources.items()}
    lengths, channels = ({name: shape[axis] for name, shape in shapes.items()} for axis in (1, -1))
    output = graph.tensors[call.outputs[0]].shape[-1]
    # Attention applies a mask by itself.
    if has_masks(graph) or any(len(shape) != 3 for shape in shapes.values()) or None in (output, *channels.values()):
        return None
    (heads, key_heads), (key_size, value_size) = layer.attributes["heads"], layer.attributes["sizes"]
    units = {"query": heads * key_size, "key": key_heads * key_size, "value": key_heads * value_size}
    projections = [
        _projection(layer, number, name, call.inputs.index(tensor), lengths[name], (channels[name], units[name]))
        for number, (name, tensor) in enumerate(sources.items())
    ]
    config = {**shared_arguments(layer, "dropout", "seed"), "num_heads": heads, "num_key_heads": key_heads}
    config["causal"] = bool(arguments.get("use_causal_mask"))
    size, length = heads * value_size, lengths["query"]
    core = Part("core", CORE, ("query", "key", "value"), (length, size), config, {"left_because": CORE_REASON})
    return [*projections, core, _projection(layer, len(sources), "", "core", length, (size, output))]


def _projection(
    layer: Layer, number: int, suffix: str, source: int | str, length: int | None, sizes: tuple[Any, Any]
) -> Part:
    """Returns the projection with a number; `sizes` are its input and output channels."""
    # Both Kerases have the projections in this order, but only Keras 3 says whose kernel it is.
    names = ("kernel", "bias") if layer.attributes["use_bias"] else ("kernel",)
    arrays = [array for path, array in layer.weights.items() if path.rpartition("/")[2].rstrip("'") in names]
    weights = dict(zip(names, arrays[number * len(names) :], strict=False))
    options = {"in_channels": sizes[0], "units": sizes[1], "use_bias": layer.attributes["use_bias"]}
    return dense_part(layer, suffix, source, (length,), weights=weights, **options)


OPERATORS = (
    Operator(
        "attention", classes={"MultiHeadAttention": _multi_head, "GroupedQueryAttention": _grouped_query}, parts=_parts
    ),
)
