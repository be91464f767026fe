"""Layers that are a dense layer over the last axis, between reshapes.

An `EinsumDense` is one if its equation sums over the last axes of the input and leaves those before them as they are,
such as `abc,cde->abde` or `abcd,cde->abe`: its kernel is then a matrix whose rows and columns have several axes each.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.composites.part import Part, dense_part, is_plain, reshape_part
from tfmp.operators.operator import Attributes, Operator
from tfmp.operators.operator_table import activation_name


@dataclasses.dataclass(frozen=True)
class DenseEquation:
    """An equation of `EinsumDense` that is a matrix product.

    Args:
        permutation: The axes of the kernel, first those that are summed over, in the order in which the input and the
            output have them.
        num_summed: How many axes of the input are summed over.
        num_made: How many axes of the output come from the kernel.
    """

    permutation: tuple[int, ...]
    num_summed: int
    num_made: int

    @classmethod
    def of(cls, equation: str, bias_axes: str | None) -> "DenseEquation | None":
        """Returns the product that an equation is; None if it is another one, or its bias repeats along an axis."""
        inputs, _, result = equation.replace(" ", "").replace("...", "0").partition("->")
        source, _, kernel = inputs.partition(",")
        kept = len(source) - len([axis for axis in source if axis in kernel])
        summed, made = source[kept:], result[kept:]
        is_product = kept > 0 and summed and made and source[:kept] == result[:kept] and not set(summed) & set(made)
        if not is_product or sorted(kernel) != sorted(summed + made) or len(set(kernel)) != len(kernel):
            return None
        if bias_axes is not None and set(bias_axes) != set(made):
            return None
        return cls(tuple(map(kernel.index, summed + made)), len(summed), len(made))


def _einsum(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    product = DenseEquation.of(config["equation"], config["bias_axes"])
    activation = activation_name(config)
    # A function of one axis, such as softmax, would see another axis before the reshape than after it.
    fits = product is not None and (product.num_made == 1 or activation == "linear")
    if not fits or not is_plain(config):
        return None
    return {"product": product, "use_bias": config["bias_axes"] is not None, "activation": activation}


def _einsum_parts(graph: Graph, layer: Layer, call: Call) -> list[Part] | None:
    product: DenseEquation = layer.attributes["product"]
    source, output = (graph.tensors[name].shape[1:] for name in (call.inputs[0], call.outputs[0]))
    summed, made = source[-product.num_summed :], output[-product.num_made :]
    kept = source[: -product.num_summed]
    sizes, axes = [size for size in (*summed, *made) if size is not None], len(summed) + len(made)
    if len(sizes) < axes or (axes > 2 and kept.count(None) > 1):
        return None
    weights = dict(layer.weights)
    if "kernel" in weights:
        weights["kernel"] = weights["kernel"].transpose(product.permutation)
    in_channels, units = math.prod(sizes[: len(summed)]), math.prod(sizes[len(summed) :])
    parts = [reshape_part("rows", 0, (*kept, in_channels))] if len(summed) > 1 else []
    options: dict[str, Any] = {"in_channels": in_channels, "units": units, "weights": weights}
    options["use_bias"] = layer.attributes["use_bias"]
    parts.append(dense_part(layer, "", "rows" if parts else 0, kept, **options))
    return [*parts, reshape_part("axes", "", output)] if len(made) > 1 else parts


def _time_distributed(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    inner = config["layer"]
    if not isinstance(inner, Mapping) or inner.get("class_name") != "Dense" or inner.get("registered_name"):
        return None
    inner = inner["config"]
    if (
        not isinstance(inner, Mapping)
        or not is_plain(inner)
        or inner.get("lora_rank")
        or inner.get("quantization_config")
    ):
        return None
    return {"use_bias": inner["use_bias"], "activation": activation_name(inner), "inner": inner}


def _time_distributed_parts(graph: Graph, layer: Layer, call: Call) -> list[Part] | None:
    inner, in_channels = layer.attributes["inner"], graph.tensors[call.inputs[0]].shape[-1]
    if in_channels is None:
        return None
    origin = dataclasses.replace(layer.origin, config={**inner, "trainable": layer.trainable})
    weights: dict[str, np.ndarray] = {path.rpartition("/")[2]: array for path, array in layer.weights.items()}
    part = dense_part(
        dataclasses.replace(layer, origin=origin),
        "",
        0,
        graph.tensors[call.outputs[0]].shape[1:-1],
        in_channels=in_channels,
        units=inner["units"],
        weights=weights,
        use_bias=inner["use_bias"],
    )
    return [part]


_EQUATION = "whose equation sums over the last axes of its input, with a bias along all axes that it makes"
OPERATORS = (
    Operator(
        "einsum_dense",
        classes={"EinsumDense": _einsum},
        forms={"EinsumDense": _EQUATION},
        parts=_einsum_parts,
    ),
    Operator("time_distributed_dense", classes={"TimeDistributed": _time_distributed}, parts=_time_distributed_parts),
)
