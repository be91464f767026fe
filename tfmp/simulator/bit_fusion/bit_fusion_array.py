"""The numbers of Bit Fusion, a systolic array of units that fuse to the bits of their operands."""

import dataclasses
from typing import Any, ClassVar, Self

from tfmp.checks import check_choice
from tfmp.simulator.bit_fusion.sram import sram_energy_nj_per_bit
from tfmp.simulator.convolution import DEPTHWISE_ENCODINGS
from tfmp.simulator.hardware import Hardware

PARTIAL_SUM_BITS = 32


@dataclasses.dataclass(frozen=True)
class BitFusionArray(Hardware):
    """Numbers of a systolic array of bit-composable fusion units, its three buffers and its memory.

    `BitFusion` is the machine.

    Args:
        name: Name that reports print.
        max_bits: Widest operand, bits.
        frequency_hz: Clock of the array, Hz.
        input_lanes: Rows of the array, N: fusion units along the reduction.
        output_lanes: Columns of the array, M: fusion units along the output channels.
        min_bits: Narrowest operand, bits; fewer bits compute at this width and move at their own.
        dram_bits_per_cycle: Bandwidth of the memory, bits per cycle, shared by reads and writes.
        weight_buffer_bytes: Size of the weight buffer, bytes, of which double buffering leaves half for a tile.
        input_buffer_bytes: Size of the input buffer, bytes, halved in the same way.
        output_buffer_bytes: Size of the output buffer, bytes, halved in the same way.
        core_nj_per_cycle: Energy of the whole array in a cycle in which it computes, nJ.
        weight_buffer_read_nj_per_bit: Energy to read a bit from the weight buffer, nJ.
        weight_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        input_buffer_read_nj_per_bit: Energy to read a bit from the input buffer, nJ.
        input_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        output_buffer_read_nj_per_bit: Energy to read a bit from the output buffer, nJ.
        output_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        dram_nj_per_bit: Energy to read or write a bit of memory, nJ.
        output_bits: Width of outputs in memory: 32, as in the reference, or `"reader"`: a tensor is written with the
            bits of the layer that reads it, which pays for it; only partial sums move as 32 bits.

    Raises:
        ValueError: If a size is not a positive integer, an energy is negative, `min_bits` exceeds `max_bits`, or
            `output_bits` is neither 32 nor `"reader"`.

    Example:
        >>> hardware = Hardware.from_preset("bit_fusion").resize(input_lanes=32, weight_buffer_bytes=131072)

    Reference: Sharma et al., Bit Fusion, 2018, https://arxiv.org/abs/1712.01507
    """

    input_lanes: int
    output_lanes: int
    min_bits: int
    dram_bits_per_cycle: int
    weight_buffer_bytes: int
    input_buffer_bytes: int
    output_buffer_bytes: int
    core_nj_per_cycle: float
    weight_buffer_read_nj_per_bit: float
    weight_buffer_write_nj_per_bit: float
    input_buffer_read_nj_per_bit: float
    input_buffer_write_nj_per_bit: float
    output_buffer_read_nj_per_bit: float
    output_buffer_write_nj_per_bit: float
    dram_nj_per_bit: float
    output_bits: int | str = dataclasses.field(default=PARTIAL_SUM_BITS, metadata={"unrecorded_default": True})

    depthwise_encodings: ClassVar[tuple[str, ...]] = DEPTHWISE_ENCODINGS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("output_bits", self.output_bits, (PARTIAL_SUM_BITS, "reader"), where=self.label)
        if self.min_bits > self.max_bits:
            raise ValueError(
                f"{self.label}: `min_bits` must not exceed `max_bits`. Received: {self.min_bits} and {self.max_bits}"
            )

    def fusion_factor(self, weight_bits: int, activation_bits: int) -> int:
        """Returns the number of products that one fusion unit computes in a cycle.

        pf = (pmax // max(activation_bits, pmin)) * (pmax // max(weight_bits, pmin))

        With pmax = 8 and pmin = 2, an operand of at most 2 bits contributes 4, one of 3 or 4 bits 2, a wider one 1.
        """
        per_weight = self.max_bits // max(weight_bits, self.min_bits)
        per_activation = self.max_bits // max(activation_bits, self.min_bits)
        return per_weight * per_activation

    def resize(self, **fields: Any) -> Self:
        """A copy with some fields changed and the energies that depend on them derived, at 45 nm.

        A buffer whose banks change size takes its energies from the SRAM table: the weight buffer has N * M banks, the
        input buffer N, the output buffer M with one port more. `core_nj_per_cycle` grows with N * M. Energies among
        `fields` are taken as they are.

        Raises:
            ValueError: If a field is unknown, a buffer does not divide into its banks, or the table has no such bank.
        """
        known = {field.name for field in dataclasses.fields(self)}
        if set(fields) - known:
            raise ValueError(f"Unknown fields of Hardware: {sorted(set(fields) - known)}. Fields: {sorted(known)}")
        resized = dataclasses.replace(self, **fields)
        units, units_before = (each.input_lanes * each.output_lanes for each in (resized, self))
        derived = {"core_nj_per_cycle": self.core_nj_per_cycle * units / units_before}
        for buffer in ("weight_buffer", "input_buffer", "output_buffer"):
            keys = f"{buffer}_read_nj_per_bit", f"{buffer}_write_nj_per_bit"
            banks, ports = _banks(resized, buffer)
            size = getattr(resized, f"{buffer}_bytes")
            same_bank = size * _banks(self, buffer)[0] == getattr(self, f"{buffer}_bytes") * banks
            if same_bank or all(key in fields for key in keys):
                continue
            if size % banks:
                raise ValueError(
                    f"{self.label}: `{buffer}_bytes` must divide into {banks} banks. Received: {size}. "
                    f"Choose a multiple of {banks}, or give `{keys[0]}` and `{keys[1]}`."
                )
            try:
                derived.update(zip(keys, sram_energy_nj_per_bit(size // banks, ports), strict=True))
            except ValueError as error:
                raise ValueError(
                    f"{self.label}: {buffer}, {size} bytes in {banks} banks: {error} "
                    f"The fields are `{keys[0]}` and `{keys[1]}`."
                ) from error
        return dataclasses.replace(resized, **(derived | fields))


def _banks(hardware: BitFusionArray, buffer: str) -> tuple[int, int]:
    """Returns the number of banks of a buffer, and the number of their read/write ports."""
    rows, columns = hardware.input_lanes, hardware.output_lanes
    return {"weight_buffer": (rows * columns, 0), "input_buffer": (rows, 0), "output_buffer": (columns, 1)}[buffer]
