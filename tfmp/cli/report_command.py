"""`tfmp report`."""

import argparse
import os
import pathlib

from tfmp.cli.files import add_trust, load_hardware, load_model_file
from tfmp.cli.output import Results, add_json, add_overlays, note
from tfmp.reports import write_overlays
from tfmp.reports.overlay import check_overlays

DESCRIPTION = (
    "Write the page of a run, report.html, from its folder; or print bits, BitOps, bytes and energy of a fixed model, "
    "layer by layer."
)
EXAMPLE = "tfmp report FOLDER"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument(
        "path", metavar="FOLDER_OR_MODEL", help="the folder of a run, or a .keras file of a fixed model"
    )
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")
    command.add_argument("--output", help="the page of a folder (default: report.html in it)")
    add_overlays(command)
    command.add_argument("--overwrite", action="store_true", help="replace an existing page, and overlays")
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp
    from tfmp.bindings.saving.model_file import is_saved_model
    from tfmp.compression.gathered_report import gathered_report, run_overlays
    from tfmp.files.atomic_file import check_writable

    hardware = load_hardware(arguments.hardware)
    if not os.path.isdir(arguments.path) or is_saved_model(arguments.path):
        for flag in ("output", "overlays"):
            if getattr(arguments, flag):
                raise ValueError(f"--{flag} is for the folder of a run. Omit it for a model.")
        yield "layers", tfmp.layer_table(load_model_file(arguments.path, arguments.trust), hardware=hardware)
        return
    page = arguments.output or pathlib.Path(arguments.path) / "report.html"
    check_writable(page, arguments.overwrite)
    if arguments.overlays:
        check_overlays(arguments.overlays, overwrite=arguments.overwrite)
    report = gathered_report(arguments.path, hardware=hardware, safe_mode=not arguments.trust)
    made = run_overlays(arguments.path, report) if arguments.overlays else ()
    report.to_html(page, overwrite=arguments.overwrite)
    if arguments.overlays:
        write_overlays(made, arguments.overlays, overwrite=arguments.overwrite)
        note(f"Wrote {', '.join(each.name for each in made)} to {arguments.overlays}")
    yield "report", report
    note(f"Wrote {page}")
