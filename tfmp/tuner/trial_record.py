"""The record of one trial, as JSON."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from tfmp.files.atomic_file import write_atomically

COMPLETED, FAILED = "completed", "failed"


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """Settings and result of a finished trial, a JSON file beside its model.

    Args:
        trial_id: Id of the trial.
        status: `"completed"` or `"failed"`.
        values: Its hyperparameters, as the oracle chose them.
        strategy: Name of its strategy.
        budget: Name of its budget, `"bitops like 2,2"`.
        limit: Limit of the searched layers' total cost, in the unit of the budget's cost.
        structure: Text that is equal for trials that can start from each other's search.
        metrics: Measured values: `val_<metric>`, and costs by name and unit.
        bits: Layer name to `(weight_bits, activation_bits)`.
        reason: Reason of the failure.
        seconds: Duration of the trial.
        worker: Id of the tuner that ran it.
    """

    trial_id: str
    status: str
    values: Mapping[str, Any]
    strategy: str = ""
    budget: str = ""
    limit: float = 0.0
    structure: str = ""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    bits: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    worker: str = ""

    @property
    def is_completed(self) -> bool:
        """Whether the trial has a model."""
        return self.status == COMPLETED

    def as_point(self) -> dict[str, Any]:
        """Returns the trial as a point of a Pareto front."""
        bits = {name: list(pair) for name, pair in self.bits.items()}
        fields = {"strategy": self.strategy, "budget": self.budget, "seconds": self.seconds, "bits": bits}
        return {"id": self.trial_id, **self.values, **fields, **self.metrics}

    def write(self, path: str | os.PathLike) -> None:
        """Writes the record atomically."""
        write_atomically(path, json.dumps(dataclasses.asdict(self), indent=1) + "\n", overwrite=True)

    @classmethod
    def read(cls, path: str | os.PathLike) -> "TrialRecord":
        """Reads a record."""
        with open(path, encoding="utf-8") as file:
            return cls(**json.load(file))
