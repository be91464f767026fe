"""Weights of layers in floating point: rounded to 8 bits, and stored as codes that the runtime turns into numbers.

A weight with several axes is `code * scale[c]`, the codes from -127 to 127 and one scale for each place of its last
axis. The folded model computes with these numbers, so the file and the model agree on them exactly.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasLayer
from tfmp.graph.float_network import FloatNetwork, FloatOperator, FloatTensor
from tfmp.graph.runtime_limits import INT8_HIGH

_BYTES_OF_OPERATOR = 240  # with its tensor, its name and its quantization
_CODES_OF_SCALE = 8  # fewer, as of a bias with two rows, are not worth a scale and a zero point
_VERSION = 5  # of DEQUANTIZE, with a scale for each channel


def round_weights(framework: Any, layer: KerasLayer) -> None:
    """Rounds the weights of a layer to 8 bits where this makes a file smaller; vectors and small kernels do not change.

    Args:
        framework: The `tfmp.bindings.framework.Framework` of the layer.
        layer: The layer, changed in place.
    """
    for variable in framework.variables_by_path(layer).values():
        shape = tuple(variable.shape)
        if "float32" in str(variable.dtype) and len(shape) > 1 and _gains(shape, shape[-1]):
            values = framework.tf_variable(variable).numpy()
            scales = _scales(values, values.ndim - 1)
            variable.assign(np.rint(values / scales) * scales)


def with_codes(network: FloatNetwork) -> FloatNetwork:
    """Returns a network that stores its rounded weights as INT8 codes before a DEQUANTIZE.

    A constant is replaced if all of its numbers equal codes times scales, whichever layout the converter gave it, and
    if the file becomes smaller.
    """
    tensors, operators = list(network.tensors), []
    for position, tensor in enumerate(network.tensors):
        stored = _stored(tensor)
        if stored is not None:
            operators.append(FloatOperator("DEQUANTIZE", _VERSION, (len(tensors),), (position,), "DequantizeOptions"))
            tensors.append(stored)
            tensors[position] = FloatTensor(tensor.shape, tensor.dtype)
    return dataclasses.replace(network, tensors=tensors, operators=[*operators, *network.operators])


def _gains(shape: Sequence[int], num_scales: int) -> bool:
    size = math.prod(shape)
    return size >= _CODES_OF_SCALE * num_scales and 3 * size > 4 * num_scales + _BYTES_OF_OPERATOR


def _scales(values: np.ndarray, axis: int) -> np.ndarray:
    """Returns the scale of each slice of an axis, which broadcasts; 1 for slices of zeros."""
    others = tuple(each for each in range(values.ndim) if each != axis)
    peaks = np.max(np.abs(values), axis=others, keepdims=True).astype(np.float32)
    return np.where(peaks == 0, np.float32(1), np.maximum(peaks / INT8_HIGH, np.finfo(np.float32).tiny))


def _stored(tensor: FloatTensor) -> FloatTensor | None:
    """Returns the codes and scales of a constant; None if its numbers are no products of them."""
    values = tensor.values
    if not isinstance(values, np.ndarray) or tensor.dtype != "float32" or values.ndim < 2:
        return None
    for axis in reversed(range(values.ndim)):
        if not _gains(values.shape, values.shape[axis]):
            continue
        scales = _scales(values, axis)
        others = tuple(each for each in range(values.ndim) if each != axis)
        found = np.zeros(scales.shape, bool)
        for towards in (scales, np.float32(0), np.float32(np.inf)):  # dividing the largest number may round
            candidates = np.nextafter(scales, towards)
            products = np.rint(values / candidates) * candidates
            is_exact = np.all(products == values, axis=others, keepdims=True) & ~found
            scales, found = np.where(is_exact, candidates, scales), found | is_exact
        if found.all():
            codes = np.rint(values / scales).astype(np.int8)
            return FloatTensor(tensor.shape, "int8", codes, scales=scales.reshape(-1), axis=axis)
    return None
