import dataclasses
import pathlib

from tests.small_graphs import CONV, DENSE
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tools.microcontroller_latency import rows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_encodings_are_compared_with_int8_of_the_same_layers():
    wide = dataclasses.replace(CONV, kernel_size=(1, 1))
    table = RuntimeTable(
        rows=(
            RuntimeRow(CONV, 8, 10.0),
            RuntimeRow(CONV, 8, 15.0, index_bits=3),
            RuntimeRow(wide, 8, 30.0),
            RuntimeRow(wide, 8, 33.0, index_bits=3),
            RuntimeRow(wide, 4, 36.0),
            RuntimeRow(DENSE, 8, 2.0, index_bits=3),  # never measured as INT8
        )
    )
    assert rows(table) == [
        "| `conv2d` | 3-bit indices | 2 | 1.20 | 1.10 to 1.50 |",
        "| `conv2d` | INT4 | 1 | 1.20 | 1.20 to 1.20 |",
    ]


def test_the_page_shows_what_was_measured():
    table = RuntimeTable.from_json(ROOT / "recipes" / "results" / "microcontroller_latency.json")
    page = (ROOT / "docs" / "microcontrollers.md").read_text(encoding="utf-8")
    assert "\n".join(rows(table)) in page
