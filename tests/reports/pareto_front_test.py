import csv
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfmp.reports import ParetoFront

POINTS = [
    {"id": "a", "energy_nj": 4.0, "accuracy": 0.9, "bits": {"conv": [2, 2]}},
    {"id": "b", "energy_nj": 2.0, "accuracy": 0.8, "strategy": "mixed"},
    {"id": "c", "energy_nj": 3.0, "accuracy": 0.7, "strategy": "mixed"},
    {"id": "d", "energy_nj": 2.0, "accuracy": 0.8, "strategy": "uniform"},
]
FRONT = ParetoFront(POINTS, "energy_nj", "accuracy")
SMALL = st.integers(0, 6)  # few values, so that ties are frequent
DIRECTIONS = list(itertools.product(("min", "max"), repeat=2))


def make(pairs, directions=("min", "max")):
    points = [{"id": index, "x": x, "y": y} for index, (x, y) in enumerate(pairs)]
    return ParetoFront(points, "x", "y", *directions)


def beats(a, b, directions):
    signs = [1 if direction == "max" else -1 for direction in directions]
    gains = [sign * (p - q) for sign, p, q in zip(signs, a, b, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12), st.sampled_from(DIRECTIONS))
def test_front_is_what_no_other_point_beats(pairs, directions):
    expected = {i for i, p in enumerate(pairs) if not any(beats(q, p, directions) for q in pairs)}
    front = make(pairs, directions).front
    assert {point["id"] for point in front} == expected and len(front) == len(expected)
    sign = 1 if directions[0] == "min" else -1
    assert [sign * point["x"] for point in front] == sorted(sign * point["x"] for point in front)


@given(st.lists(st.tuples(SMALL, SMALL), max_size=12), st.sampled_from(DIRECTIONS), st.tuples(SMALL, SMALL))
def test_hypervolume_counts_the_cells_that_a_point_covers(pairs, directions, reference):
    corners = np.arange(-1, 8)  # beyond all values, so that each cell is covered or not as a whole
    area = 0
    for x, y in itertools.product(corners[:-1], repeat=2):
        cell = (x + 0.5, y + 0.5)
        area += any(beats(p, cell, directions) for p in pairs) and beats(cell, reference, directions)
    assert make(pairs, directions).hypervolume(reference) == pytest.approx(area)


def test_hypervolume_by_hand():
    assert FRONT.hypervolume((5.0, 0.5)) == pytest.approx(3 * 0.3 + 1 * 0.1)
    assert FRONT.worst == (4.0, 0.7)
    assert FRONT.hypervolume(FRONT.worst) == pytest.approx(2 * 0.1)
    assert make([]).hypervolume((1, 1)) == 0
    with pytest.raises(ValueError, match="`worst` needs at least one point"):
        make([]).worst  # noqa: B018


def test_where_keeps_the_quantities():
    assert [point["id"] for point in FRONT.where(strategy="mixed").points] == ["b", "c"]
    assert FRONT.where(strategy="mixed").x == "energy_nj"


def test_json_round_trip_by_text_and_by_file(tmp_path):
    assert ParetoFront.from_json(FRONT.to_json()) == FRONT
    FRONT.to_json(tmp_path / "front.json")
    assert ParetoFront.from_json(tmp_path / "front.json") == FRONT
    with pytest.raises(FileExistsError):
        FRONT.to_json(tmp_path / "front.json")


def test_csv_has_a_line_for_each_point(tmp_path):
    rows = list(csv.DictReader(io.StringIO(FRONT.to_csv(tmp_path / "front.csv"))))
    assert list(rows[0])[:3] == ["energy_nj", "accuracy", "on_front"] and "bits" not in rows[0]
    assert [(row["id"], row["on_front"]) for row in rows] == [("a", "1"), ("b", "1"), ("c", "0"), ("d", "1")]
    assert (tmp_path / "front.csv").read_text() == FRONT.to_csv()


def test_text_lists_the_front_alone():
    lines = str(FRONT).splitlines()
    assert lines[0] == "3 of 4 points are beaten by no other:" and lines[2].split() == ["2", "0.8000", "b"]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("points", "message"),
    [
        pytest.param([{"x": 1}], "must have `y`. Received: {'x': 1}", id="missing"),
        pytest.param([{"x": 1, "y": float("nan")}], "Every point: `y` must be a finite number", id="nan"),
        pytest.param([{"x": "1", "y": 1}], "Every point: `x` must be a finite number", id="text"),
    ],
)
def test_points_need_both_quantities(points, message):
    with pytest.raises(ValueError, match=message):
        ParetoFront(points, "x", "y")


def test_wrong_arguments_and_files(tmp_path):
    with pytest.raises(ValueError, match="`y_direction` must be one of 'min', 'max'. Received: 'up'"):
        ParetoFront([], "x", "y", y_direction="up")
    with pytest.raises(ValueError, match="two quantities"):
        ParetoFront([], "x", "x")
    for text, message in [
        ("{", "not JSON"),
        ("{}", "format"),
        (FRONT.to_json().replace('"version": 1', '"version": 2'), "upgrade"),
    ]:
        with pytest.raises(ValueError, match=message):
            ParetoFront.from_json(text)
