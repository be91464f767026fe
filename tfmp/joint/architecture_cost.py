"""Costs of the networks of a joint search as sums over layers."""

import functools
import itertools
import math

import numpy as np

from tfmp import costs
from tfmp.costs import CostLike
from tfmp.graph import CodeFormat
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import ENDS_BITS, DiscreteNetwork, block_bits, block_layers
from tfmp.joint.search_space import BlockPlace, SearchSpace


class ArchitectureCost:
    """The default oracle: the sum of a cost over the layers of a `DiscreteNetwork`.

    Args:
        cost: Name of a cost, or a `tfmp.costs.Cost`, without an overhead for the whole network.

    Raises:
        ValueError: If the cost is unknown or not a sum over the layers.

    Example:
        >>> energy_nj = ArchitectureCost(tfmp.costs.Energy(batch=16))(network)
    """

    def __init__(self, cost: CostLike = "energy"):
        self.cost = costs.get(cost)
        kind = type(self.cost)
        has_overhead = kind.overhead is not costs.Cost.overhead and self.cost != costs.ModelSize(kernels_only=True)
        if has_overhead or kind.sums is not costs.Cost.sums:
            raise ValueError(
                f"The cost `{self.cost.name}` is not a sum over layers. Expected a cost such as "
                '"energy" or "bitops"; or give a function of a network as the oracle.'
            )

    def __call__(self, network: DiscreteNetwork) -> float:
        """Returns the cost in the cost's unit; energy equals that of `tfmp.simulate` exactly."""
        bits = network.bits
        return math.fsum(_price(self.cost, layer, bits[layer.name][0]) for layer in network.layers)


class BlockTables:
    """A cost as a sum over blocks: one table per block over its five choices, and a constant for the other layers.

    The cost of a block depends only on its own choices, because its stage fixes the channels of its input, and a block
    that may be skipped has as many channels after it as before it. The expectation under independent choices is
    therefore a sum over blocks of p_s . p_m . p_k . p_b1 . p_b2 . table.

    Args:
        space: The search space.
        cost: As for `ArchitectureCost`.

    Attributes:
        tables: One array per block, a dimension for each of s, m, k, b1, b2, in the cost's unit.
        constant: Cost of the layers outside of the blocks, in the cost's unit.
    """

    def __init__(self, space: SearchSpace, cost: CostLike = "energy"):
        self.categoricals = Categoricals(space)
        resolved = ArchitectureCost(cost).cost
        self.tables = [_block_table(place, resolved) for place in space.blocks]
        smallest = self.categoricals.network(np.zeros(len(self.categoricals.counts), int))
        inside = smallest.searched_bits
        self.constant = math.fsum(
            _price(resolved, layer, ENDS_BITS) for layer in smallest.layers if layer.name not in inside
        )

    def expectation(self, probabilities: np.ndarray) -> float:
        """Returns the exact expected cost, in the cost's unit."""
        blocks = zip(self.tables, self.categoricals.block_rows(probabilities), strict=True)
        return self.constant + math.fsum(float(_contracted(table, rows)) for table, rows in blocks)

    def gradient(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the gradient of the expected cost with respect to the logits, `[rows, width]`."""
        of_probabilities = np.zeros(self.categoricals.shape)
        row = 0
        for table, rows in zip(self.tables, self.categoricals.block_rows(probabilities), strict=True):
            for kept in range(table.ndim):
                of_probabilities[row, : table.shape[kept]] = _contracted(table, rows, kept)
                row += 1
        return self.categoricals.gradient(probabilities, of_probabilities)


def _contracted(table, rows, kept=None):
    """Returns the mean of a table over all dimensions, or over all but one."""
    for axis in reversed(range(table.ndim)):
        if axis != kept:
            table = np.tensordot(table, rows[axis], axes=(axis, 0))
    return table


def _block_table(place: BlockPlace, cost) -> np.ndarray:
    fields = place.candidates.fields
    table = np.zeros([len(values) for values in fields])
    for indices in itertools.product(*(range(len(values)) for values in fields)):
        choice = place.candidates.choice(indices)
        if not choice.skip:
            layers = zip(block_layers(place, choice), block_bits(choice), strict=True)
            table[indices] = math.fsum(_price(cost, layer, bits) for layer, bits in layers)
    return table


@functools.lru_cache(maxsize=2**16)
def _price(cost, layer, bits):
    """Returns the cost of a layer, cached for all networks that have it."""
    largest = 2 ** (bits - 1) - 1
    formats = (CodeFormat(bits, -largest, largest),)
    return float(cost.table(layer, formats, formats)[0, 0])
