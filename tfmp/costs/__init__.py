"""Costs: tables of the cost of each layer at each pair of bit-widths."""

from tfmp.checks import check_instance
from tfmp.costs.activation_memory import ActivationMemory
from tfmp.costs.bitops import BitOps
from tfmp.costs.cost import Cost, CostLike, LayerSum, layer_cost, network_cost, tables
from tfmp.costs.flops import Flops
from tfmp.costs.function import Function
from tfmp.costs.micro_arena_bytes import MicroArenaBytes
from tfmp.costs.micro_bytes import MicroBytes
from tfmp.costs.model_size import ModelSize
from tfmp.costs.peak_activation_memory import PeakActivationMemory
from tfmp.costs.runtime_latency import RuntimeLatency
from tfmp.costs.simulated_cost import Energy, SimulatedLatency
from tfmp.costs.table import Table
from tfmp.costs.tflite_bytes import TFLiteBytes
from tfmp.registry import Registry

_REGISTRY = Registry(
    "cost", Cost, "a subclass of `tfmp.costs.Cost`, or a cost", hint="Or give the path of a .json or .csv table"
)
for _cost in (
    Flops,
    BitOps,
    ModelSize,
    ActivationMemory,
    PeakActivationMemory,
    TFLiteBytes,
    MicroBytes,
    MicroArenaBytes,
    Energy,
    SimulatedLatency,
    RuntimeLatency,
):
    _REGISTRY.register(_cost)

_FORMER_NAMES = {"latency": "simulated_latency"}  # of version 0.1.0, for its budgets

__all__ = [
    "ActivationMemory",
    "BitOps",
    "Cost",
    "CostLike",
    "Energy",
    "Flops",
    "Function",
    "LayerSum",
    "MicroArenaBytes",
    "MicroBytes",
    "ModelSize",
    "PeakActivationMemory",
    "RuntimeLatency",
    "SimulatedLatency",
    "TFLiteBytes",
    "Table",
    "get",
    "layer_cost",
    "names",
    "network_cost",
    "register",
    "tables",
]


def names() -> tuple[str, ...]:
    """Names that `get` knows."""
    return _REGISTRY.names()


def register(cost: type[Cost] | Cost) -> type[Cost] | Cost:
    """Registers a cost under its `name`, for budgets and commands; returns it.

    Args:
        cost: A cost, or a subclass of `Cost` whose constructor needs no arguments.

    Raises:
        TypeError: If it is neither.
        ValueError: If the name belongs to another cost.

    Example:
        >>> tfmp.costs.register(tfmp.costs.Function(lambda shape, w, a: shape.macs * max(w, a), name="serial", unit=""))
    """
    return _REGISTRY.register(cost)


def get(cost: CostLike) -> Cost:
    """Returns a cost.

    Args:
        cost: One of `names()`, the path of a `.json` or `.csv` file for `Table.from_file`, a `Cost`, or a subclass
            whose constructor needs no arguments.

    Raises:
        ValueError: If the name is unknown, the cost must be measured first, or the file is not a table.
        TypeError: If it is neither a name nor a `Cost`.
    """
    cost = _FORMER_NAMES.get(cost, cost) if isinstance(cost, str) else cost
    if isinstance(cost, str) and cost.endswith((".json", ".csv")):
        return Table.from_file(cost)
    if not _REGISTRY.is_entry(cost):
        check_instance("cost", cost, str, "the name of a cost or a `tfmp.costs.Cost`")
    registered = _REGISTRY.get(cost)
    return registered() if isinstance(registered, type) else registered
