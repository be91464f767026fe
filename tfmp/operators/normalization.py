"""Layers that compute affine maps: normalization, rescaling, sums and products with constants, the hard sigmoid."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call, Layer
from tfmp.operators.affine_chain import affine_chain, affine_map, is_affine
from tfmp.operators.affine_map import AffineMap, folded_map
from tfmp.operators.batch_normalization import channel_axis
from tfmp.operators.constant_operands import AFFINE_OPERATIONS
from tfmp.operators.convolutions import lower_product
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import Attributes, Operator, always, given
from tfmp.operators.operator_table import TABLE

_SMALLEST_DEVIATION = 1e-7  # Keras divides by this if the deviation is smaller


def lower_affine(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds an affine map, in one operation with the product before it if possible."""
    layer = lowering.graph.layer_of(call)
    if not is_affine(lowering.graph, call) and len(TABLE[layer.kind].axes(layer)) == 1:
        return lower_along_axis(lowering, call, codes)
    chain = affine_chain(lowering.graph, call)
    codes = codes.between(chain.low, chain.high)
    if chain.product is not None:
        return lower_product(lowering, chain.product, codes, after=chain.map)
    stored, grid = lowering.stored(chain.source, layer.name), lowering.stored_grid(chain.source, layer.name)
    channels = lowering.shape(chain.source)[-1]
    constants = folded_map(chain.map, channels, grid)
    return lowering.builder.scaled(stored, layer.name, codes, constants, layer=layer.name)


def lower_along_axis(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds an affine map that differs along another axis than the last, which is the last for one operation."""
    layer, builder, shape = lowering.graph.layer_of(call), lowering.builder, lowering.shape(call.inputs[0])
    axis = TABLE[layer.kind].axes(layer)[0] % len(shape)
    stored, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    constants = folded_map(affine_map(layer), shape[axis], grid)
    order = [*(each for each in range(len(shape)) if each != axis), axis]
    turned = builder.transposed(stored, f"{layer.name}_last", order)
    scaled = builder.scaled(turned, f"{layer.name}_scaled", codes, constants, layer=layer.name)
    return builder.transposed(scaled, layer.name, np.argsort(order).tolist())


def _map_of_constants(layer: Layer) -> AffineMap:
    factor, offset = (np.asarray(layer.attributes[name], np.float64) for name in ("factor", "offset"))
    return AffineMap(factor.reshape(-1) if factor.ndim else factor, offset.reshape(-1) if offset.ndim else offset)


def _map_of_batches(layer: Layer) -> AffineMap:
    weights = _arrays(layer)
    factor = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + layer.attributes["epsilon"])
    return AffineMap(factor, weights.get("beta", 0.0) - factor * weights["moving_mean"])


def _map_of_scale(layer: Layer) -> AffineMap:
    return AffineMap(_arrays(layer)["gamma"], np.asarray(0.0))


def _map_of_data(layer: Layer) -> AffineMap:
    weights = _arrays(layer)
    mean, variance = (
        weights[name] if layer.attributes.get(name) is None else np.asarray(layer.attributes[name], np.float64)
        for name in ("mean", "variance")
    )
    mean, deviation = np.squeeze(mean), np.maximum(np.sqrt(np.squeeze(variance)), _SMALLEST_DEVIATION)
    if layer.attributes.get("invert"):
        return AffineMap(deviation, mean)
    return AffineMap(1 / deviation, -mean / deviation)


def _arrays(layer: Layer) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float64) for name, value in layer.weights.items()}


def _keeps_sign(layer: Layer, inputs: bool) -> bool:
    affine = _map_of_constants(layer)
    return inputs and bool((affine.factor >= 0).all() and (affine.shift >= 0).all())


def _rescaling(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"factor": config["scale"], "offset": config["offset"]}


def _normalization(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {name: config.get(name) for name in ("mean", "variance", "invert")}


def _affine_values(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    factor, offset = (np.asarray(attributes[name], np.float64) for name in ("factor", "offset"))
    return inputs[0] * (factor.reshape(-1) if factor.ndim else factor) + (offset.reshape(-1) if offset.ndim else offset)


def _affine(kind: str, affine_map: Callable[[Layer], AffineMap], **options: Any) -> Operator:
    return Operator(kind, lower_affine, affine_map=affine_map, each_value=True, **options)


_HARD_SIGMOID, _SPARSE_SIGMOID = ({"factor": factor, "offset": 0.5} for factor in (1 / 6, 0.5))
_CONSTANT = "by a number or by one number per channel"
OPERATORS = (
    _affine(
        "batch_normalization",
        _map_of_batches,
        classes={"BatchNormalization": given(), "RangeBatchNormalization": given()},
        instead_of={"nn.batch_normalization": "BatchNormalization"},
        arrays={"moving_mean": 0.0, "moving_variance": 1.0},
        axes=lambda layer: (channel_axis(layer),),
        channels="followed",
    ),
    _affine(
        "normalization",
        _map_of_data,
        classes={"Normalization": _normalization},
        arrays={"mean": 0.0, "variance": 1.0},
        axes=lambda layer: tuple(layer.attributes["axis"] or ()),
    ),
    _affine("layer_scale", _map_of_scale, classes={"LayerScale": given()}, arrays={"gamma": 1.0}),
    _affine(
        "affine",
        _map_of_constants,
        classes={"Rescaling": _rescaling, **AFFINE_OPERATIONS},
        forms={"Divide": _CONSTANT, "TrueDivide": _CONSTANT},
        order_free=True,
        non_negative=_keeps_sign,
        values=_affine_values,
        needed=("factor", "offset"),
        channels="affine",
    ),
    _affine(
        "hard_sigmoid",
        _map_of_constants,
        classes={"HardSigmoid": given(**_HARD_SIGMOID), "SparseSigmoid": given(**_SPARSE_SIGMOID)},
        functions={"hard_sigmoid": _HARD_SIGMOID, "sparse_sigmoid": _SPARSE_SIGMOID},
        tf_keras_functions={"hard_sigmoid": {"factor": 0.2, "offset": 0.5}},
        order_free=True,
        non_negative=always,
        clip=lambda layer: (0.0, 1.0),
        values=lambda inputs, attributes, shape: np.clip(_affine_values(inputs, attributes, shape), 0, 1),
        needed=("factor", "offset"),
    ),
)
