"""Lists the variables that a search trains by rules of their own: logits, steps and ranges."""


def group_of(path) -> str:
    """Returns `"selection"` for the logits of a choice, `"ranges"` for what a quantizer learns, else `"weights"`.

    Args:
        path: Name of a trainable variable behind the names of the layers that hold it.
    """
    holder, _, name = path.split(":")[0].rpartition("/")
    if not holder.endswith("_selector"):
        return "weights"
    return "selection" if name == "logits" else "ranges"


def logits_of(variables, path_of):
    """Returns the logits among trainable variables; a function gives their paths."""
    return [variable for variable in variables if group_of(path_of(variable)) == "selection"]


def kept_weights(variables, path_of):
    """Returns those that a training pass may write and that a step of the logits alone shall leave as they are.

    They are the statistics and the ranges, which a first batch may set; which noise was drawn last goes on.
    """
    return [
        variable
        for variable in variables
        if (group_of(path_of(variable)) == "ranges" or not variable.trainable)
        and path_of(variable).split(":")[0].rpartition("/")[2] != "sampling_step"
    ]


def start_variables(variables, path_of):
    """Returns those that say what a search starts from: weights, statistics and logits.

    Left out are ranges, which a calibration may find otherwise by a rounding, prices and random states.
    """
    return [variable for variable in variables if _is_of_start(path_of(variable).split(":")[0], variable.dtype)]


def input_quantizer_path(layer) -> str:
    """The beginning of the paths of the variables that quantize the input of a layer."""
    return f"{layer}/activation_selector/"


def _is_of_start(path, dtype):
    holder, _, name = path.rpartition("/")
    if holder.endswith("_selector"):
        return name == "logits"
    return not holder.endswith("selection_cost") and "int" not in getattr(dtype, "name", dtype)
