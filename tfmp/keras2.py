"""Public names for tf_keras: searchable layers, callback, optimizer and loader."""

from tfmp.bindings.keras2.callback import BitSummaries, DiscreteEvaluation, MixedPrecisionSearch
from tfmp.bindings.keras2.layers import (
    AttentionCore,
    MixedPrecisionConv1D,
    MixedPrecisionConv1DTranspose,
    MixedPrecisionConv2D,
    MixedPrecisionConv2DTranspose,
    MixedPrecisionDense,
    MixedPrecisionDepthwiseConv1D,
    MixedPrecisionDepthwiseConv2D,
    Quantize,
)
from tfmp.bindings.keras2.optimizer import SelectionOptimizer
from tfmp.bindings.keras2.saved_model import load_model

__all__ = [
    "AttentionCore",
    "BitSummaries",
    "DiscreteEvaluation",
    "MixedPrecisionConv1D",
    "MixedPrecisionConv2D",
    "MixedPrecisionConv1DTranspose",
    "MixedPrecisionConv2DTranspose",
    "MixedPrecisionDense",
    "MixedPrecisionDepthwiseConv1D",
    "MixedPrecisionDepthwiseConv2D",
    "MixedPrecisionSearch",
    "Quantize",
    "SelectionOptimizer",
    "load_model",
]
