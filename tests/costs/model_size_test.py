from tests.small_graphs import CONV, DENSE, GROUPED, chain, layer, selection
from tfmp.costs import ModelSize, network_cost
from tfmp.graph import FLOAT, CodeFormat, Layer


def test_bits_of_the_kernel_whatever_the_input():
    weights, activations = [CodeFormat(1, -1, 1), CodeFormat(5, -16, 15), FLOAT], [CodeFormat(2, 0, 3), FLOAT]
    for shape, count in [(CONV, 3 * 3 * 4 * 8), (GROUPED, 3 * 2 * 2 * 12), (DENSE, 120)]:
        expected = [[count * w] * 2 for w in (1, 5, 32)]
        assert ModelSize().table(shape, weights, activations).tolist() == expected
    assert (ModelSize.name, ModelSize.unit) == ("model_size", "bits")


def test_overhead_is_32_bits_for_every_number_beside_the_kernels():
    graph = chain(
        layer(CONV, selection((2,)), num_extra_parameters=8),
        Layer("normalization", "batch_normalization", num_parameters=16),
        layer(DENSE, num_extra_parameters=10),
        order=["conv", "normalization", "conv", "dense"],
    )
    assert ModelSize().overhead(graph) == 32 * (8 + 16 + 10)
    assert ModelSize(kernels_only=True).overhead(graph) == 0


def test_kernels_alone_count_groups():
    graph = chain(layer(CONV, selection((1,))), layer(GROUPED, selection((3,))), layer(DENSE, num_extra_parameters=10))
    expected = 1 * 3 * 3 * 4 * 8 + 3 * 3 * 2 * 2 * 12 + 32 * 120
    assert network_cost(graph, ModelSize(kernels_only=True)) == expected
    assert network_cost(graph, ModelSize()) == expected + 32 * 10
