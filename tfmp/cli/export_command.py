"""`tfmp export`."""

import argparse

from tfmp.cli.argument_types import tolerance_bound
from tfmp.cli.files import add_trust, load_inputs, load_model_file, read_labels
from tfmp.lowering.weight_packing import MODES

DESCRIPTION = "Write a fixed model as a TFLite file."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("output", help="the .tflite file")
    modes = (*MODES, "float")
    command.add_argument("--mode", choices=modes, default="fast", help="how weights are stored, see tfmp.export_tflite")
    command.add_argument("--labels", help="a text file with one class name per line")
    command.add_argument(
        "--verify",
        help="an .npz file with x_test or x_train (for several inputs x_test/NAME each); the TFLite file is compared "
        "with its models on these inputs",
    )
    command.add_argument("--reference", help="the .keras file of the float model, compared as well")
    command.add_argument(
        "--tolerance",
        type=tolerance_bound,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a limit that the file must meet to be written, repeatable, see tfmp.Tolerance; for example "
        "trained_top1=0.95, or trained_db=none for no limit",
    )
    command.add_argument("--overwrite", action="store_true")
    add_trust(command)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import tfmp

    labels = read_labels(arguments.labels) if arguments.labels else ()
    report = tfmp.export_tflite(
        load_model_file(arguments.model, arguments.trust),
        arguments.output,
        mode=arguments.mode,
        labels=labels,
        verify=load_inputs(arguments.verify) if arguments.verify else None,
        reference=load_model_file(arguments.reference, arguments.trust) if arguments.reference else None,
        tolerance=tfmp.Tolerance(**dict(arguments.tolerance)),
        overwrite=arguments.overwrite,
    )
    print(report)
