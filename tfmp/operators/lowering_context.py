"""The interface of the lowering that operators see."""

from collections.abc import Mapping
from typing import Protocol

from tfmp.graph import Call, Graph, Grid, Layer
from tfmp.graph.float_network import FloatNetwork
from tfmp.graph.open_values import Constant
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.integer_builder import Codes, IntegerBuilder, Sizes


class LayerValues(Protocol):
    """Provides the grids and the constants of a network."""

    def grid(self, layer: Layer) -> Grid:
        """Returns the grid of a quantized layer's input."""

    def kernel(
        self, layer: Layer, after: AffineMap | None, input_scale: float
    ) -> tuple[Mapping[str, Constant], Mapping[str, int]]:
        """Returns the constants of a layer with a kernel by name, and attributes that say how the file stores it."""

    def float_network(self, graph: Graph, call: Call, batch_size: int) -> FloatNetwork:
        """Returns the operators of a call of a layer in floating point."""


class LoweringContext(Protocol):
    """Walks a graph, requests tensors and collects operations; `tfmp.lowering.lowering.Lowering` implements it."""

    graph: Graph
    values: LayerValues
    builder: IntegerBuilder
    inputs: Mapping[str, str]

    def shape(self, tensor: str) -> Sizes:
        """Returns the sizes of a tensor of the graph."""

    def grid(self, layer: Layer) -> Grid:
        """Returns the grid of a quantized layer's input."""

    def demand(self, tensor: str, codes: Codes) -> str:
        """Returns the name of the integer tensor that holds a tensor of the graph with these codes."""

    def numbers(self, tensor: str) -> str:
        """Returns the name of the tensor that holds a tensor of the graph as numbers."""

    def numbers_as(self, dtype: str, tensor: str) -> str:
        """Returns the name of the tensor that holds the numbers of a tensor of the graph in another type."""

    def quantized_numbers(self, tensor: str, codes: Codes) -> str:
        """Returns the name of the integer tensor with the codes of a tensor whose numbers are known."""

    def stored(self, tensor: str, reader: str | None) -> str:
        """Returns the name of the integer tensor that stores a tensor of the graph on the graph's own grid."""

    def stored_grid(self, tensor: str, reader: str | None) -> Grid:
        """Returns the grid on which the graph stores a tensor."""

    def requantized(self, tensor: str, source: str, current: Codes, codes: Codes) -> str:
        """Returns `source`, which has the codes `current`, requantized to `codes`."""
