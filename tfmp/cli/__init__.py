"""The command line: `tfmp inspect | search | tune | export | compare | simulate | report | demo`, one file each."""

import argparse
import os
import sys

from tfmp.cli import compare, demo, export, inspect, report, search, simulate, tune

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_COMMANDS = (inspect, search, tune, export, compare, simulate, report, demo)


def main(arguments=None) -> int:
    """Runs one command; returns the exit code. Errors of the user are one line on standard error."""
    parsed = _parser().parse_args(arguments)
    parsed.given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        parsed.run(parsed)
    except (OSError, TypeError, ValueError, ImportError) as error:
        text = str(error).replace("overwrite=True", "--overwrite")
        print(f"tfmp {parsed.command}: {text}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="tfmp", description="Mixed precision for Keras models.")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[-1]
        command = commands.add_parser(name, help=module.DESCRIPTION, description=module.DESCRIPTION)
        command.set_defaults(run=module.run)
        module.add_arguments(command)
    return parser
