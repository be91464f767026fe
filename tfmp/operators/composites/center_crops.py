"""Crops to the middle of an image, which are crops by fixed numbers of rows and columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.composites.part import Part, shared_arguments
from tfmp.operators.operator import Attributes, Operator


def _read(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"size": (config["height"], config["width"])} if config.get("data_format") != "channels_first" else None


def _parts(graph: Graph, layer: Layer, call: Call) -> Sequence[Part] | None:
    """Returns a crop by the sizes of the input; None if the image is smaller, which Keras then resizes."""
    shape, sizes = graph.tensors[call.inputs[0]].shape, layer.attributes["size"]
    sides = []
    for have, size in zip(shape[1:3], sizes, strict=True):
        if len(shape) != 4 or have is None or have < size:
            return None
        sides.append(((have - size) // 2, have - size - (have - size) // 2))
    config = {**shared_arguments(layer), "cropping": tuple(sides)}
    return [Part("", "crop", (0,), (*sizes, shape[-1]), config, {"croppings": tuple(sides)})]


OPERATORS = (Operator("center_crop", classes={"CenterCrop": _read}, parts=_parts, channels="windowed"),)
