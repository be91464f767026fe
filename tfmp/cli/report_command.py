"""`tfmp report`."""

import argparse

from tfmp.cli.files import add_trust, load_hardware, load_model_file
from tfmp.cli.output import Results, add_json

DESCRIPTION = "Print bits, BitOps, bytes and energy of a fixed model, layer by layer."
EXAMPLE = "tfmp report fixed.keras"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp

    hardware = load_hardware(arguments.hardware)
    yield "layers", tfmp.layer_table(load_model_file(arguments.model, arguments.trust), hardware=hardware)
