"""Settings of a joint search."""

import dataclasses
import math

from tfmp.checks import check_choice, check_flag, check_integer, check_number

ORDERS = ("first", "second")
SAMPLES = ("soft", "hard")


@dataclasses.dataclass(frozen=True)
class JointSettings:
    """Settings of a `tfmp.joint.JointSearch`; defaults are those of the paper where it gives them.

    Args:
        order: `"first"`, or `"second"` for a controller gradient through a step of the weights.
        penalty: Weight of the cost above the target: penalty * max(0, E[cost] / target - 1) is added to the loss.
        two_sided: True to also penalize a cost below the target, so that the search uses the whole target.
        temperature: Temperature of the Gumbel-softmax samples in the first epoch.
        temperature_decay: The temperature is multiplied by exp(-temperature_decay) after each epoch.
        weight_epochs: Number of epochs at the start that only train weights.
        samples: `"soft"`, mixtures of the candidates, or `"hard"`, one candidate each with the gradient of the mixture.

    Raises:
        ValueError: If a name is unknown or a number is out of range.

    Example:
        >>> JointSettings().temperature_in(10) < 5 * 0.64
        True
    """

    order: str = "first"
    penalty: float = 1.0
    two_sided: bool = False
    temperature: float = 5.0
    temperature_decay: float = 0.045
    weight_epochs: int = 5
    samples: str = "soft"

    def __post_init__(self):
        for name, known in (("order", ORDERS), ("samples", SAMPLES)):
            check_choice(name, getattr(self, name), known)
        for name in ("penalty", "temperature_decay"):
            check_number(name, getattr(self, name), at_least=0)
        check_flag("two_sided", self.two_sided)
        check_number("temperature", self.temperature, above=0)
        check_integer("weight_epochs", self.weight_epochs, at_least=0)

    def temperature_in(self, epoch: int) -> float:
        """Returns the temperature in an epoch, counted from 0."""
        return self.temperature * math.exp(-self.temperature_decay * epoch)
