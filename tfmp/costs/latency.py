"""Cost `latency`: cycles on a simulated accelerator."""

import dataclasses

from tfmp.costs.simulated_cost import SimulatedCost


@dataclasses.dataclass(frozen=True)
class Latency(SimulatedCost):
    """Time of a batch on a simulated accelerator, cycles of its clock.

    Arguments and errors are those of `SimulatedCost`.

    Example:
        >>> cost = Latency("bit_fusion", batch=1)
    """

    name = "latency"
    unit = "cycles"
    quantity = "latency_cycles"
