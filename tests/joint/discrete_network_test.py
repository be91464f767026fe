import pytest

from tests.search_spaces import SMALL, TINY
from tfmp.joint.block_spec import BlockSpec
from tfmp.joint.discrete_network import DiscreteNetwork

CHOICES = (BlockSpec(True), BlockSpec(False, 2, 5, 8, 4))


def test_layers_by_hand():
    network = DiscreteNetwork(TINY, CHOICES)
    rows = [(layer.name, layer.kernel_size[0], layer.in_channels, layer.out_channels) for layer in network.layers]
    assert rows == [
        ("stem", 3, 3, 4),
        ("stage2_block1_expand", 1, 4, 8),
        ("stage2_block1_depthwise", 5, 8, 8),
        ("stage2_block1_project", 1, 8, 6),
        ("last", 1, 6, 8),
        ("classifier", 1, 8, 3),
    ]
    assert [layer.output_size[0] for layer in network.layers] == [6, 6, 3, 3, 3, 1]
    assert [layer.input_size[0] for layer in network.layers] == [6, 6, 6, 3, 3, 1]
    assert network.layers[0].reads_network_input and network.layers[2].groups == 8
    pairs = {"stage2_block1_expand": 8, "stage2_block1_depthwise": 4, "stage2_block1_project": 8}
    assert network.searched_bits == {name: (bits, bits) for name, bits in pairs.items()}
    assert set(network.bits) == {layer.name for layer in network.layers}
    assert network.bits["stem"] == network.bits["last"] == network.bits["classifier"] == (8, 8)


def test_json_gives_the_same_network(tmp_path):
    network = DiscreteNetwork(TINY, CHOICES, {"seed": 3})
    network.to_json(tmp_path / "network.json")
    loaded = DiscreteNetwork.from_json(tmp_path / "network.json")
    assert loaded == network and hash(loaded) == hash(network)
    assert loaded.provenance == {"seed": 3}
    with pytest.raises(ValueError, match="as `DiscreteNetwork.to_json` writes it"):
        DiscreteNetwork.from_json('{"format": "other"}')


def test_what_a_skipped_block_would_have_been_does_not_matter():
    assert BlockSpec(True, 6, 3, 2, 2) == BlockSpec(True)
    assert str(BlockSpec(True)) == "skip" and str(CHOICES[1]) == "MB2 5x5 [8, 4]"


def test_uniform_bits_keep_the_architecture():
    uniform = DiscreteNetwork(TINY, CHOICES).with_bits(6)
    assert uniform.choices == (BlockSpec(True), BlockSpec(False, 2, 5, 6, 6))


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="a choice for each of 5 blocks. Received: 2"):
        DiscreteNetwork(SMALL, CHOICES)
    with pytest.raises(ValueError, match="Block `stage2_block1` cannot be skipped"):
        DiscreteNetwork(TINY, CHOICES[:1] * 2)
    with pytest.raises(ValueError, match="`pointwise_bits` must be a positive integer. Received: None"):
        BlockSpec(False, 6, 3)
