"""The command line `tfmp`: one file per command."""

import argparse
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence

import tfmp
from tfmp.cli import (
    compare_command,
    compress_command,
    demo_command,
    doctor_command,
    errors,
    export_command,
    inspect_command,
    quantize_command,
    report_command,
    search_command,
    simulate_command,
    tune_command,
)
from tfmp.cli.completion import add_completion
from tfmp.cli.output import write_results
from tfmp.cli.quiet_start import import_tensorflow_quietly

_MODULES = (
    compress_command,
    inspect_command,
    quantize_command,
    search_command,
    tune_command,
    export_command,
    compare_command,
    simulate_command,
    report_command,
    demo_command,
    doctor_command,
)
COMMANDS = tuple(module.__name__.rpartition(".")[-1].removesuffix("_command") for module in _MODULES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code.

    - 0: success.
    - 1: an error; one line on standard error gives the reason and what to do. A bug prints its traceback.
    - 2: a wrong argument; one line names it.
    - 3: a limit that `tfmp compress` was given is not met.
    - 130: interrupted by Ctrl-C; one line says what is saved and how to resume.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import_tensorflow_quietly()
    parsed = parser().parse_args(arguments)
    parsed.given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        results = parsed.run(parsed)
        if results is not None:
            write_results(results, as_json=getattr(parsed, "json", False))
        return parsed.exit_code
    except KeyboardInterrupt:
        kept = parsed.kept(parsed) or "Nothing is kept."
        print(f"\ntfmp {parsed.command}: interrupted. {kept}", file=sys.stderr)
        return 130
    except Exception as error:
        text = errors.one_line(error)
        if text is None:
            traceback.print_exc()
            text = f"a bug of tfmp {tfmp.__version__}. Report it with the lines above to where you have tfmp from."
        print(f"tfmp {parsed.command}: {text}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line, with a parser for each command."""
    main_parser = argparse.ArgumentParser(prog="tfmp", description="Mixed precision for Keras models.")
    main_parser.add_argument("--version", action="version", version=f"tfmp {tfmp.__version__}")
    add_completion(main_parser)
    commands = main_parser.add_subparsers(dest="command", required=True)
    width = shutil.get_terminal_size().columns - 2
    for name, module in zip(COMMANDS, _MODULES, strict=True):
        command = commands.add_parser(
            name,
            help=module.DESCRIPTION,
            description=textwrap.fill(module.DESCRIPTION, width),
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the example on its line
        )
        kept = getattr(module, "kept", lambda arguments: None)
        command.set_defaults(run=module.run, kept=kept, exit_code=0)  # `run` may set another code
        module.add_arguments(command)
    return main_parser
