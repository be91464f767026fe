"""`tfmp quantize`."""

import argparse

from tfmp.cli.argument_types import bit_list, integer
from tfmp.cli.files import add_trust, arranged, load_arrays, load_model_file

DESCRIPTION = "Quantize a model after training, for `tfmp export`."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a trained model")
    command.add_argument("data", help="an .npz file with x_train (for several inputs x_train/NAME each)")
    command.add_argument("output", help="the .keras file of the quantized model")
    command.add_argument(
        "--bits", type=bit_list, default=(8,), help="bits of weights and activations, N or W,A (default: 8)"
    )
    command.add_argument("--assignment", help="JSON file of a bit assignment; replaces --bits")
    samples = integer(at_least=1)
    command.add_argument("--samples", type=samples, default=256, help="number of inputs for calibration (default: 256)")
    command.add_argument("--overwrite", action="store_true")
    add_trust(command)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import tfmp
    from tfmp.bindings.saving.load_model import save_model
    from tfmp.data.structure import map_leaves
    from tfmp.files.atomic_file import check_writable
    from tfmp.graph import BitAssignment

    check_writable(arguments.output, arguments.overwrite)
    bits = arguments.bits if len(arguments.bits) > 1 else arguments.bits[0]
    if arguments.assignment:
        bits = BitAssignment.from_json(arguments.assignment)
    model = load_model_file(arguments.model, arguments.trust)
    inputs = arranged(load_arrays(arguments.data, "x_train")["x_train"], model, "x_train")
    inputs = map_leaves(lambda array: array[: arguments.samples], inputs)
    fixed = tfmp.quantize(model, bits, calibration=inputs, verbose=1)
    save_model(fixed, arguments.output)
    print(f"Wrote {arguments.output}")
