"""The categorical distributions of a search space."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tfmp.checks import check_instance
from tfmp.joint.block_spec import CATEGORICALS
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.search_space import SearchSpace


class Categoricals:
    """Five independent categorical distributions per block: skip, expansion, kernel size and the two bits.

    They are the rows of one matrix, padded to the longest: row 5 l + i is the i-th field of block l. Padding always has
    probability 0.

    Args:
        space: The search space.

    Attributes:
        counts: `[rows]` integers, number of candidates of each row.
        mask: `[rows, width]`, 1.0 for candidates and 0.0 for padding.
    """

    def __init__(self, space: SearchSpace):
        self.space = check_instance("space", space, SearchSpace, "a `tfmp.joint.SearchSpace`")
        self.counts = np.array([len(values) for block in space.blocks for values in block.candidates.fields])
        self.mask = (np.arange(self.counts.max()) < self.counts[:, None]).astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """`(rows, width)` of the matrix."""
        return self.mask.shape

    def probabilities(self, logits: ArrayLike) -> np.ndarray:
        """Returns the softmax of each row over its candidates, `[rows, width]` float64."""
        masked = np.where(self.mask > 0, np.asarray(logits, np.float64), -np.inf)
        powers = np.exp(masked - masked.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def sample(self, probabilities: np.ndarray, count: int, seed: int | Sequence[int]) -> np.ndarray:
        """Returns independent samples, `[count, rows]` integers, equal for equal seeds."""
        uniform = np.random.default_rng(seed).random((count, self.shape[0], 1))
        # The last candidate gets the rounding error between the sum of the probabilities and 1.
        return np.minimum((uniform >= np.cumsum(probabilities, axis=1)).sum(axis=2), self.counts - 1)

    def most_probable(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns the most probable candidates, `[rows]` integers, the first among equals."""
        return np.argmax(probabilities, axis=1)

    def one_hot(self, indices: ArrayLike) -> np.ndarray:
        """Returns `[..., rows, width]` float32 with a 1 at each index."""
        return (np.asarray(indices)[..., None] == np.arange(self.shape[1])).astype(np.float32)

    def log_probability(self, probabilities: np.ndarray, indices: ArrayLike) -> float:
        """Returns the natural logarithm of the probability of a network; of a skipped block only the skip counts."""
        indices = np.asarray(indices)
        drawn = np.take_along_axis(np.asarray(probabilities, np.float64), indices[:, None], axis=1)
        drawn = drawn.reshape(-1, len(CATEGORICALS))
        skips = zip(self.space.blocks, indices[:: len(CATEGORICALS)], strict=True)
        drawn[[place.candidates.skip[index] for place, index in skips], 1:] = 1.0
        with np.errstate(divide="ignore"):
            return float(np.log(drawn).sum())

    def gradient(self, probabilities: np.ndarray, of_probabilities: ArrayLike) -> np.ndarray:
        """Returns the gradient with respect to the logits, `[rows, width]`, from that for the probabilities."""
        mean = (probabilities * of_probabilities).sum(axis=1, keepdims=True)
        return probabilities * (of_probabilities - mean)

    def block_rows(self, matrix: ArrayLike) -> list[list[np.ndarray]]:
        """Splits a matrix into the values of its candidates, by block and field."""
        rows = [row[:count] for row, count in zip(np.asarray(matrix), self.counts, strict=True)]
        size = len(CATEGORICALS)
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def network(self, indices: ArrayLike, **provenance: Any) -> DiscreteNetwork:
        """Returns the network with the candidates at these indices."""
        per_block = np.asarray(indices).reshape(-1, len(CATEGORICALS))
        choices = tuple(
            block.candidates.choice(row.tolist()) for block, row in zip(self.space.blocks, per_block, strict=True)
        )
        return DiscreteNetwork(self.space, choices, provenance)

    def indices(self, network: DiscreteNetwork) -> np.ndarray:
        """Returns the indices of the choices of a network, `[rows]` integers.

        Raises:
            ValueError: If it has a value that is no candidate.
        """
        pairs = zip(self.space.blocks, network.choices, strict=True)
        return np.concatenate([block.candidates.indices(choice) for block, choice in pairs])
