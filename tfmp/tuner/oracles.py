"""keras-tuner's oracles by name."""

import math

import keras_tuner

_ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


def new_oracle(name, objective, *, max_trials=None, max_epochs=None, seed=None):
    """Returns an oracle that goes on however many trials fail.

    Args:
        name: `"grid"`, `"random"`, `"bayesian"` or `"hyperband"`.
        objective: A `keras_tuner.Objective`, or the name of a metric.
        max_trials: Largest number of trials; None for the whole grid, else 10. Hyperband has none.
        max_epochs: Hyperband's largest number of epochs of a trial.
        seed: Integer.

    Raises:
        ValueError: If the name is unknown, or Hyperband is to stop at a number of trials.
    """
    if name not in _ORACLES:
        raise ValueError(f"An oracle must be one of {', '.join(_ORACLES)}. Received: {name!r}")
    options = {"seed": seed, "max_consecutive_failed_trials": math.inf}
    if name == "hyperband":
        if max_trials is not None:
            raise ValueError("Hyperband decides itself how many trials there are. Leave out `max_trials`.")
        options["max_epochs"] = max_epochs
    else:
        options["max_trials"] = max_trials or (None if name == "grid" else 10)
    return _ORACLES[name](objective, **options)
