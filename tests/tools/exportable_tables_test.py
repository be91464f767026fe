import pytest

from tools import exportable_tables


@pytest.mark.slow
def test_the_page_is_up_to_date():
    text = exportable_tables.PAGE.read_text()
    assert exportable_tables.with_tables(text) == text, "run `python tools/exportable_tables.py`"
