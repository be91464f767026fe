"""Writes the front of a tuning and its page."""

import argparse
import importlib.util
import pathlib

from tfmp.cli.output import command_line
from tfmp.reports import ParetoFront, RunReport
from tfmp.reports.run_report import package_versions


def write_front(front: ParetoFront, folder: pathlib.Path, arguments: argparse.Namespace, *, group: str) -> None:
    """Writes `front.json`, `front.csv`, `report.html` and, with matplotlib, pictures to the folder of a tuning.

    Args:
        front: The completed trials.
        folder: The folder; its files are replaced.
        arguments: Those of the command, which the page shows.
        group: Name of the value by which the picture colors points.
    """
    front.to_json(folder / "front.json", overwrite=True)
    front.to_csv(folder / "front.csv", overwrite=True)
    command = command_line(arguments, omitted="--overwrite")
    report = RunReport(folder.name, command, versions=package_versions(), front=front)
    report.to_html(folder / "report.html", overwrite=True)
    if importlib.util.find_spec("matplotlib"):
        from tfmp import plots

        plots.save(plots.pareto_front(front, group=group), folder / "front")
