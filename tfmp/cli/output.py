"""What commands write: results to standard output, messages and progress to standard error."""

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import Any

Results = Iterator[tuple[str, Any]]  # what a command yields: names and reports, texts or numbers


def add_json(command: argparse.ArgumentParser) -> None:
    """Adds `--json` to a command that yields results."""
    command.add_argument("--json", action="store_true", help="print the results as one JSON object")


def add_overlays(command: argparse.ArgumentParser) -> None:
    """Adds `--overlays` to a command that knows a TFLite file."""
    command.add_argument(
        "--overlays",
        metavar="FOLDER",
        help="also write bits, bytes, harm and parity of the file's operators there, as JSON for Google's Model "
        "Explorer; what is not known is left out",
    )


def write_results(results: Iterable[tuple[str, Any]], as_json: bool) -> None:
    """Prints results as text, each as soon as it is there; or all of them as one JSON object.

    Args:
        results: Names and values. A report is printed as its table, another value after its name.
        as_json: True for JSON, in which a report is what its `to_json` writes, or else its fields.
    """
    if as_json:
        content = {}
        try:
            for name, value in results:
                content[name] = _content(value)
        finally:  # what was found before an error is shown, as in the text
            if content:
                print(json.dumps(content, indent=2))
        return
    for number, (name, value) in enumerate(results):
        is_report = dataclasses.is_dataclass(value) or hasattr(value, "to_json")
        if is_report and number:
            print()
        print(value if is_report else f"{name.replace('_', ' ')}: {value}", flush=True)


def command_line(arguments: argparse.Namespace, *added: str, omitted: str = "") -> str:
    """Returns the command as it was given, for a shell, with arguments added at its end or one omitted."""
    return shlex.join(["tfmp", *(each for each in arguments.given if each != omitted), *added])


def note(message: str) -> None:
    """Prints a message to standard error."""
    print(message, file=sys.stderr)


@contextlib.contextmanager
def messages() -> Iterator[None]:
    """Sends what libraries print in the block to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def progress() -> Iterator[None]:
    """Sends what libraries print in the block to standard error; nowhere if that is not a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        with messages():
            yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _content(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return json.loads(value.to_json())
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
