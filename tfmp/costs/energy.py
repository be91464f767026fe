"""Cost `energy`: energy on a simulated accelerator."""

import dataclasses

from tfmp.costs.simulated_cost import SimulatedCost


@dataclasses.dataclass(frozen=True)
class Energy(SimulatedCost):
    """Energy of a batch on a simulated accelerator, nJ: what the joint search minimizes.

    Arguments and errors are those of `SimulatedCost`.

    Example:
        >>> cost = Energy("bit_fusion", batch=1)
    """

    name = "energy"
    unit = "nJ"
    quantity = "energy_nj"
