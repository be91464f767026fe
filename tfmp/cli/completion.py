"""Shell completion: `tfmp --completion bash`."""

import argparse
from collections.abc import Iterator
from typing import Any

SHELLS = ("bash", "zsh", "tcsh")


class Completion(argparse.Action):
    """Prints the completion script of a shell and ends the program.

    The script is static: completing a word does not start Python.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        try:
            import shtab
        except ImportError:
            parser.error("--completion needs the package shtab: pip install 'tfmp[completion]'")
        for action in _arguments(parser):
            if action.type is None and action.choices is None and action.nargs != 0:  # a text: mostly of a path
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # read by shtab
        print(shtab.complete(parser, values))
        parser.exit()


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Adds `--completion` to the parser of the program."""
    parser.add_argument(
        "--completion",
        action=Completion,
        choices=SHELLS,
        help="print a script that completes commands and options in this shell, and exit",
    )


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # argparse has no public list of a parser's arguments
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _arguments(command)
        else:
            yield action
