"""`tfmp demo`."""

import argparse

from tfmp.cli.argument_types import seed

DESCRIPTION = "Search, train, export and simulate a network on scikit-learn's digits, in a few minutes."
EXAMPLE = "tfmp demo --output my_demo"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("--output", default="tfmp_demo", help="folder for the output files (default: tfmp_demo)")
    command.add_argument("--overwrite", action="store_true", help="replace the files of an earlier demo")
    command.add_argument("--seed", type=seed, default=0, help="of weights, order and noise (default: 0)")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from tfmp import demo

    demo.run(arguments.output, overwrite=arguments.overwrite, seed=arguments.seed)
