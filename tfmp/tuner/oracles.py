"""keras-tuner oracles by name."""

import math
from typing import TypeVar

import keras_tuner

from tfmp.checks import check_choice, check_instance, check_integer

_ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


DEFAULT_TRIALS = 10
_Default = TypeVar("_Default", bound=int | None)


def checked_max_trials(max_trials: int | None, default: _Default) -> int | _Default:
    """Returns the largest number of trials, or the default for None.

    Raises:
        ValueError: If it is not an integer, or less than 1.
    """
    return default if max_trials is None else check_integer("max_trials", max_trials, at_least=1)


def new_oracle(
    name: str,
    objective: str | keras_tuner.Objective,
    *,
    max_trials: int | None = None,
    max_epochs: int | None = None,
    seed: int | None = None,
) -> keras_tuner.Oracle:
    """Returns an oracle that continues after any number of failed trials.

    Args:
        name: `"grid"`, `"random"`, `"bayesian"` or `"hyperband"`.
        objective: A `keras_tuner.Objective`, or the name of a metric.
        max_trials: Largest number of trials; None for the whole grid, or 10 with other oracles. Hyperband has none.
        max_epochs: Hyperband's largest number of epochs of a trial; None for keras-tuner's default.
        seed: Integer.

    Raises:
        ValueError: If the name is unknown, the number of trials is invalid, or given for Hyperband.
    """
    check_choice("name", name, _ORACLES)
    check_instance("objective", objective, (str, keras_tuner.Objective), "the name of a metric or an `Objective`")
    if max_epochs is not None:
        check_integer("max_epochs", max_epochs, at_least=1)
    if seed is not None:
        check_integer("seed", seed, at_least=0)
    options = {"seed": seed, "max_consecutive_failed_trials": math.inf}
    if name == "hyperband":
        if max_trials is not None:
            raise ValueError("Hyperband sets the number of trials itself. Omit `max_trials`.")
        if max_epochs is not None:
            options["max_epochs"] = max_epochs
    else:
        options["max_trials"] = checked_max_trials(max_trials, None if name == "grid" else DEFAULT_TRIALS)
    try:
        return _ORACLES[name](objective, **options)
    except ValueError as error:
        raise ValueError(
            "`objective` must be the name of a metric whose direction is known, or a `keras_tuner.Objective`. "
            f"Received: {objective!r}: {error}"
        ) from error
