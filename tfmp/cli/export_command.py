"""`tfmp export`."""

import argparse

from tfmp.cli.argument_types import tolerance_bound
from tfmp.cli.files import add_overwrite, add_trust, load_inputs, load_model_file, read_labels
from tfmp.cli.output import Results, add_json, add_overlays
from tfmp.graph.targets import MICRO, TARGETS
from tfmp.lowering.weight_packing import MODES
from tfmp.reports import overlays, write_overlays
from tfmp.reports.overlay import check_overlays

DESCRIPTION = "Write a fixed model as a TFLite file."
EXAMPLE = "tfmp export fixed.keras model.tflite --mode small --verify data.npz --reference model.keras"

_MODE_HELP = (
    "how weights are stored: fast, in 8 bits; small, packed to 4 and 2 bits; float, packed with arithmetic in floating "
    "point (default: fast; for micro small)"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("output", help="the .tflite file")
    command.add_argument("--target", choices=TARGETS, default="litert", help="the runtime (default: litert)")
    modes = (*MODES, "float")
    command.add_argument("--mode", choices=modes, help=_MODE_HELP)
    command.add_argument(
        "--c_array",
        action="store_true",
        help="also write the file as C++ sources for a microcontroller beside it; needs --target micro",
    )
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
    add_overlays(command)
    add_overwrite(command)
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp

    if arguments.c_array:
        if arguments.target != MICRO.name:
            raise ValueError(f"--c_array is for microcontrollers. Received: --target {arguments.target}. Use micro.")
        from tfmp.tflite.c_array import c_array_paths, write_c_array

        c_array_paths(arguments.output, arguments.overwrite)
    if arguments.overlays:
        check_overlays(arguments.overlays, overwrite=arguments.overwrite)
    labels = read_labels(arguments.labels) if arguments.labels else ()
    report = tfmp.export_tflite(
        load_model_file(arguments.model, arguments.trust),
        arguments.output,
        target=arguments.target,
        mode=arguments.mode,
        labels=labels,
        verify=load_inputs(arguments.verify) if arguments.verify else None,
        reference=load_model_file(arguments.reference, arguments.trust) if arguments.reference else None,
        tolerance=tfmp.Tolerance(**dict(arguments.tolerance)),
        overwrite=arguments.overwrite,
    )
    yield "export", report
    if arguments.overlays:
        made = overlays(report.file, operators=report.operators)
        yield "overlays", list(map(str, write_overlays(made, arguments.overlays, overwrite=arguments.overwrite)))
    if arguments.c_array:
        source, header = write_c_array(arguments.output, overwrite=arguments.overwrite)
        yield "source", source
        yield "header", header
