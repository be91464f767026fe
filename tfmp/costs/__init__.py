"""Costs: NumPy tables of what each layer pays for its bits."""

from tfmp.costs.bitops import BitOps
from tfmp.costs.cost import Cost, tables
from tfmp.costs.energy import Energy
from tfmp.costs.flops import Flops
from tfmp.costs.latency import Latency
from tfmp.costs.layer_sum import LayerSum, layer_cost
from tfmp.costs.model_size import ModelSize
from tfmp.costs.network_cost import network_cost
from tfmp.costs.runtime_latency import RuntimeLatency
from tfmp.costs.tflite_bytes import TFLiteBytes

_REGISTRY = {cost.name: cost for cost in (Flops, BitOps, ModelSize, TFLiteBytes, Energy, Latency, RuntimeLatency)}

__all__ = [
    "BitOps",
    "Cost",
    "Energy",
    "Flops",
    "Latency",
    "LayerSum",
    "ModelSize",
    "RuntimeLatency",
    "TFLiteBytes",
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
    """Returns a cost by name, or the cost itself if it is one.

    Args:
        cost: One of `names()`, or a `Cost`.

    Raises:
        ValueError: If the name is unknown, or that of a cost that needs to be measured first.
        TypeError: If it is neither a name nor a `Cost`.
    """
    if isinstance(cost, Cost):
        return cost
    if not isinstance(cost, str):
        raise TypeError(f"A cost must be a name or a `tfmp.costs.Cost`. Received: {cost!r}")
    if cost not in _REGISTRY:
        raise ValueError(f"A cost must be one of {', '.join(_REGISTRY)}. Received: {cost!r}")
    return _REGISTRY[cost]()
