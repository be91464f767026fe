"""Renders a report as one HTML file."""

import functools
from typing import Any

import jinja2

from tfmp.reports.page.sections import sections
from tfmp.reports.run_report import RunReport


def html_page(report: RunReport) -> str:
    """Returns the page of a report: one file without any reference to others."""
    return _environment().get_template("report.html").render(report=report, sections=sections(report))


@functools.cache
def _environment() -> Any:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfmp.reports.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.4g}%"
    return environment
