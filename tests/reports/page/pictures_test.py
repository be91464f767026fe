import numpy as np
import pytest

from tfmp.reports import NetworkLayer
from tfmp.reports.page.network_picture import network_picture
from tfmp.reports.page.pictures import Axis, Curve, bar_picture, line_picture, short


@pytest.mark.parametrize("is_log", [False, True])
def test_an_axis_has_room_for_its_values_and_few_round_ticks(is_log):
    rng = np.random.default_rng(0)
    for scale in (1e-9, 1.0, 1e9):
        values = (scale * rng.lognormal(size=5)).tolist()
        axis = Axis.of(values, is_log=is_log)
        assert all(0 <= axis.share(value) <= 1 for value in values)
        ticks = axis.ticks(5)
        assert 1 <= len(ticks) <= 10 and all(0 <= tick.share <= 1 for tick in ticks)
        assert np.all(np.diff([tick.share for tick in ticks]) > 0)


def test_shares_are_linear_or_logarithmic():
    assert Axis(0, 10).share(2.5) == 0.25
    assert Axis(1, 100, True).share(10) == pytest.approx(0.5)
    assert [tick.text for tick in Axis(0, 10).ticks(5)] == ["0", "2", "4", "6", "8", "10"]
    assert [tick.text for tick in Axis(0.5, 200, True).ticks(5)] == ["1", "10", "100"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.05, "0.05"), (999, "999"), (9999, "10k"), (34000, "34k"), (1.25e6, "1.25M"), (3e9, "3G")],
)
def test_numbers_are_short(value, text):
    assert short(value) == text


def test_bars_are_shares_of_the_longest():
    picture = bar_picture("bytes", [("a", 5.0, "5"), ("b", 20.0, "20"), ("c", 0.0, "0")])
    assert [row.bar.share for row in picture.rows] == [0.25, 1.0, 0.0]
    assert picture.description == "3 bars; the longest is b with 20."


def test_a_logarithmic_picture_leaves_zero_out():
    picture = line_picture("harm", [Curve("a", [(1, 0.0), (2, 0.1), (3, 1.0)])], x_label="bits", is_log=True)
    assert [len(series.points) for series in picture.series] == [2]
    assert not picture.has_links


def layers(*inputs):
    return [NetworkLayer(name, "conv2d", tuple(reads)) for name, reads in inputs]


def test_lanes_of_connections_never_overlap():
    network = layers(("a", ""), ("b", "a"), ("c", "ba"), ("d", "ca"), ("e", "db"), ("f", "ea"))
    picture = network_picture("bits", network)
    assert {(each.start, each.end) for each in picture.connections} == {
        (0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (3, 4), (1, 4), (4, 5), (0, 5),
    }  # fmt: skip
    for one in picture.connections:
        assert (one.lane == 0) == (one.end == one.start + 1)
        for other in picture.connections:
            if one != other and one.lane == other.lane:
                assert one.end <= other.start or other.end <= one.start
    assert picture.num_lanes == 1 + max(each.lane for each in picture.connections)
