"""What a machine is told about a run, and what it returns for a layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any

OBJECTIVES = ("latency", "energy")


@dataclasses.dataclass(frozen=True)
class Execution:
    """How layers are run.

    Args:
        batch: Samples that run together.
        objective: What a schedule minimizes first: `"latency"` or `"energy"`; the other one breaks ties.
        depthwise: Encoding of depthwise layers, one of the hardware's `depthwise_encodings`.
    """

    batch: int
    objective: str
    depthwise: str


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of a layer at one pair of bits, for the whole batch.

    Args:
        macs: Multiply-accumulates that the machine computes.
        compute_cycles: Cycles in which it computes.
        stall_cycles: Cycles in which it waits.
        energy_nj: Energy by part and in `total`, nJ. The parts are `core`, `dram`, and any buffers between.
        reads_bits: Bits read, by memory.
        writes_bits: Bits written, by memory.
        schedule: How the layer was run, for reports.
    """

    macs: int
    compute_cycles: int
    stall_cycles: int
    energy_nj: Mapping[str, float]
    reads_bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    writes_bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    schedule: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def total_cycles(self) -> int:
        """Cycles from the first to the last."""
        return self.compute_cycles + self.stall_cycles
