"""Trains logits, ranges and weights with separate optimizers, in either Keras."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tfmp.annotations import KerasLayer, KerasMixin
from tfmp.checks import received

SCHEDULED = "scheduled"
# Adam divides gradients by their size, so that logits travel as far in a network of small gradients. Short averages
# suffice, because the logits add up the gradients themselves, and do not delay searches of few steps. The smallest
# number that is added to the size must be far below it.
_ADAM = {"learning_rate": 0.01, "beta_1": 0.5, "beta_2": 0.95, "epsilon": 1e-12}
RELATIVE = "relative"
# Candidates of a kernel share the step of the most bits, which may be smaller than the learning rate of an Adam for the
# weights. Adafactor moves a step by a share of its size, so that it fits steps of any size.
_ADAFACTOR = {"learning_rate": 1e-3, "relative_step": False, "epsilon_2": 1e-12}


def group_of(path: str) -> str:
    """Returns `"selection"` for logits, `"ranges"` for the state of a quantizer, otherwise `"weights"`.

    Args:
        path: Path of a trainable variable: the names of the layers that hold it, and its name.
    """
    holder, _, name = path.split(":")[0].rpartition("/")
    if not holder.endswith("_selector"):
        return "weights"
    return "selection" if name == "logits" else "ranges"


def logits_of(variables: Iterable[Any], path_of: Callable[[Any], str]) -> list[Any]:
    """Returns the logits among trainable variables; a function gives their paths."""
    return [variable for variable in variables if group_of(path_of(variable)) == "selection"]


def kept_weights(variables: Iterable[Any], path_of: Callable[[Any], str]) -> list[Any]:
    """Returns the variables that a training pass may write and a step of only the logits must restore.

    They are the statistics and the ranges, which a first batch may set; the random state is not restored.
    """
    return [
        variable
        for variable in variables
        if (group_of(path_of(variable)) == "ranges" or not variable.trainable)
        and path_of(variable).split(":")[0].rpartition("/")[2] != "sampling_step"
    ]


def start_variables(variables: Iterable[Any], path_of: Callable[[Any], str]) -> list[Any]:
    """Returns the variables that identify the start of a search: weights, statistics and logits.

    Ranges, which may differ by a rounding after calibration, prices and random states are omitted.
    """
    return [variable for variable in variables if _is_of_start(path_of(variable).split(":")[0], variable.dtype)]


def input_quantizer_path(layer: KerasLayer) -> str:
    """Returns the prefix of the paths of the variables that quantize the input of a layer."""
    return f"{layer}/activation_selector/"


def _is_of_start(path, dtype):
    holder, _, name = path.rpartition("/")
    if holder.endswith("_selector"):
        return name == "logits"
    return not holder.endswith("selection_cost") and "int" not in getattr(dtype, "name", dtype)


class SelectionOptimizerMixin(KerasMixin):
    """Trains the logits of a search, and the ranges of quantizers, with separate optimizers.

    All are updated in one pass (EdMIPS, section 4.6, the single-pass strategy), each with the learning rate, weight
    decay, clipping and schedule of its optimizer. A global norm is that of one group of variables.

    Args:
        weights: Optimizer of all other variables, a name or an instance. `learning_rate` is its learning rate, so
            callbacks change it; schedules of the optimizers are separate.
        selection: Optimizer of the logits, a name or an instance. `"scheduled"`, the default, is an Adam whose learning
            rate `MixedPrecisionSearch` derives from the number of steps, so that a search of any length decides; see
            docs/search.md. With any other optimizer, its rates are used as they are.
        ranges: Optimizer of the steps that quantizers learn, a name or an instance. `"relative"`, the default, is an
            Adafactor that moves the steps of a tensor by at most 0.1 % of their root mean square. None trains them with
            `weights`, including its weight decay.
        name: Name of the optimizer.

    Raises:
        ValueError: If an argument is not an optimizer.

    Attributes:
        holds_logits: True while only separate steps train the logits, in a search with `selection_data`.
        is_scheduled: True for `selection="scheduled"`.
        is_relative: True for `ranges="relative"`.

    Example:
        >>> optimizer = SelectionOptimizer("adam")
    """

    optimizers_module: Any = None  # the module of optimizers, set by the class of a framework

    def _take(self, weights, selection, ranges):
        """Sets the optimizers that the user gave."""
        self.weights_optimizer = optimizer_of(self.optimizers_module, "weights", weights)
        self.is_scheduled = isinstance(selection, str) and selection == SCHEDULED
        adam = self.optimizers_module.Adam(**_ADAM) if self.is_scheduled else selection
        self.selection_optimizer = optimizer_of(self.optimizers_module, "selection", adam)
        self.is_relative = isinstance(ranges, str) and ranges == RELATIVE
        given = self.optimizers_module.Adafactor(**_ADAFACTOR) if self.is_relative else ranges
        self.ranges_optimizer = None if given is None else optimizer_of(self.optimizers_module, "ranges", given)
        self.holds_logits = False

    @property
    def optimizers_by_group(self) -> dict[str, Any]:
        """Returns the optimizers by the group of variables that they train, see `group_of`."""
        optimizers = {"weights": self.weights_optimizer, "selection": self.selection_optimizer}
        return optimizers if self.ranges_optimizer is None else {**optimizers, "ranges": self.ranges_optimizer}

    def group_at(self, path: str) -> str:
        """Returns the group of the variable at a path, a key of `optimizers_by_group`."""
        group = group_of(path)
        return "weights" if group == "ranges" and self.ranges_optimizer is None else group

    @property
    def learning_rate(self) -> Any:
        return self.weights_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value) -> Any:
        self.weights_optimizer.learning_rate = value

    def get_config(self) -> dict[str, Any]:
        serialize, ranges = self.optimizers_module.serialize, self.ranges_optimizer
        return {
            "weights": serialize(self.weights_optimizer),
            "selection": SCHEDULED if self.is_scheduled else serialize(self.selection_optimizer),
            "ranges": RELATIVE if self.is_relative else None if ranges is None else serialize(ranges),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        return cls(**config)


def optimizer_of(optimizers: Any, name: str, identifier: Any) -> Any:
    """Returns an optimizer of a Keras.

    Args:
        optimizers: The module of optimizers of the Keras.
        name: Name of the argument.
        identifier: An optimizer, its name or its configuration.

    Raises:
        ValueError: If it is none of these, or a legacy optimizer.
    """
    try:
        optimizer = optimizers.get(identifier)
    except (KeyError, TypeError, ValueError):
        optimizer = None
    if not isinstance(optimizer, optimizers.Optimizer):
        legacy = "" if optimizer is None else ", a legacy optimizer; take the class of the same name there"
        raise ValueError(
            f"`{name}` must be an optimizer of `{optimizers.__name__.split('.')[0]}.optimizers`, or its name. "
            f"Received: {received(identifier)}{legacy}"
        )
    return optimizer
