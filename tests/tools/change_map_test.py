"""The table of changes on the page on architecture."""

import pathlib

import pytest

from tools import change_map


@pytest.fixture(scope="module")
def found():
    return change_map.files_of_changes()


def test_the_page_is_up_to_date(found):
    page = change_map.PAGE.read_text(encoding="utf-8")
    assert change_map.table(found) in page, "run `python tools/change_map.py`"


def test_names_count_and_docstrings_comments_and_defaults_do_not():
    source = (
        '"""Of gone."""\nfrom a.part import b as c\n# gone\ndef f(x="gone", *, y="gone"):\n    return x.attr("text")\n'
    )
    words = change_map.words_of(source)
    assert {"part", "b", "c", "f", "x", "y", "attr", "text", "'text'"} <= words and "gone" not in words
    assert "'attr'" not in words


def test_every_kind_of_change_is_seen_somewhere(found, tmp_path):
    assert all(found.values())
    (tmp_path / "tfmp").mkdir()
    (tmp_path / "tfmp" / "own.py").write_text('QUANTIZERS = ["hwgq"]\n')
    (tmp_path / "tfmp" / "eyeriss.json").write_text("{}")
    touched = {change: files for change, files in change_map.files_of_changes(pathlib.Path(tmp_path)).items() if files}
    assert touched == {"quantizer": ["tfmp/own.py"], "hardware": ["tfmp/eyeriss.json"]}
