"""TensorFlow operations with custom gradients."""

from tfmp.ops.replicas import maximum_over_replicas, sum_over_replicas
from tfmp.ops.uniform_grid import UniformGrid, codes, mix, scale_gradient

__all__ = ["UniformGrid", "codes", "maximum_over_replicas", "mix", "scale_gradient", "sum_over_replicas"]
