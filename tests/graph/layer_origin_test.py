"""The framework's description of a layer."""

import collections

from tfmp import quantizers
from tfmp.graph import UNQUANTIZED, Candidates, Layer, LayerOrigin


def test_arguments_are_replaced_and_added():
    origin = LayerOrigin(collections.OrderedDict, {"name": "conv", "filters": 3}, part_of="other")
    changed = origin.replace_config(filters=4, strides=2)
    assert changed.config == {"name": "conv", "filters": 4, "strides": 2} and origin.config["filters"] == 3
    assert (changed.layer_class, changed.part_of) == (collections.OrderedDict, "other")


def test_the_class_says_its_name_and_package():
    assert (LayerOrigin().class_name, LayerOrigin().package) == ("", "")
    origin = LayerOrigin(quantizers.LSQ)
    assert (origin.class_name, origin.package) == ("LSQ", "tfmp")


def test_candidates_and_arguments_change_together():
    layer = Layer("conv", "conv2d", LayerOrigin(config={"name": "conv", "weight_bits": (8,), "seed": 1}))
    two = Candidates.of([quantizers.LSQ(2), quantizers.LSQ(4)])
    changed = layer.with_candidates(two, seed=2)
    assert changed.weight is two and changed.activation is UNQUANTIZED
    assert changed.origin.config == {"name": "conv", "weight_bits": (2, 4), "activation_bits": None, "seed": 2}
    assert changed.with_candidates().origin.config["weight_bits"] is None
