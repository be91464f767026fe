"""`tfmp compress`."""

import argparse
import pathlib

from tfmp.cli.argument_types import bit_pair, byte_size, integer, number, seed
from tfmp.cli.compress_data import FORMS, load_labelled
from tfmp.cli.files import add_trust, load_model_file
from tfmp.cli.output import Results, add_json, command_line, messages, note
from tfmp.graph.targets import MICRO, TARGETS

NOT_MET = 3  # exit code
DESCRIPTION = (
    "Make a verified TFLite file that meets limits from a trained classifier, and a report, in one command. The exit "
    f"code is {NOT_MET} if a limit cannot be met; the files of the closest network are then written all the same."
)
EXAMPLE = "tfmp compress model.keras data.npz --flash 256k --max_accuracy_drop 0.01"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a trained classifier")
    command.add_argument("data", help=FORMS)
    command.add_argument("--output", help="folder of the results (default: MODEL-compressed in this folder)")
    command.add_argument("--flash", type=byte_size, metavar="BYTES", help="largest size of the file: 256k, 1.5M, 90000")
    command.add_argument(
        "--ram", type=byte_size, metavar="BYTES", help="largest memory of the interpreter; needs --target micro"
    )
    command.add_argument(
        "--bitops",
        type=bit_pair,
        metavar="W,A",
        help="at most the bit operations of these bits in every searched layer, for example 4,4 or W4A4",
    )
    drop = number(at_least=0, at_most=1)
    command.add_argument(
        "--max_accuracy_drop",
        type=drop,
        help="largest accuracy of the float model minus that of the file, for example 0.01; alone, the smallest such "
        "file is looked for",
    )
    command.add_argument("--target", choices=TARGETS, default="litert", help="the runtime (default: litert)")
    training = command.add_mutually_exclusive_group()
    training.add_argument(
        "--epochs", type=integer(at_least=0), default=10, help="epochs of a training, and of a search (default: 10)"
    )
    training.add_argument("--no_training", action="store_const", const=0, dest="epochs", help="the same as --epochs 0")
    command.add_argument("--batch_size", type=integer(at_least=1), default=64, help="samples in a step (default: 64)")
    command.add_argument(
        "--learning_rate", type=number(above=0), default=1e-3, help="that of Adam at the start (default: 0.001)"
    )
    command.add_argument("--seed", type=seed, default=0, help="seed of the order of the data (default: 0)")
    command.add_argument("--quiet", action="store_true", help="print nothing but the result")
    command.add_argument("--overwrite", action="store_true", help="replace the results of another run")
    add_trust(command)
    add_json(command)


def output_folder(arguments: argparse.Namespace) -> str:
    """Returns the folder of the results."""
    return arguments.output or f"{pathlib.Path(arguments.model).stem}-compressed"


def kept(arguments: argparse.Namespace) -> str | None:
    """Returns what an interrupted run has saved, and how to resume it."""
    work = pathlib.Path(output_folder(arguments)) / "work"
    if not work.is_dir():
        return None
    finished = ", ".join(sorted(path.parent.name for path in work.glob("*/result.json"))) or "none yet"
    return f"Finished networks are in {str(work)!r}: {finished}. Resume with: {command_line(arguments)}"


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp

    if arguments.flash is arguments.ram is arguments.bitops is arguments.max_accuracy_drop is None:
        raise ValueError("Expected a limit. Received: none. Give --flash, --ram, --bitops or --max_accuracy_drop.")
    if arguments.ram is not None and arguments.target != MICRO.name:
        raise ValueError(f"--ram is that of a microcontroller. Received: --target {arguments.target}. Use micro.")
    with messages():
        model = load_model_file(arguments.model, arguments.trust)
        report = tfmp.compress(
            model,
            load_labelled(arguments.data, model),
            output_folder(arguments),
            flash_bytes=arguments.flash,
            ram_bytes=arguments.ram,
            bitops_like=arguments.bitops,
            max_accuracy_drop=arguments.max_accuracy_drop,
            target=arguments.target,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            seed=arguments.seed,
            overwrite=arguments.overwrite,
            command=command_line(arguments, omitted="--overwrite"),
            verbose=int(not arguments.quiet),
        )
    arguments.exit_code = 0 if report.is_met else NOT_MET
    yield "report", report
    note(f"Wrote {pathlib.Path(output_folder(arguments)) / 'report.html'} and the files beside it")
