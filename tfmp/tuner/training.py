"""Training settings of trials."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import tensorflow as tf

from tfmp.checks import check_function, check_instance, check_integer, check_number
from tfmp.files.run_identity import described


@dataclasses.dataclass(frozen=True)
class Training:
    """Loss, metrics, epochs and optimizer of every trial.

    Every strategy trains for `search_epochs + finetune_epochs` in total. A search divides them as given; the other
    strategies train at their bits all the time. Hyperband sets the total itself and keeps the proportion.

    Args:
        loss: As in `compile`.
        search_epochs: Epochs with open bits, at least 1.
        finetune_epochs: Epochs at the chosen bits.
        float_epochs: Epochs in floating point, for a model that a function builds; such a model is trained once.
        float_learning_rate: Its learning rate.
        metrics: As in `compile`; a record names them `val_<metric>`.
        optimizer: Function of a learning rate, a number or a schedule, that returns a new optimizer; None for Adam.
            While bits are open, the learning rate is constant; afterwards it falls to zero with a cosine schedule.

    Raises:
        ValueError: If there are no search epochs, or a number is negative.

    Example:
        >>> Training("mse", search_epochs=2, finetune_epochs=3).split(10)
        (4, 6)
    """

    loss: Any
    search_epochs: int = 4
    finetune_epochs: int = 6
    float_epochs: int = 10
    float_learning_rate: float = 1e-3
    metrics: tuple = ("accuracy",)
    optimizer: Callable | None = None

    def __post_init__(self) -> None:
        for name, least in (("search_epochs", 1), ("finetune_epochs", 0), ("float_epochs", 0)):
            check_integer(name, getattr(self, name), at_least=least)
        check_number("float_learning_rate", self.float_learning_rate, above=0)
        check_instance("metrics", self.metrics, (list, tuple), "a list of metrics")
        for loss in tf.nest.flatten(self.loss):
            if loss is not None and not callable(loss):
                check_instance("loss", loss, str, "a loss, its name or a function, or a structure of these")
        if self.optimizer is not None:
            check_function("optimizer", self.optimizer, "the learning rate")

    def check(self, keras: ModuleType) -> None:
        """Raises `ValueError` if this Keras does not know the name of a loss or metric."""
        for name, known, values in (("loss", keras.losses, self.loss), ("metrics", keras.metrics, self.metrics)):
            for each in tf.nest.flatten(values):
                # `compile` resolves these names itself, by the shapes of the outputs.
                if isinstance(each, str) and each not in ("accuracy", "acc", "crossentropy", "ce"):
                    _check_known(name, each, known)

    def split(self, epochs: int) -> tuple[int, int]:
        """Divides a number of epochs into search and fine-tuning, in the proportion of the two settings."""
        share = self.search_epochs / (self.search_epochs + self.finetune_epochs)
        search_epochs = min(epochs, max(1, round(epochs * share)))
        return search_epochs, epochs - search_epochs

    def new_optimizer(self, keras: ModuleType, learning_rate: float, steps: int | None = None) -> Any:
        """Returns an optimizer of a Keras; with `steps`, its learning rate falls to zero over them."""
        if steps:
            learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        return (self.optimizer or keras.optimizers.Adam)(learning_rate)

    @property
    def is_accuracy_measured(self) -> bool:
        """Whether records have a `val_accuracy`."""
        names = [metric if isinstance(metric, str) else getattr(metric, "name", None) for metric in self.metrics]
        return "accuracy" in names

    def identity(self, keras: ModuleType) -> dict[str, Any]:
        """Returns JSON that is equal for equal trainings."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        content["loss"] = described(
            tf.nest.map_structure(
                lambda loss: str(keras.losses.serialize(loss)) if isinstance(loss, keras.losses.Loss) else loss,
                self.loss,
            )
        )
        content["metrics"] = described(list(self.metrics))
        optimizer = self.new_optimizer(keras, 1.0)
        settings = {name: str(value) for name, value in optimizer.get_config().items() if name != "name"}
        content["optimizer"] = {"class": type(optimizer).__name__, **settings}
        return content


def _check_known(name, value, known):
    try:
        known.get(value)
    except ValueError as error:
        where = known.__name__.split(".")[0]
        raise ValueError(f'`{name}` must be known by {where}, as "mse" is. Received: {value!r}') from error
