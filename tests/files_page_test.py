"""The tests that docs/files.md names exist."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_every_promise_names_tests_that_exist():
    sections = (ROOT / "docs" / "files.md").read_text(encoding="utf-8").split("\n## ")[1:]
    for section in sections:
        rows = re.findall(r"^- `(tests/\S+)`:((?:.|\n(?!\n|- ))+)", section, re.MULTILINE)
        assert rows, section
        for path, names in rows:
            source = (ROOT / path).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert name.startswith("test_")
                assert f"def {name}(" in source, (path, name)
