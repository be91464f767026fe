import types

import pytest

from tfmp.bindings.logits_training import check_strategy
from tfmp.bindings.selection_variables import group_of


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("hidden/weight_selector/logits", "selection"),
        ("backbone/conv/activation_selector/logits:0", "selection"),
        ("hidden/weight_selector/step", "ranges"),
        ("hidden/activation_selector/step_4_bits:0", "ranges"),
        ("hidden/kernel", "weights"),
        ("logits/kernel:0", "weights"),
        ("logits", "weights"),
    ],
)
def test_groups(path, group):
    assert group_of(path) == group


def test_several_devices_are_an_error():
    strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ValueError, match="`net` on 2 replicas"):
        check_strategy(types.SimpleNamespace(name="net", distribute_strategy=strategy))
