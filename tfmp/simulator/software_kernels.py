"""A processor whose convolutions are software, priced by the measured throughput of its kernels."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from tfmp.checks import check_instance, check_integer, check_number, received
from tfmp.graph import LayerShape
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.layer_cost import Execution, LayerCost


@dataclasses.dataclass(frozen=True)
class SoftwareKernels(Hardware):
    """Prices a layer by the throughput of a processor's kernels and its power.

    cycles = multiply-accumulates / (multiply-accumulates per cycle at the bits);  energy = cycles / frequency * power

    Bits between those of the table run as the next wider ones. Every layer has the throughput of the measured kernel,
    whatever its shape.

    Args:
        name: Name that reports print.
        max_bits: Widest operand, bits.
        frequency_hz: Clock at which the power was measured, Hz.
        macs_per_cycle: Rows (weight bits, activation bits, multiply-accumulates per cycle), one for each pair of the
            widths in it.
        power_mw: Power of the processor while it computes, mW.

    Raises:
        ValueError: If a row is not two widths and a number above 0, a pair is missing or given twice, or no row is for
            `max_bits`.
        TypeError: If `macs_per_cycle` is not a list.

    Example:
        >>> hardware = Hardware.from_preset("mpic")
    """

    macs_per_cycle: tuple[tuple[int, int, float], ...]
    power_mw: float

    dataflow: ClassVar[str] = "software_kernels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("macs_per_cycle", self.macs_per_cycle, (list, tuple), "a list of rows", where=self.label)
        object.__setattr__(self, "macs_per_cycle", tuple(_checked_row(row, self.label) for row in self.macs_per_cycle))
        pairs = [(weight_bits, activation_bits) for weight_bits, activation_bits, _ in self.macs_per_cycle]
        weights, activations = (sorted({pair[operand] for pair in pairs}) for operand in range(2))
        expected = [(weight_bits, activation_bits) for weight_bits in weights for activation_bits in activations]
        if sorted(pairs) != expected or {*weights[-1:], *activations[-1:]} != {self.max_bits}:
            raise ValueError(
                f"{self.label}: `macs_per_cycle` must have one row for each pair of weight and activation bits, up to "
                f"`max_bits`, {self.max_bits}. Received the pairs: {received(pairs)}"
            )

    def layer_costs(
        self, shape: LayerShape, bits: Sequence[tuple[int, int]], execution: Execution
    ) -> Sequence[LayerCost]:
        macs = shape.macs * execution.batch
        costs = []
        for pair in bits:
            weight_bits, activation_bits, rate = self._kernel(*pair)
            cycles = math.ceil(macs / rate)
            energy_nj = cycles / self.frequency_hz * self.power_mw * 1e6
            kernel = {"weight_bits": weight_bits, "activation_bits": activation_bits, "macs_per_cycle": rate}
            costs.append(
                LayerCost(macs, cycles, 0, {"total": energy_nj, "core": energy_nj}, schedule={"kernel": kernel})
            )
        return costs

    def _kernel(self, weight_bits: int, activation_bits: int) -> tuple[int, int, float]:
        """Returns the row of the narrowest widths that hold both operands."""
        return min(row for row in self.macs_per_cycle if row[0] >= weight_bits and row[1] >= activation_bits)


def _checked_row(row: Any, where: str) -> tuple[int, int, float]:
    if not isinstance(row, list | tuple) or len(row) != 3:
        raise ValueError(
            f"{where}: a row of `macs_per_cycle` must be weight bits, activation bits and a number. "
            f"Received: {received(row)}"
        )
    weight_bits, activation_bits = (check_integer("macs_per_cycle", each, at_least=1, where=where) for each in row[:2])
    return weight_bits, activation_bits, check_number("macs_per_cycle", row[2], above=0, where=where)
