"""What every cost promises."""

import abc
from collections.abc import Sequence

import numpy as np

from tfmp.types import CodeFormat, LayerShape


class Cost(abc.ABC):
    """A price list: what each layer costs at each pair of weight and activation formats.

    A cost is a table of numbers and knows no framework: the search takes expectations of it,
    `p_weights @ table @ p_activations`, which is exact when the two choices are independent, and the knapsack reads
    single entries.

    Attributes:
        name: Name in the registry, `"bitops"` for example.
        unit: Unit of every entry, `"bit operations"` for example.
        per_call: True if a layer pays at every call, False if it pays once however often it is called.
    """

    name: str
    unit: str
    per_call: bool = True

    @abc.abstractmethod
    def table(
        self,
        shape: LayerShape,
        weight_formats: Sequence[CodeFormat],
        activation_formats: Sequence[CodeFormat],
    ) -> np.ndarray:
        """Prices one layer.

        Args:
            shape: The layer.
            weight_formats: Candidate formats of the kernel.
            activation_formats: Candidate formats of the layer's input.

        Returns:
            `[len(weight_formats), len(activation_formats)]` float64 array, in `unit`.
        """

    def overhead(self, graph) -> float:
        """Returns what the network costs beside its layers' tables, in `unit`: nothing by default."""
        return 0.0
