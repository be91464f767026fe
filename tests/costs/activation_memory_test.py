import pytest

from tests.small_graphs import CONV, DENSE, GROUPED, chain, layer, selection
from tfmp import costs
from tfmp.graph import FLOAT, CodeFormat, LayerShape


def test_values_of_the_input_times_their_bits_whatever_the_kernel():
    activations = [CodeFormat(1, 0, 1), CodeFormat(5, 0, 31), FLOAT]
    for shape, count in [(CONV, 7 * 8 * 4), (GROUPED, 5 * 6 * 8), (DENSE, 12)]:
        table = costs.ActivationMemory().table(shape, [CodeFormat(2, -2, 1), FLOAT], activations)
        assert table.tolist() == [[count, 5 * count, 32 * count]] * 2
    assert (costs.ActivationMemory.name, costs.ActivationMemory.unit) == ("activation_memory", "bits")


def test_a_layer_reads_at_every_call():
    graph = chain(layer(CONV, selection((2,)), selection((3,), signed=False)), order=["conv", "conv"])
    assert costs.network_cost(graph, costs.ActivationMemory()) == 2 * 7 * 8 * 4 * 3


def test_a_size_that_is_not_known():
    shape = LayerShape("conv", "conv2d", (3, 3), output_size=(4, 4))
    with pytest.raises(ValueError, match="Layer `conv`: `input_size` is not known"):
        costs.ActivationMemory().table(shape, [FLOAT], [FLOAT])
