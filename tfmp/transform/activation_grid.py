"""The integer grid of a layer's input."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmp import quantizers
from tfmp.graph import Grid, Layer
from tfmp.transform.candidate_checks import check_range, check_zero


def activation_grid(layer: Layer) -> Grid:
    """Returns the integer grid of the input of a quantized layer.

    Raises:
        ValueError: If its range was never calibrated, or has no grid with a zero.
    """
    quantizer, state = calibrated_quantizer(layer)
    check_zero(layer)
    levels = quantizer.grid(tf.zeros((1,)), state)
    return Grid(float(levels.step), int(levels.low), int(levels.high))


def calibrated_quantizer(layer: Layer) -> tuple[quantizers.Quantizer, Mapping[str, np.ndarray]]:
    """Returns the quantizer of a layer's input and its state.

    Raises:
        ValueError: If its range was never calibrated, or changes with every batch.
    """
    candidates = layer.activation
    quantizer = quantizers.get(candidates.quantizer, bits=candidates.bits[0], signed=candidates.signed)
    state = candidates.state
    check_range(layer)
    if "seen" in state and not state["seen"] > 0:
        raise ValueError(
            f"Layer `{layer.name}` was never calibrated: the range of its input is unknown. Give `tfmp.relax` "
            "calibration data, or train the model."
        )
    return quantizer, state
