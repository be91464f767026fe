"""Tuning of budgets with keras-tuner, on one machine or several."""

import importlib.util

if importlib.util.find_spec("keras_tuner") is None:
    raise ImportError("The tuner needs keras-tuner: `pip install tfmp[tuner]`.")

from tfmp.tuner.budget_tuner import BudgetTuner
from tfmp.tuner.dual_precision_hyper_model import DualPrecisionHyperModel
from tfmp.tuner.dual_precision_search import DualPrecision
from tfmp.tuner.mixed_precision_hyper_model import MixedPrecisionHyperModel
from tfmp.tuner.oracles import new_oracle
from tfmp.tuner.strategies import register_strategy, strategy_names
from tfmp.tuner.training import Training
from tfmp.tuner.trial_space import BudgetRange
from tfmp.tuner.tuning_results import TuningResults
from tfmp.tuner.worker_pool import WorkerPool

__all__ = [
    "BudgetRange",
    "BudgetTuner",
    "DualPrecision",
    "DualPrecisionHyperModel",
    "MixedPrecisionHyperModel",
    "Training",
    "TuningResults",
    "WorkerPool",
    "new_oracle",
    "register_strategy",
    "strategy_names",
]
