"""Measures the sensitivities of a model for a command."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from tfmp.annotations import KerasModel
from tfmp.cli.argument_types import bit_list, integer
from tfmp.cli.files import arranged
from tfmp.cli.output import progress
from tfmp.data.array_files import load_arrays

if TYPE_CHECKING:  # which is slow to import
    from tfmp import Sensitivity


def add_measurement(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of a measurement of sensitivities to the parser of a command."""
    command.add_argument("--sensitivity", help="JSON file of the scores: read if it exists, otherwise written")
    for tensor in ("weight", "activation"):
        command.add_argument(
            f"--{tensor}_bits",
            type=bit_list,
            default=(2, 3, 4, 5, 6, 8),
            help=f"candidates for {tensor}s (default: 2,3,4,5,6,8)",
        )
    command.add_argument(
        "--scores",
        choices=("output", "gradient"),
        default="output",
        help="how sensitivities are measured: each candidate alone, or by gradients (default: output)",
    )
    command.add_argument(
        "--divergence",
        choices=("kl", "squared_error"),
        help="error of the output; kl for classes (default: kl if the output is a softmax, else squared_error)",
    )
    samples = integer(at_least=1)
    command.add_argument("--samples", type=samples, default=256, help="number of inputs that are used (default: 256)")


def relaxed_with_inputs(
    arguments: argparse.Namespace, model: KerasModel, *, integer_only: bool = False
) -> tuple[KerasModel, Any]:
    """Returns a float model relaxed with the candidates of the command, or a relaxed model itself; and the inputs."""
    import tfmp
    from tfmp.bindings.framework import framework_of
    from tfmp.transform.dry_run import check_integer_only

    inputs = first_inputs(arguments, model)
    graph = framework_of(model).read(model, weights=False)
    if graph.searched:
        if integer_only:
            check_integer_only(graph)
        return model, inputs
    bits = {"weight_bits": arguments.weight_bits, "activation_bits": arguments.activation_bits}
    return tfmp.relax(model, calibration=inputs, integer_only=integer_only, **bits), inputs


def measured(arguments: argparse.Namespace, search_model: KerasModel, inputs: Any) -> "Sensitivity":
    """Returns the scores of a relaxed model: read from `--sensitivity` if this file exists, otherwise measured."""
    import tfmp

    path = arguments.sensitivity
    if path and os.path.exists(path):
        return tfmp.Sensitivity.load(path, search_model)
    backup = f"{path}.backup" if path and arguments.scores == "output" else None
    options = {"method": arguments.scores, "divergence": arguments.divergence, "backup": backup}
    with progress():
        sensitivity = tfmp.measure_sensitivity(search_model, inputs, verbose=1, **options)
    if path:
        sensitivity.save(path)
    return sensitivity


def first_inputs(arguments: argparse.Namespace, model: KerasModel) -> Any:
    """Returns the first inputs in the file of `data`, as many as `samples`."""
    from tfmp.data.structure import map_leaves

    inputs = arranged(load_arrays(arguments.data, "x_train")["x_train"], model, "x_train")
    return map_leaves(lambda array: array[: arguments.samples], inputs)
