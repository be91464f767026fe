"""`tfmp inspect`."""

import argparse

from tfmp.cli.files import add_trust, load_model_file

DESCRIPTION = "List the layers of a model with their status and the possible exports, or the contents of a TFLite file."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file, or a .tflite file of tfmp")
    add_trust(command)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import tfmp

    is_file = arguments.model.endswith(".tflite")
    print(tfmp.inspect(arguments.model if is_file else load_model_file(arguments.model, arguments.trust)))
