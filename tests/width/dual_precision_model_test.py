import keras
import pytest
import tf_keras

import tfmp
from tfmp.width import dual_precision


def network(k):
    inputs = x = k.Input((8, 8, 3))
    x = k.layers.Conv2D(8, 3, name="first")(x)
    x = k.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = k.layers.SeparableConv2D(8, 3, name="separable")(x)
    x = k.layers.Conv2D(8, 1, name="grouped", groups=2)(x)
    return k.Model(inputs, k.layers.Dense(5, name="last")(k.layers.Flatten()(x)))


@pytest.mark.default_cases("1-4-keras", "2-None-tf_keras")
@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize(("weight_bits", "depthwise_bits"), [(1, 4), (8, 1), (2, None)])
def test_depthwise_convolutions_have_bits_of_their_own(k, weight_bits, depthwise_bits):
    found = dual_precision(network(k), weight_bits=weight_bits, depthwise_bits=depthwise_bits, activation_bits=4)
    others = depthwise_bits or weight_bits
    bits = {row.name: row.weight_bits for row in tfmp.inspect(found).rows if row.weight_bits != (32,)}
    assert bits == {
        "first": (8,),
        "depthwise": (others,),
        "separable_depthwise": (others,),
        "separable": (weight_bits,),
        "grouped": (weight_bits,),
        "last": (8,),
    }
    simulated = {row.name: (row.weight_bits,) for row in tfmp.simulate(found).layers if row.weight_bits}
    assert simulated == bits
    size = tfmp.cost(found, tfmp.costs.ModelSize(kernels_only=True))
    assert size == 8 * (27 * 8 + 5 * 2 * 2 * 8) + others * 2 * 9 * 8 + weight_bits * (8 * 8 + 4 * 8)


def test_bits_are_checked():
    with pytest.raises(ValueError, match="must be an integer from 1 to 8. Received: 9"):
        dual_precision(network(keras), weight_bits=9)
