"""Grids, kernels and biases of a fixed network as a file stores them."""

import numpy as np

from tfmp.graph import Grid, Layer
from tfmp.operators.affine_map import AffineMap
from tfmp.transform.activation_grid import activation_grid
from tfmp.transform.stored_kernel import stored_kernel


class StoredValues:
    """Provides the grids and constants of a fixed network to lowering.

    Args:
        mode: How the file stores weights, `tfmp.lowering.weight_packing.MODES`.
    """

    def __init__(self, mode: str):
        self._mode = mode

    def grid(self, layer: Layer) -> Grid:
        """Returns the codes of the input of a quantized layer, see `activation_grid`."""
        return activation_grid(layer)

    def kernel(self, layer: Layer, after: AffineMap | None, input_scale: float) -> tuple[dict[str, np.ndarray], int]:
        """Returns the constants of a layer with a kernel and the bits of their container, see `stored_kernel`."""
        return stored_kernel(layer, after, input_scale, mode=self._mode)
