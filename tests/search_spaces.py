"""Search spaces small enough for tests."""

from tfmp.joint.block_spec import BlockCandidates
from tfmp.joint.search_space import SearchSpace, Stage

# 8 channels after the stem, so that the first block may be skipped; odd sizes meet steps of 2.
SMALL = SearchSpace([Stage(8, 1, 2), Stage(12, 2, 3)], image_size=11, num_classes=5, stem=(8, 1), last_channels=16)
# Every network of it can be counted: one block that may be skipped, one that may not.
TINY = SearchSpace(
    [Stage(4, 1, 1), Stage(6, 2, 1)],
    BlockCandidates(expansion=(1, 2), kernel_size=(3, 5), pointwise_bits=(2, 8), depthwise_bits=(2, 4, 8)),
    image_size=6,
    num_classes=3,
    stem=(4, 1),
    last_channels=8,
)
# One block that may be skipped: what is traced quickly.
ONE = SearchSpace(
    [Stage(4)],
    BlockCandidates(expansion=(1, 2), kernel_size=(3, 5), pointwise_bits=(2, 8), depthwise_bits=(2, 8)),
    image_size=6,
    num_classes=3,
    stem=(4, 1),
    last_channels=8,
)
