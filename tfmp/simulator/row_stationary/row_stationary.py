"""A row-stationary array with a global buffer, such as Eyeriss."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from tfmp.checks import check_integer
from tfmp.graph import LayerShape
from tfmp.simulator.convolution import Convolution, encode
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.layer_cost import Execution, LayerCost
from tfmp.simulator.row_stationary.pass_traffic import PassTraffic, pass_traffic
from tfmp.simulator.row_stationary.row_mapping import ArraySize, RowMappings, row_mappings

_BITS_PER_MAC = 1024  # at least what one product moves at any level


@dataclasses.dataclass(frozen=True)
class RowStationary(ArraySize, Hardware):
    """Prices a layer by its best mapping on a row-stationary array of processing elements.

    Each element multiplies and accumulates one pair of words per cycle, at any bits. Its energy is proportional to
    weight bits times activation bits; that of moving a word is proportional to the bits of the word. Energies are
    relative to a multiply-accumulate of two words of `max_bits`, as the paper publishes them.

    Args:
        name: Name that reports print.
        max_bits: Width of a word, bits; the widest operand.
        frequency_hz: Clock of the array, Hz.
        rows, columns, input_words, weight_words, partial_sum_words: Sizes of the array, see `ArraySize`.
        partial_sum_bits: Width of partial sums, bits.
        global_buffer_bytes: Size of the buffer for inputs and partial sums, bytes.
        dram_bits_per_cycle: Bandwidth of the memory, bits per cycle of the array, shared by reads and writes.
        mac_nj: Energy of a multiply-accumulate of words of `max_bits`, nJ.
        register_file_energy: Energy to read or write a word in a processing element, in multiply-accumulates.
        array_energy: Energy to send a word to a processing element, in multiply-accumulates.
        global_buffer_energy: Energy to read or write a word of the global buffer, in multiply-accumulates.
        dram_energy: Energy to read or write a word of memory, in multiply-accumulates.
        output_bits: Width of outputs in memory, bits, or `"reader"`: a tensor is written with the bits of the layer
            that reads it, which pays for it.

    Raises:
        ValueError: If a size is not a positive integer, an energy is negative, or `output_bits` is neither. In
            `layer_costs`: if a kernel is larger than the array, or its smallest pass than the buffer.

    Example:
        >>> hardware = Hardware.from_preset("eyeriss")

    Reference: Chen et al., 2016, "Eyeriss: A Spatial Architecture for Energy-Efficient Dataflow for Convolutional
    Neural Networks", https://doi.org/10.1145/3007787.3001177
    """

    partial_sum_bits: int
    global_buffer_bytes: int
    dram_bits_per_cycle: float
    mac_nj: float
    register_file_energy: float
    array_energy: float
    global_buffer_energy: float
    dram_energy: float
    output_bits: int | str

    dataflow: ClassVar[str] = "row_stationary"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output_bits != "reader":
            hint = "Or give 'reader'"
            check_integer("output_bits", self.output_bits, at_least=1, hint=hint, where=self.label)

    def layer_costs(
        self, shape: LayerShape, bits: Sequence[tuple[int, int]], execution: Execution
    ) -> Sequence[LayerCost]:
        convolution = encode(shape, "per_group")
        if convolution.macs * execution.batch * _BITS_PER_MAC >= 2**61:
            raise ValueError("the layer is too large to count its accesses in 64 bits. Choose a smaller batch.")
        mappings = row_mappings(convolution, self, execution.batch)
        traffic = pass_traffic(convolution, mappings, execution.batch)
        return [self._best(convolution, mappings, traffic, pair, execution) for pair in bits]

    def _best(
        self,
        convolution: Convolution,
        mappings: RowMappings,
        traffic: PassTraffic,
        bits: tuple[int, int],
        execution: Execution,
    ) -> LayerCost:
        """Returns the cost of the mapping that is best for the objective, for all groups of the layer."""
        reads, writes = self.accesses(convolution, traffic, bits, execution.batch)
        energy = self._energy_nj(convolution, reads, writes, bits, execution.batch)
        cycles = np.maximum(traffic.cycles, np.ceil((reads["dram"] + writes["dram"]) / self.dram_bits_per_cycle))
        cost, tie_break = (cycles, energy["total"]) if execution.objective == "latency" else (energy["total"], cycles)
        buffered_bits, capacity_bits = self._buffered_bits(traffic, bits), self.global_buffer_bytes * 8
        fits = np.flatnonzero(buffered_bits <= capacity_bits)
        if not len(fits):
            raise ValueError(
                f"no mapping fits `{self.name}` at {bits[1]}-bit activations: the global buffer holds "
                f"{capacity_bits:,} of the {int(buffered_bits.min()):,} bits of the smallest pass. Choose fewer bits, "
                "or hardware with a larger buffer."
            )
        best = int(fits[np.lexsort((tie_break[fits], cost[fits]))[0]])
        repeats, compute = convolution.repeats, int(traffic.cycles[best])
        return LayerCost(
            macs=convolution.macs * execution.batch,
            compute_cycles=compute * repeats,
            stall_cycles=(int(cycles[best]) - compute) * repeats,
            energy_nj={part: float(nj[best]) * repeats for part, nj in energy.items()},
            reads_bits={memory: int(count[best]) * repeats for memory, count in reads.items()},
            writes_bits={memory: int(count[best]) * repeats for memory, count in writes.items()},
            schedule={"repeats": repeats, "mapping": mappings.described(best)},
        )

    def accesses(
        self, convolution: Convolution, traffic: PassTraffic, bits: tuple[int, int], batch: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Returns the bits that are read and written at each level, for one group: `[mappings]` each.

        A multiply-accumulate reads a weight, an input and a partial sum from the registers and writes a partial sum.
        Outputs are read once from the global buffer when they leave.
        """
        weight_bits, activation_bits = bits
        widths = {"weights": weight_bits, "inputs": activation_bits, "partial_sums": self.partial_sum_bits}
        macs = np.full(traffic.cycles.shape, convolution.macs // convolution.repeats * batch)
        outputs = math.prod(convolution.output_size) * convolution.out_channels * batch
        if self.output_bits == "reader":
            written = convolution.input_values * batch * activation_bits
        else:
            written = outputs * int(self.output_bits)
        partial_sums = traffic.to_array["partial_sums"] * self.partial_sum_bits
        from_dram = traffic.to_array["weights"] * weight_bits + traffic.inputs_from_dram * activation_bits
        reads = {
            "register_file": macs * sum(widths.values()),
            "array": sum(words * widths[tensor] for tensor, words in traffic.in_array.items()),
            "global_buffer": sum(words * widths[tensor] for tensor, words in traffic.to_array.items())
            + outputs * self.partial_sum_bits,
            "dram": from_dram,
        }
        writes = {
            "register_file": macs * self.partial_sum_bits,
            "global_buffer": partial_sums + from_dram,
            "dram": np.full(macs.shape, written),
        }
        return reads, writes

    def _energy_nj(
        self,
        convolution: Convolution,
        reads: Mapping[str, np.ndarray],
        writes: Mapping[str, np.ndarray],
        bits: tuple[int, int],
        batch: int,
    ) -> dict[str, np.ndarray]:
        weight_bits, activation_bits = bits
        macs = convolution.macs // convolution.repeats * batch
        core = macs * self.mac_nj * weight_bits * activation_bits / self.max_bits**2
        parts = {"core": np.full(reads["dram"].shape, core)}
        for memory, accessed in reads.items():
            words = (accessed + writes.get(memory, 0)) / self.max_bits
            parts[memory] = words * getattr(self, f"{memory}_energy") * self.mac_nj
        return {"total": functools.reduce(np.add, parts.values())} | parts

    def _buffered_bits(self, traffic: PassTraffic, bits: tuple[int, int]) -> np.ndarray:
        return traffic.buffered_inputs * bits[1] + traffic.buffered_partial_sums * self.partial_sum_bits
