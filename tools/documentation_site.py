"""Adds pages to the site that MkDocs builds: hooks of mkdocs.yml, run by `make docs`.

- A reference page for each public module, from its docstrings; and one for the commands, from their parser.
- A page and a notebook for each tutorial that is a script (docs/tutorials/*.py, cells after `# %%`).
- Files outside of docs/ that pages link to.
"""

import contextlib
import io
import pathlib
import posixpath
import re
import types

import jupytext
from mkdocs.structure.files import File

import tfmp
from tfmp import cli
from tools.public_objects import public_names
from tools.tutorial_notebooks import notebook, tutorial_names

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Files beside docs/ to their places in the site.
OUTSIDE = {
    "README.md": "repository/readme.md",
    "CHANGELOG.md": "repository/changelog.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "LICENSE": "repository/LICENSE",
}
_LINK = re.compile(r"(\]\()([^()#\s:]+)((?:#[^()\s]*)?\))")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_config(config):
    """Puts the reference pages into the navigation."""
    for entry in config.nav:
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"] = list(reference_pages())
    return config


def on_files(files, config):
    """Adds the pages that are made."""
    made = reference_pages() | tutorials() | _outside()
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites links between files of the repository to links between pages."""
    return relinked(markdown, page.file.src_uri)


def relinked(text, place):
    """Returns a page with its links to files of the repository as links to pages of the site.

    Args:
        text: Markdown.
        place: Where the page is in the site.
    """
    inside = {path: source for source, path in OUTSIDE.items()}
    source = inside.get(place, f"docs/{place}")

    def relink(match):
        before, link, after = match.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if target in OUTSIDE:
            link = posixpath.relpath(OUTSIDE[target], posixpath.dirname(place) or ".")
        elif source in OUTSIDE and target.startswith("docs/"):
            link = posixpath.relpath(target.removeprefix("docs/"), posixpath.dirname(place))
        return f"{before}{link}{after}"

    parts = _FENCE.split(text)  # every second one is code
    return "".join(part if index % 2 else _LINK.sub(relink, part) for index, part in enumerate(parts))


def _outside():
    return {path: (ROOT / source).read_text(encoding="utf-8") for source, path in OUTSIDE.items()}


def tutorials():
    """Returns the pages and the notebooks of the tutorials that are scripts."""
    made = {}
    for name in tutorial_names():
        found = notebook(name)
        place = f"tutorials/{name}"
        made[f"{place}.ipynb"] = jupytext.writes(found, fmt="ipynb")
        cells = [cell.source if cell.cell_type == "markdown" else _code(cell.source, "python") for cell in found.cells]
        title, _, text = "\n\n".join(cells).partition("\n")
        links = f"[As a notebook]({name}.ipynb){{download}} · [as a script]({name}.py){{download}}"
        made[f"{place}.md"] = f"{title}\n\n{links}\n{text}\n"
    return made


def reference_pages():
    """Returns the pages of the reference by their places."""
    modules = public_names()
    pages = {f"reference/{module}.md": _module_page(module, names) for module, names in modules.items()}
    lines = [f"| [`{module}`]({module}.md) | {_first_line(_object(module))} |" for module in modules]
    start = "# Reference\n\nEvery public name, from its docstring.\n\n| Module | What it holds |\n|---|---|\n"
    commands = "[The commands](commands.md) are those of `tfmp`.\n"
    overview = start + "\n".join(lines) + "\n\n" + commands
    return {"reference/index.md": overview, "reference/commands.md": _commands_page(), **pages}


def _module_page(module, names):
    value = _object(module)
    text = [f"# {module}", _first_line(value)]
    names = sorted(names, key=lambda name: (name[0].islower(), name))
    rows = [f"| [`{name}`](#{module}.{name}) | {_first_line(getattr(value, name))} |" for name in names]
    text.append("\n".join(["| Name | What it does |", "|---|---|", *rows]))
    text += [f"::: {module}.{name}" for name in names]
    return "\n\n".join(text) + "\n"


def _object(module):
    return tfmp if module == "tfmp" else getattr(tfmp, module.removeprefix("tfmp."))


def _first_line(value):
    is_described = callable(value) or isinstance(value, types.ModuleType)
    text = (value.__doc__ or "") if is_described else ""
    return text.strip().split("\n")[0].replace("|", "\\|")


def _commands_page():
    text = ["# Commands", "What the help of each command prints.", _code(_help())]
    for name in cli.COMMANDS:
        text += [f"## tfmp {name}", _code(_help(name))]
    return "\n\n".join(text) + "\n"


def _help(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        cli.main([*arguments, "--help"])
    return text.getvalue()


def _code(text, language=""):
    return f"```{language}\n{text.strip()}\n```"
