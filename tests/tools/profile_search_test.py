import pytest

from recipes.results_table import table
from tools.profile_search import group_of, own_times


def test_own_times_leave_out_the_events_within():
    events = [(0, 10, "outer"), (1, 4, "inner"), (2, 1, "innermost"), (6, 2, "inner"), (20, 5, "next")]
    found = sorted(own_times(events))
    assert found == [("inner", 2), ("inner", 3), ("innermost", 1), ("next", 5), ("outer", 4)]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("net/block1_depthwise_1/depthwise:_MklNativeDepthwiseConv2dNative", "convolutions and products"),
        ("end: multiply_add_fusion", "quantizers, compiled loops"),
        ("gradient_tape/net/block1_bn_1/moments/Tile:Tile", "normalization and its gradient"),
        ("net/block1_1/activation_selector_1/Maximum:Maximum", "quantizers, plain operations"),
        ("sgd_1/Mul_26:Mul", "optimizers"),
        ("gradient_tape/net/relu_1/ReluGrad:ReluGrad", "everything else"),
        ("KernelAndDeviceFunc::Run", None),
    ],
)
def test_events_belong_to_groups(name, group):
    assert group_of(name) == group


def test_the_table_has_a_row_for_each_group(tmp_path):
    folder = tmp_path / "benchmark_profile"
    folder.mkdir()
    (folder / "small.json").write_text(
        '{"variants": {"float": {"a": {"milliseconds": 1.0, "events": 3}, "b": {"milliseconds": 3.0, "events": 1}}}}'
    )
    assert table(folder).splitlines()[2:] == ["| small | a | 1.0 | 3 |", "| small | b | 3.0 | 1 |"]
