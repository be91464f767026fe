"""Renders a report as one HTML file."""

import functools
import re
from typing import Any

import jinja2
from markupsafe import Markup, escape  # Jinja's own dependency

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
    environment.filters["prose"] = _prose
    return environment


def _prose(text: str) -> Markup:
    """Returns a text as HTML, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
