"""`tfmp.width.dual_precision`: one precision for depthwise convolutions, one for all other layers."""

from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_integer
from tfmp.graph import LayerShape
from tfmp.quantizers import QuantizerLike
from tfmp.transform.fix import fix
from tfmp.transform.relax import relax


def dual_precision(
    model: KerasModel,
    *,
    weight_bits: int,
    depthwise_bits: int | None = None,
    activation_bits: int = 8,
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "dual_precision",
    calibration: Any = None,
) -> KerasModel:
    """Returns a copy of a model with one precision for depthwise convolutions and one for all other kernels.

    The first and the last layer are at 8 bits. Train the copy like any model, from scratch as in DualPrecision or from
    trained weights.

    Args:
        model: A built Sequential or functional Keras model in floating point. It is not changed.
        weight_bits: Integer from 1 to 8, of the convolutions and dense layers.
        depthwise_bits: Integer from 1 to 8, of the convolutions with one input channel per filter; None for
            `weight_bits`.
        activation_bits: Integer from 1 to 8, of every layer's input.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations).
        calibration: A few hundred inputs from which ranges start, as in `tfmp.relax`. Omit it for an untrained model:
            its normalizations do not normalize yet, and ranges measured on it make the training diverge.

    Returns:
        A model of the same framework, not compiled.

    Raises:
        ValueError: If bits are out of range, or the model cannot be relaxed; see `tfmp.relax`.

    Example:
        >>> network = tfmp.width.dual_precision(model, weight_bits=1, depthwise_bits=4)

    Reference: DualPrecision, section 6
    """
    depthwise_bits = weight_bits if depthwise_bits is None else depthwise_bits
    bits = {"weight_bits": weight_bits, "depthwise_bits": depthwise_bits, "activation_bits": activation_bits}
    for name, value in bits.items():
        check_integer(name, value, at_least=1, at_most=8)
    candidates = tuple(sorted({weight_bits, depthwise_bits}))
    relaxed = relax(
        model,
        weight_bits=candidates,
        activation_bits=(activation_bits,),
        quantizer=quantizer,
        calibration=calibration,
    )
    if len(candidates) == 1:
        return relaxed
    searched = framework_of(relaxed).read(relaxed, weights=False).searched
    bits = {layer.name: depthwise_bits if is_depthwise(layer.require_shape()) else weight_bits for layer in searched}
    return fix(relaxed, {name: (chosen, activation_bits) for name, chosen in bits.items()})


def is_depthwise(shape: LayerShape) -> bool:
    """Returns True for the `LayerShape` of a convolution with one input channel per filter."""
    return shape.kind == "depthwise_conv2d" or shape.groups == shape.in_channels > 1
