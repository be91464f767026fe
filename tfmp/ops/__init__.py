"""TensorFlow operations with custom gradients."""

from tfmp.ops.grid_mixture import mix, quantize_each
from tfmp.ops.replicas import maximum_over_replicas, sum_over_replicas
from tfmp.ops.uniform_grid import UniformGrid, codes

__all__ = [
    "UniformGrid",
    "codes",
    "maximum_over_replicas",
    "mix",
    "quantize_each",
    "sum_over_replicas",
]
