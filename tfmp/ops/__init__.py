"""TensorFlow operations with gradients of their own."""

from tfmp.ops.gradient_scale import scale_gradient
from tfmp.ops.uniform_grid import UniformGrid, codes, mix

__all__ = ["UniformGrid", "codes", "mix", "scale_gradient"]
