"""Tutorials as notebooks: scripts of docs/tutorials whose cells begin with `# %%`."""

import pathlib

import jupytext
import nbformat

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs" / "tutorials"


def tutorial_names() -> list[str]:
    """Returns the names of the tutorials that are scripts."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def notebook(name: str) -> nbformat.NotebookNode:
    """Returns a tutorial as a notebook without outputs."""
    found = jupytext.read(FOLDER / f"{name}.py")
    found.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return found
