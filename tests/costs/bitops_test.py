from tests.small_graphs import CONV, DENSE, DEPTHWISE, GROUPED
from tfmp.costs import BitOps
from tfmp.graph import FLOAT, CodeFormat, LayerShape

WEIGHTS = [CodeFormat(1, -1, 1), CodeFormat(3, -4, 3), CodeFormat(3, -7, 7), FLOAT]
ACTIVATIONS = [CodeFormat(2, 0, 3), CodeFormat(8, 0, 255), FLOAT]


def test_bits_multiply_the_multiply_accumulates():
    for shape, macs in [(CONV, 8640), (GROUPED, 1296), (DEPTHWISE, 972), (DENSE, 120)]:
        expected = [[macs * w * a for a in (2, 8, 32)] for w in (1, 3, 3, 32)]
        assert BitOps().table(shape, WEIGHTS, ACTIVATIONS).tolist() == expected
    assert (BitOps.name, BitOps.unit) == ("bitops", "bit operations")


def test_large_layers_are_exact():
    shape = LayerShape("large", "conv2d", (7, 7), (1, 1), 2048, 2047, 1, (511, 509))
    assert int(BitOps().table(shape, [CodeFormat(8, -128, 127)], [CodeFormat(7, 0, 127)])[0, 0]) == (
        7 * 7 * 2048 * 2047 * 511 * 509 * 56
    )
