import dataclasses
import json

import pytest

from tests.search_spaces import SMALL, TINY
from tfmp.joint.block_spec import BlockCandidates, BlockSpec
from tfmp.joint.search_space import SearchSpace, Stage


def test_defaults_are_table_1():
    blocks = SearchSpace().blocks
    assert len(blocks) == 22
    # Input sizes of the rows, as printed, and of their last blocks.
    starts = {block.name: (block.input_size, block.in_channels, block.out_channels) for block in blocks}
    assert [starts[f"stage{row}_block1"] for row in range(1, 8)] == [
        (112, 32, 16),
        (56, 16, 24),
        (56, 24, 32),
        (28, 32, 64),
        (14, 64, 128),
        (14, 128, 160),
        (7, 160, 256),
    ]
    assert (blocks[-1].output_size, blocks[-1].out_channels) == (7, 256)
    free = [block.name for block in blocks if block.candidates.skip == (False, True)]
    assert len(free) == 15 and not any(name.endswith("block1") for name in free)


def test_number_of_networks():
    assert TINY.num_networks == (2 * 2 * 2 * 3 + 1) * (2 * 2 * 2 * 3)
    assert SearchSpace().num_networks == 145**15 * 144**7


@pytest.mark.parametrize("space", [SMALL, TINY, SearchSpace(), TINY.with_bits(8)], ids=["small", "tiny", "paper", "8"])
def test_json_gives_the_same_space(space, tmp_path):
    assert SearchSpace.from_json(space.to_json()) == space
    space.to_json(tmp_path / "space.json")
    assert SearchSpace.from_json(tmp_path / "space.json") == space
    assert hash(SearchSpace.from_dict(json.loads(space.to_json()))) == hash(space)


def test_narrower_spaces():
    choices = [BlockSpec(True), BlockSpec(False, 2, 5, 2, 8)]
    from tfmp.joint.discrete_network import DiscreteNetwork

    bits_only = TINY.with_architecture(DiscreteNetwork(TINY, choices))
    assert [block.candidates.skip for block in bits_only.blocks] == [(True,), (False,)]
    assert bits_only.blocks[1].candidates.expansion == (2,)
    assert bits_only.blocks[1].candidates.depthwise_bits == (2, 4, 8)
    assert bits_only.num_networks == 1 * 2 * 3
    at_8 = TINY.with_bits(8)
    assert at_8.num_networks == 5 * 4 and at_8.blocks[0].candidates.pointwise_bits == (8,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stages": []}, "at least one stage"),
        ({"stages": [(16, 0)]}, "Stage: `strides` must be a positive integer"),
        ({"stages": [(16, 1, 1, 1)]}, "Expected the arguments of `Stage`"),
        ({"image_size": 0}, "`image_size` must be a positive integer"),
        ({"stem": (32,)}, "`stem` must be"),
        ({"candidates": [BlockCandidates()]}, "one for each of 22 blocks. Received: 1"),
        ({"candidates": {"skip": (True,)}}, "Block `stage1_block1` cannot be skipped"),
        ({"candidates": {"kernel_size": (3, 4)}}, "`kernel_size` must be odd positive integers"),
        ({"candidates": {"pointwise_bits": (1, 2)}}, "`pointwise_bits` must be integers from 2 to 8"),
        ({"candidates": {"expansion": (6, 1)}}, "in increasing order"),
        ({"candidates": {"depth": (6, 1)}}, "Expected the arguments of `BlockCandidates`"),
    ],
)
def test_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(**arguments)
    with pytest.raises(ValueError, match="Expected the arguments of `SearchSpace`"):
        SearchSpace.from_dict({"width": 2})


def test_kernels_that_leave_pixels_out():
    kernels = BlockCandidates(kernel_size=(1, 3))
    with pytest.raises(ValueError, match=r"`stage1_block1` has strides of 2.*Received: \(1, 3\)"):
        SearchSpace([(8, 2, 2)], kernels, image_size=8)
    own = dataclasses.replace(kernels, kernel_size=(1,))
    assert SearchSpace([(8, 2, 2)], [own, kernels], image_size=8).blocks[1].candidates.kernel_size == (1, 3)


def test_stage_is_made_of_a_tuple():
    assert SearchSpace([(16, 1)], image_size=8).stages == (Stage(16, 1, 1),)
