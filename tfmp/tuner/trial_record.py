"""The record of one trial, as JSON, and the metrics in it besides accuracy."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from tfmp import costs
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.costs import CostLike
from tfmp.files.atomic_file import write_atomically
from tfmp.files.run_identity import described, digest
from tfmp.search.budget import Budget
from tfmp.transform.edits.parts import with_parts

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


_RECORDED = ("bitops", "model_size", "tflite_bytes", "energy", "simulated_latency")
_FORMER_NAMES = {"simulated_latency": "latency"}  # of costs in records, since version 0.1.0
_SUFFIXES = {"nJ": "_nj", "cycles": "_cycles", "bits": "_bits", "us": "_us"}


def quantity_name(cost: CostLike) -> str:
    """Returns the name of a cost in records: name, unit, and the settings that differ from the defaults.

    `energy_nj`, `tflite_bytes`, `energy_nj:batch=1`
    """
    cost = costs.get(cost)
    return _recorded_name(cost) + _SUFFIXES.get(cost.unit, "") + _settings_text(cost)


def cost_text(cost: CostLike) -> str:
    """Returns the name of a cost in budgets: a given text, or its name and settings, `energy:batch=1`."""
    return _FORMER_NAMES.get(cost, cost) if isinstance(cost, str) else _recorded_name(cost) + _settings_text(cost)


def _recorded_name(cost: CostLike) -> str:
    cost = costs.get(cost)
    return _FORMER_NAMES.get(cost.name, cost.name)


def cost_digests(given: Iterable[CostLike]) -> dict[str, str]:
    """Returns a dict of `cost_text` to a digest of the cost, for all costs except the defaults of the library.

    Args:
        given: Costs, as budgets have them.

    Raises:
        ValueError: If different costs would be recorded under one name.
    """
    known = {quantity_name(name): _digest(costs.get(name)) for name in _RECORDED}
    digests = {}
    for cost in given:
        digest, name = _digest(costs.get(cost)), quantity_name(cost)
        if known.setdefault(name, digest) != digest:
            raise ValueError(
                f"Trials would record two different costs as {name!r}. Give one of them another `name`, or tune it in "
                "a separate project."
            )
        default = _default(costs.get(cost).name)
        if default is None or _digest(default) != digest:
            digests[cost_text(cost)] = digest
    return digests


def recorded_names(given: Iterable[CostLike]) -> tuple[str, ...]:
    """Returns the names of all costs that a trial records, if every cost can be priced.

    Args:
        given: The costs of the budgets.
    """
    return tuple(dict.fromkeys(map(quantity_name, [*_RECORDED, *given])))


def measured_costs(model: KerasModel, budget: Budget) -> dict[str, float]:
    """Computes all costs of a network, by `quantity_name`; costs that cannot be priced are omitted.

    Args:
        model: The network at fixed bits.
        budget: A `tfmp.Budget`, whose cost is included.
    """
    graph, measured = with_parts(framework_of(model).read(model, weights=False)), {}
    for cost in map(costs.get, [*_RECORDED, budget.cost]):
        try:
            measured[quantity_name(cost)] = float(costs.network_cost(graph, cost))
        except ValueError:  # energy and cycles of a layer in floating point
            continue
    return measured


def _default(name):
    """Returns the library's cost of a name; None for other names, and for costs that must be measured first."""
    try:
        return costs.get(name) if name in costs.names() else None
    except ValueError:
        return None


def _settings_text(cost):
    default = _default(cost.name)
    if default is None:
        return ""
    if type(cost) is not type(default):
        return f":{type(cost).__qualname__}"
    texts = [
        f"{name}={_short(value)}"
        for name, value in vars(cost).items()
        if described(value) != described(getattr(default, name, None))
    ]
    return f":{','.join(texts)}" if texts else ""


def _short(value):
    """Returns a setting as text; a setting with many parts as its name and a digest."""
    if hasattr(value, "name"):
        return f"{value.name}-{digest(value)}"
    return value if isinstance(value, str) else json.dumps(described(value), separators=(",", ":"))


def _digest(cost):
    settings = described(cost) if dataclasses.is_dataclass(cost) else vars(cost)
    return digest({"class": type(cost), "name": _recorded_name(cost), "unit": cost.unit, **settings})
