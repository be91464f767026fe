"""Costs: tables of what each layer pays for each pair of bit-widths."""

from tfmp.checks import check_choice, check_instance
from tfmp.costs.activation_memory import ActivationMemory
from tfmp.costs.bitops import BitOps
from tfmp.costs.cost import Cost, tables
from tfmp.costs.energy import Energy
from tfmp.costs.flops import Flops
from tfmp.costs.function import Function
from tfmp.costs.latency import Latency
from tfmp.costs.layer_sum import LayerSum, layer_cost
from tfmp.costs.model_size import ModelSize
from tfmp.costs.network_cost import network_cost
from tfmp.costs.peak_activation_memory import PeakActivationMemory
from tfmp.costs.runtime_latency import RuntimeLatency
from tfmp.costs.table import Table
from tfmp.costs.tflite_bytes import TFLiteBytes

_REGISTRY = {
    cost.name: cost
    for cost in (
        Flops,
        BitOps,
        ModelSize,
        ActivationMemory,
        PeakActivationMemory,
        TFLiteBytes,
        Energy,
        Latency,
        RuntimeLatency,
    )
}

__all__ = [
    "ActivationMemory",
    "BitOps",
    "Cost",
    "Energy",
    "Flops",
    "Function",
    "Latency",
    "LayerSum",
    "ModelSize",
    "PeakActivationMemory",
    "RuntimeLatency",
    "TFLiteBytes",
    "Table",
    "get",
    "layer_cost",
    "names",
    "network_cost",
    "tables",
]


def names() -> tuple[str, ...]:
    """Names that `get` knows."""
    return tuple(_REGISTRY)


def get(cost) -> Cost:
    """Returns a cost by name or from a file, or the cost itself if it is one.

    Args:
        cost: One of `names()`, the path of a `.json` or `.csv` file for `Table.from_file`, or a `Cost`.

    Raises:
        ValueError: If the name is unknown, or that of a cost that needs to be measured first, or the file is no table.
        TypeError: If it is neither a name nor a `Cost`.
    """
    if isinstance(cost, Cost):
        return cost
    check_instance("cost", cost, str, "the name of a cost or a `tfmp.costs.Cost`")
    if cost.endswith((".json", ".csv")):
        return Table.from_file(cost)
    return _REGISTRY[check_choice("cost", cost, _REGISTRY, hint="Or give the path of a .json or .csv table")]()
