"""`tfmp export`."""

from tfmp.cli.argument_types import tolerance_bound
from tfmp.cli.files import add_trust, load_inputs, load_model_file, read_labels
from tfmp.lowering.weight_packing import MODES

DESCRIPTION = "Write a fixed model as a TFLite file."


def add_arguments(command):
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("output", help="the .tflite file")
    modes = (*MODES, "float")
    command.add_argument("--mode", choices=modes, default="fast", help="how weights are stored, see tfmp.export_tflite")
    command.add_argument("--labels", help="a text file with the name of one class a line")
    command.add_argument(
        "--verify",
        help="an .npz file with x_test or x_train (of several inputs x_test/NAME each), run through the file and its "
        "models",
    )
    command.add_argument("--reference", help="the .keras file in floating point that it comes from, compared, too")
    command.add_argument(
        "--tolerance",
        type=tolerance_bound,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the file must keep to be written, repeatable; see tfmp.Tolerance, for example trained_top1=0.95, "
        "or trained_db=none to ask nothing",
    )
    command.add_argument("--overwrite", action="store_true")
    add_trust(command)


def run(arguments):
    """Runs the command."""
    import tfmp

    labels = ()
    if arguments.labels:
        labels = read_labels(arguments.labels)
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
