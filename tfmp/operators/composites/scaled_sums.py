"""Sums of one tensor and a multiple of another, as the blocks of InceptionResNetV2 have them."""

from collections.abc import Mapping
from typing import Any

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.composites.part import Part, shared_arguments
from tfmp.operators.operator import Attributes, Operator


def _read(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"factor": config["scale"]} if call is None or len(call.inputs) == 2 else None


def _parts(graph: Graph, layer: Layer, call: Call) -> tuple[Part, Part]:
    """Returns the multiplication of the second tensor, which folds into a product before it, and the sum."""
    factor, arguments = layer.attributes["factor"], shared_arguments(layer)
    rescaling = Part(
        "scaled",
        "affine",
        (1,),
        graph.tensors[call.inputs[1]].shape[1:],
        {**arguments, "scale": factor, "offset": 0.0},
        {"factor": factor, "offset": 0.0},
    )
    return rescaling, Part("", "add", (0, "scaled"), graph.tensors[call.outputs[0]].shape[1:], arguments)


OPERATORS = (Operator("scaled_sum", classes={"CustomScaleLayer": _read}, parts=_parts, channels="merged"),)
