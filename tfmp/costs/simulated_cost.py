"""Costs on a simulated machine: energy and latency."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tfmp.checks import check_choice, check_integer
from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, LayerShape
from tfmp.simulator import Hardware, cost_table
from tfmp.simulator.layer_cost import OBJECTIVES
from tfmp.simulator.simulate import check_encoding


@dataclasses.dataclass(frozen=True)
class SimulatedCost(Cost):
    """Base class of costs from the simulator; use `Energy` and `SimulatedLatency`.

    Args:
        hardware: `tfmp.simulator.Hardware`, or the name of a preset.
        batch: Samples per batch; costs are for the whole batch.
        objective: What each layer's schedule minimizes first, `"latency"` (as in the reference) or `"energy"`.
        depthwise: How depthwise layers are encoded, one of the hardware's `depthwise_encodings`; None for the first.

    Raises:
        ValueError: If there is no such preset, or an argument has an unknown value. In `table`: if a format is floating
            point or wider than the hardware's operands, or a layer does not fit.
    """

    hardware: Hardware | str = "bit_fusion"
    batch: int = 16
    _: dataclasses.KW_ONLY
    objective: str = "latency"
    depthwise: str | None = None

    quantity: ClassVar[str]

    def __post_init__(self) -> None:
        hardware = Hardware.of(self.hardware)
        object.__setattr__(self, "hardware", hardware)
        object.__setattr__(self, "batch", check_integer("batch", self.batch, at_least=1))
        check_choice("objective", self.objective, OBJECTIVES)
        object.__setattr__(self, "depthwise", check_encoding(self.depthwise, hardware))

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        hardware = Hardware.of(self.hardware)
        for operand, formats in (("weights", weight_formats), ("activations", activation_formats)):
            if any(format.is_float for format in formats):
                raise ValueError(
                    f"Layer `{shape.name}`: the cost `{self.name}` on `{hardware.name}` exists for integers of at most "
                    f"{hardware.max_bits} bits. Received floating-point {operand}. Quantize the layer, or use "
                    "'bitops', which counts floats as 32 bits."
                )
        return cost_table(
            shape,
            [format.bits for format in weight_formats],
            [format.bits for format in activation_formats],
            hardware,
            self.quantity,
            batch=self.batch,
            objective=self.objective,
            depthwise=self.depthwise,
        )


@dataclasses.dataclass(frozen=True)
class Energy(SimulatedCost):
    """Energy of a batch on a simulated machine, nJ, the default cost of the joint search.

    Arguments and errors are those of `SimulatedCost`.

    Example:
        >>> cost = Energy("bit_fusion", batch=1)
    """

    name = "energy"
    unit = "nJ"
    quantity = "energy_nj"


@dataclasses.dataclass(frozen=True)
class SimulatedLatency(SimulatedCost):
    """Time of a batch on a simulated machine, cycles of its clock: not the time on a phone or computer.

    `RuntimeLatency` is measured on your machine.

    Arguments and errors are those of `SimulatedCost`.

    Example:
        >>> cost = SimulatedLatency("bit_fusion", batch=1)
    """

    name = "simulated_latency"
    unit = "cycles"
    quantity = "latency_cycles"
