"""Lists the variables with separate training rules in a search: logits, steps and ranges."""

from collections.abc import Callable, Iterable
from typing import Any

from tfmp.annotations import KerasLayer


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
    """The beginning of the paths of the variables that quantize the input of a layer."""
    return f"{layer}/activation_selector/"


def _is_of_start(path, dtype):
    holder, _, name = path.rpartition("/")
    if holder.endswith("_selector"):
        return name == "logits"
    return not holder.endswith("selection_cost") and "int" not in getattr(dtype, "name", dtype)
