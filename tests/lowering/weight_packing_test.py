import pytest

from tests.small_graphs import CONV, DENSE, DEPTHWISE, GROUPED
from tfmp.graph import LayerShape
from tfmp.lowering.weight_packing import MODES, WeightStorage, check_mode, weight_storage
from tfmp.operators.writing.gathered_windows import filled_channels

LARGE = LayerShape("large", "conv2d", (3, 3), (1, 1), 64, 64, 1, (8, 8))


@pytest.mark.parametrize("low_high", [(-1, 1), (-2, 1), (-8, 7), (-127, 127)])
@pytest.mark.parametrize("shape", [CONV, GROUPED, DEPTHWISE, DENSE, LARGE], ids=lambda shape: shape.name)
def test_fast_takes_a_byte_for_every_weight(shape, low_high):
    storage = weight_storage(shape, *low_high)
    assert (storage.container_bits, storage.kernel_bytes, storage.helper_bytes) == (8, shape.num_weights, 0)


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(-1, 1, 2), (-2, 1, 2), (-1, 2, 4), (-3, 3, 4), (-8, 7, 4), (-7, 8, 8), (-15, 15, 8), (-127, 127, 8)],
)
def test_small_takes_the_narrowest_container_that_holds_the_codes(low, high, bits):
    storage = weight_storage(LARGE, low, high, mode="small")
    assert storage.container_bits == bits
    assert storage.kernel_bytes == 64 * 64 * 9 * bits // 8


@pytest.mark.parametrize("shape", [GROUPED, DEPTHWISE], ids=lambda shape: shape.name)
def test_small_packs_no_kernel_without_an_exact_packed_operator(shape):
    assert weight_storage(shape, -1, 1, mode="small").container_bits == 8


WINDOWS = [((1, 1), (1, 1)), ((3, 3), (1, 1)), ((1, 1), (2, 2)), ((5, 3), (2, 1)), ((1, 9), (1, 1))]


@pytest.mark.parametrize(("kernel", "strides"), WINDOWS)
def test_small_packs_only_what_becomes_smaller_by_it(kernel, strides):
    for channels in range(1, 200, 7):
        shape = LayerShape("conv", "conv2d", kernel, strides, channels, 2 * channels, 1, (8, 8))
        sizes = [weight_storage(shape, -1, 1, mode=mode).size_bytes for mode in MODES]
        assert sizes[1] <= sizes[0] < shape.num_weights + 32


def test_a_matrix_without_a_window_costs_no_helpers():
    even = LayerShape("even", "dense", in_channels=12, out_channels=5)
    assert weight_storage(even, -2, 1, mode="small") == WeightStorage(2, 12 * 5 // 4)
    odd = LayerShape("odd", "dense", in_channels=1001, out_channels=500)
    storage = weight_storage(odd, -8, 7, mode="small")
    assert storage.kernel_bytes == 1002 * 500 // 2 and 0 < storage.helper_bytes < 400


def test_sums_that_may_overflow_are_not_packed():
    found = {
        in_channels: [
            weight_storage(LayerShape("d", "dense", in_channels=in_channels, out_channels=9), -size, 1, mode="small")
            for size in (8, 2)
        ]
        for in_channels in (25088, 40000, 200000)
    }
    assert [[each.container_bits for each in pair] for pair in found.values()] == [[4, 2], [8, 2], [8, 8]]


@pytest.mark.parametrize("bits", [4, 2])
def test_rows_fill_whole_bytes_with_the_fewest_channels(bits):
    for taps in range(1, 26):
        for channels in range(1, 20):
            found = filled_channels(channels, taps, bits)
            fitting = [more for more in range(channels, channels + 9) if taps * more * bits % 8 == 0]
            assert found == fitting[0]


def test_unknown_mode():
    with pytest.raises(ValueError, match="`mode` must be one of 'fast', 'small'. Received: 'tiny'"):
        weight_storage(CONV, -1, 1, mode="tiny")
    for mode in MODES:
        check_mode(mode)
