"""DRAM traffic of a schedule."""

import itertools

import numpy as np

from tfmp.simulator.hardware import Hardware
from tfmp.simulator.tiling import LOOPS, TENSORS, Tilings, capacity_bits

_TOUCHED = {
    "weights": ("in_channels", "out_channels"),
    "inputs": ("batch", "width", "height", "in_channels"),
    "outputs": ("batch", "width", "height", "out_channels"),
}
TOUCHES = np.array([[loop in _TOUCHED[tensor] for loop in LOOPS] for tensor in TENSORS])

ORDERS = np.array(list(itertools.permutations(range(len(LOOPS)))))  # inner loop first
_INSIDE = np.array(  # of each loop, in each order: the set of loops inside of it, loop l as bit l
    [[sum(2**inner for inner in order[: order.index(loop)]) for loop in range(len(LOOPS))] for order in ORDERS.tolist()]
)


def dram_traffic(tilings: Tilings, hardware: Hardware) -> tuple[np.ndarray, np.ndarray]:
    """Computes the traffic of every order of the five loops, for one pass over the layer.

    Loops are walked from the inner one outwards. A tensor starts resident, with one tile. A loop of n tiles that
    touches a tensor multiplies its traffic by n, and the tensor stays resident as long as the product fits its buffer.
    A loop that does not touch it multiplies the traffic of a tensor that is no longer resident.

    Whether a tensor is resident at a loop depends on which loops are inside it, not on their order. The walk is
    therefore done once for each of the 32 sets of loops, and each of the 120 orders looks up its five sets.

    Returns:
        Traffic, and the largest part of each tensor that was resident: `[3, 120, rows]` each, bits, for `TENSORS` and
        `ORDERS`.
    """
    traffic, largest = np.empty((2, len(TENSORS), len(ORDERS), len(tilings.pair)), np.int64)
    for tensor, capacity in enumerate(capacity_bits(hardware).tolist()):
        touched = TOUCHES[tensor]
        held = tilings.tensor_bits[tensor : tensor + 1]
        for loop, counts in enumerate(tilings.counts):  # doubles the sets: those without this loop, those with it
            held = np.concatenate([held, held * counts if touched[loop] else held])
        fits = held <= capacity
        traffic[tensor] = held[-1]
        for loop in np.flatnonzero(~touched).tolist():
            traffic[tensor] *= np.where(fits, 1, tilings.counts[loop])[_INSIDE[:, loop]]
        resident = np.where(fits, held, 0)
        largest[tensor] = held[0]
        for loop in np.flatnonzero(touched).tolist():
            np.maximum(largest[tensor], resident[_INSIDE[:, loop] | 2**loop], out=largest[tensor])
    return traffic, largest


def least_dram_traffic(tilings: Tilings) -> np.ndarray:
    """Returns a lower bound on the traffic of any order, with every tile moved once: `[3, rows]`, bits."""
    touched = np.where(TOUCHES[:, :, None], tilings.counts, 1)
    return tilings.tensor_bits * touched.prod(axis=1)
