"""`tfmp report`."""

import argparse

from tfmp.cli.files import add_trust, load_hardware, load_model_file

DESCRIPTION = "Print bits, BitOps, bytes and energy of a fixed model, layer by layer."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")
    add_trust(command)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    import tfmp

    print(
        tfmp.layer_table(load_model_file(arguments.model, arguments.trust), hardware=load_hardware(arguments.hardware))
    )
