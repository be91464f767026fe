"""The pages are in the navigation, link to files that exist, and have short lines; `make docs` checks anchors too."""

import pathlib
import posixpath
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.py")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def prose(page):
    """The lines of a page with their numbers, without code, tables and what a program wrote."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        text = re.sub(r"^# ?", "", re.sub(r"^(?!#).*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith("    "):
            yield number, line


def test_every_page_is_in_the_navigation_once():
    navigation = re.findall(r"(?<=[\s])[\w/]+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = [name.removeprefix("docs/") for name in NAMES if name.startswith("docs/")]
    pages = [re.sub(r"\.py$", ".md", page) for page in pages]
    assert sorted(page for page in navigation if not page.startswith("repository/")) == sorted(pages)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_lines_are_short(page):
    folder, missing, long = page.parent.relative_to(ROOT).as_posix(), [], []
    for number, line in prose(page):
        for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", line):
            target = posixpath.normpath(posixpath.join(folder, link))
            made = posixpath.join("docs/reference/", ""), *(f"{name.removesuffix('.py')}.md" for name in NAMES)
            if not (ROOT / target).exists() and not target.startswith(made[0]) and target not in made:
                missing.append(f"{number}: {link}")
        if len(line) > 120 and not line.startswith(("|", "!")):
            long.append(f"{number}: {len(line)} characters")
    assert not missing and not long
    assert "No run has finished" not in page.read_text(encoding="utf-8"), "a table that says nothing"
