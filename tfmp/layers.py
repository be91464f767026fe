"""Public names of the searchable layers for Keras 3."""

from tfmp.bindings.keras3.layers import (
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
from tfmp.bindings.keras3.optimizer import SelectionOptimizer as _SelectionOptimizer  # noqa: F401 (registers it)
from tfmp.bindings.keras3.range_batch_normalization import RangeBatchNormalization

__all__ = [
    "AttentionCore",
    "MixedPrecisionConv1D",
    "MixedPrecisionConv2D",
    "MixedPrecisionConv1DTranspose",
    "MixedPrecisionConv2DTranspose",
    "MixedPrecisionDense",
    "MixedPrecisionDepthwiseConv1D",
    "MixedPrecisionDepthwiseConv2D",
    "Quantize",
    "RangeBatchNormalization",
]
