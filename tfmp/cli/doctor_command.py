"""`tfmp doctor`."""

import argparse

from tfmp.cli.output import Results, add_json, messages

DESCRIPTION = "Show versions, and try what tfmp needs: Keras, XLA, LiteRT, microcontrollers and the current folder."
EXAMPLE = "tfmp doctor --json"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command; the exit code is 1 if something that is needed fails."""
    from tfmp.cli.environment import examine

    with messages():
        environment = examine()
    yield "environment", environment
    if environment.failed:
        raise OSError(f"{', '.join(environment.failed)} failed. The lines above say what to do.")
