import pytest

from tests.small_graphs import CONV, DENSE, DEPTHWISE, GROUPED
from tfmp.costs import Flops
from tfmp.graph import FLOAT, CodeFormat, LayerShape


@pytest.mark.parametrize(
    ("shape", "macs"),
    [
        (CONV, 3 * 3 * 4 * 8 * 5 * 6),
        (GROUPED, 3 * 2 * (8 // 4) * 12 * 3 * 3),
        (DEPTHWISE, 3 * 3 * 12 * 3 * 3),
        (DENSE, 12 * 10),
        (LayerShape("sequence", "dense", in_channels=6, out_channels=7, output_size=(1, 20)), 6 * 7 * 20),
        (LayerShape("signal", "conv1d", (1, 5), (1, 2), 6, 7, 1, (1, 20)), 5 * 6 * 7 * 20),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_multiply_accumulates_whatever_the_bits(shape, macs):
    table = Flops().table(shape, [CodeFormat(2, -2, 1), FLOAT], [CodeFormat(1, 0, 1), CodeFormat(8, 0, 255), FLOAT])
    assert table.tolist() == [[macs] * 3] * 2
    assert (Flops.name, Flops.unit) == ("flops", "multiply-accumulates")
