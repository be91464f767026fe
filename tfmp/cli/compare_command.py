"""`tfmp compare`."""

import argparse

from tfmp.cli.argument_types import tolerance_bound
from tfmp.cli.files import add_trust, load_inputs, load_model_file
from tfmp.cli.output import Results, add_json

DESCRIPTION = "Run a TFLite file and compare it with its models."
EXAMPLE = "tfmp compare fixed.keras model.tflite data.npz --reference model.keras --tolerance trained_top1=0.95"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("file", help="the .tflite file")
    command.add_argument("data", help="an .npz file with x_test or x_train; of several inputs x_test/NAME each")
    command.add_argument("--reference", help="the .keras file of the float model, compared as well")
    command.add_argument(
        "--tolerance",
        type=tolerance_bound,
        action="append",
        metavar="NAME=VALUE",
        help="a limit to check, repeatable, see tfmp.Tolerance; without it, results are only reported",
    )
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp

    reference = load_model_file(arguments.reference, arguments.trust) if arguments.reference else None
    yield (
        "comparison",
        tfmp.compare_tflite(
            load_model_file(arguments.model, arguments.trust),
            arguments.file,
            load_inputs(arguments.data),
            reference=reference,
            tolerance=tfmp.Tolerance(**dict(arguments.tolerance)) if arguments.tolerance else None,
        ),
    )
