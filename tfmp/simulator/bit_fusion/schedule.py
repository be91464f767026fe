"""Searches the best tiling and loop order of a convolution."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.simulator.bit_fusion.bit_fusion_array import BitFusionArray
from tfmp.simulator.bit_fusion.schedule_cost import (
    DATAFLOWS,
    ORDERS,
    accesses,
    best_dataflow,
    compute_cycles,
    dram_traffic,
    energy_nj,
    latency_cycles,
    least_dram_traffic,
    stall_cycles,
    transfers,
)
from tfmp.simulator.bit_fusion.tiling import LOOPS, Tilings, ceil_div, tilings
from tfmp.simulator.convolution import Convolution
from tfmp.simulator.layer_cost import Execution, LayerCost

_LEADERS = 4
_CHUNK_ROWS = 4096


def best_schedules(
    convolution: Convolution, bits: Sequence[tuple[int, int]], hardware: BitFusionArray, execution: Execution
) -> list[LayerCost]:
    """Finds the cheapest of all tilings and all 120 loop orders, for each pair of bits.

    `objective="latency"`: fewest total cycles, then least energy; `"energy"`: the other way round. The search is
    exact: a tiling is skipped only if its lower bound is worse than an order already found.

    Raises:
        ValueError: If no tiling fits, see `tilings`.
    """
    candidates, objective = tilings(convolution, bits, hardware, execution.batch), execution.objective
    bound = _bound(candidates, convolution, hardware, objective)
    leaders = _leaders(candidates.pair, bound)
    _, cost, _ = _best_orders(candidates.take(leaders), convolution, hardware, objective)
    best = np.full(len(bits), np.inf)
    np.minimum.at(best, candidates.pair[leaders], cost)
    candidates = candidates.take(np.flatnonzero(bound <= best[candidates.pair]))

    order, cost, tie_break = _best_orders(candidates, convolution, hardware, objective)
    ranking = np.lexsort((tie_break, cost, candidates.pair))
    winners = ranking[np.unique(candidates.pair[ranking], return_index=True)[1]]
    return _describe(candidates.take(winners), order[winners], convolution, hardware, execution.batch)


def _bound(candidates: Tilings, convolution: Convolution, hardware: BitFusionArray, objective: str) -> np.ndarray:
    """Returns a lower bound over all loop orders of a tiling: `[rows]`.

    For cycles: the compute time after the first tiles arrive and before the last ones leave, and the time to move
    every tile once through the memory interface.
    """
    traffic = least_dram_traffic(candidates)
    compute = compute_cycles(candidates, convolution, hardware)
    if objective == "energy":
        reads, writes = accesses(candidates, convolution, hardware, traffic)
        return energy_nj(compute, reads, writes, hardware)["total"]
    busy = compute + latency_cycles(candidates.tensor_bits, hardware)[0]
    return np.maximum(busy, ceil_div(_moved_bits(candidates, hardware, traffic), hardware.dram_bits_per_cycle))


def _moved_bits(rows: Tilings, hardware: BitFusionArray, traffic: np.ndarray) -> np.ndarray:
    reads, writes = transfers(rows, hardware, traffic)
    return reads.sum(axis=0) + writes


def _leaders(pair: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Returns the few rows of each pair with the best bound."""
    ranking = np.lexsort((bound, pair))
    starts = np.searchsorted(pair, pair)
    return ranking[np.arange(len(pair)) - starts < _LEADERS]


def _best_orders(
    candidates: Tilings, convolution: Convolution, hardware: BitFusionArray, objective: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the best order of each row, its cost and its tie-breaker: total cycles and energy, or the reverse."""
    results = []
    for start in range(0, len(candidates.pair), _CHUNK_ROWS):
        rows = candidates.take(slice(start, start + _CHUNK_ROWS))
        traffic, largest = dram_traffic(rows, hardware)
        compute = compute_cycles(rows, convolution, hardware)
        cycles = compute + stall_cycles(compute, _moved_bits(rows, hardware, traffic), largest, hardware)
        reads, writes = accesses(rows, convolution, hardware, traffic)
        energy = energy_nj(compute, reads, writes, hardware)["total"]
        cost, tie_break = (cycles, energy) if objective == "latency" else (energy, cycles)
        least = cost.min(axis=0)
        tie_break = np.where(cost == least, tie_break, np.inf)
        results.append((tie_break.argmin(axis=0), least, tie_break.min(axis=0)))
    order, cost, tie_break = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return order, cost, tie_break


def _describe(
    rows: Tilings, orders: np.ndarray, convolution: Convolution, hardware: BitFusionArray, batch: int
) -> list[LayerCost]:
    """Returns the cost of each row, run in the given order."""
    index, repeats = np.arange(len(orders)), convolution.repeats
    traffic, largest = (bits[:, orders, index] for bits in dram_traffic(rows, hardware))
    compute = compute_cycles(rows, convolution, hardware)
    stall = stall_cycles(compute, _moved_bits(rows, hardware, traffic), largest, hardware) * repeats
    compute = compute * repeats
    reads, writes = (
        {memory: bits * repeats for memory, bits in direction.items()}
        for direction in accesses(rows, convolution, hardware, traffic)
    )
    energy = energy_nj(compute, reads, writes, hardware)
    dataflows = best_dataflow(rows, convolution, hardware)

    def numbers(arrays: Mapping[str, np.ndarray], row: int) -> dict[str, Any]:
        return {key: array[row].item() for key, array in arrays.items()}

    return [
        LayerCost(
            macs=convolution.macs * batch,
            compute_cycles=int(compute[row]),
            stall_cycles=int(stall[row]),
            energy_nj=numbers(energy, row),
            reads_bits=numbers(reads, row),
            writes_bits=numbers(writes, row),
            schedule={
                "repeats": repeats,
                "im2col": convolution.im2col,
                "tile": dict(zip(LOOPS, rows.tile[:, row].tolist(), strict=True)),
                "loop_order": tuple(LOOPS[loop] for loop in ORDERS[orders[row]]),
                "dataflow": DATAFLOWS[dataflows[row]],
            },
        )
        for row in index.tolist()
    ]
