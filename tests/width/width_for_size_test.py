import functools

import keras
import pytest
import tf_keras

import tfmp
from tfmp import networks
from tfmp.costs import ModelSize
from tfmp.width import width_for_size

RESNET20 = functools.partial(networks.get("resnet20"), keras)
MOBILENET = functools.partial(networks.get("mobilenet_v2_cifar"), keras)


def build(network, **arguments):
    return lambda width: network(width=width, **arguments)


def resnet20_bits(width, bits):
    """Kernels of a ResNet-20 by hand; the first and the last layer at 8 bits."""
    channels = [round(base * width) for base in (16, 32, 64)]
    total, before = 8 * (27 * channels[0] + 10 * channels[2]), channels[0]
    for count in channels:
        total += bits * (9 * before * count + 5 * 9 * count * count + (before * count if before != count else 0))
        before = count
    return total


def small(k, width):
    """Four layers, two of them depthwise: one as a layer of its own kind, one as groups."""
    channels = max(1, round(8 * width))
    inputs = x = k.Input((8, 8, 3))
    x = k.layers.Conv2D(channels, 3, name="first")(x)
    x = k.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = k.layers.Conv2D(channels, 1, name="inside")(x)
    x = k.layers.Conv2D(channels, 3, groups=channels, name="groups")(x)
    return k.Model(inputs, k.layers.Dense(5, name="last")(k.layers.Flatten()(x)))


@pytest.mark.default_cases("2")
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_resnet20_has_the_size_of_half_the_width_at_8_bits(bits):
    target = resnet20_bits(0.5, 8)
    found = width_for_size(build(RESNET20), target, weight_bits=bits)
    assert found.target_bits == target
    assert found.size_bits == resnet20_bits(found.width, bits)
    assert abs(found.relative_error) <= 0.02
    assert found.width == pytest.approx(0.5 * (8 / bits) ** 0.5, rel=0.1)


@pytest.mark.slow
def test_channels_of_small_networks_are_coarse():
    target = resnet20_bits(0.25, 8)
    sizes = [resnet20_bits(0.2 + step / 10_000, 4) for step in range(3000)]
    below, above = max(s for s in sizes if s < target), min(s for s in sizes if s > target)
    with pytest.raises(ValueError, match=f"{below:,} bits at width 0.351. and {above:,} bits at width 0.351."):
        width_for_size(build(RESNET20), target, weight_bits=4)
    found = width_for_size(build(RESNET20), target, weight_bits=4, tolerance=0.04)
    assert found.size_bits == min(below, above, key=lambda bits: abs(bits - target))


@pytest.mark.slow
@pytest.mark.parametrize(("weight_bits", "depthwise_bits"), [(1, 4), (4, None)])
def test_mobilenet_has_the_size_that_its_cost_is(weight_bits, depthwise_bits):
    target = tfmp.cost(MOBILENET(width=0.25), ModelSize(kernels_only=True)) / 4
    found = width_for_size(build(MOBILENET), target, weight_bits=weight_bits, depthwise_bits=depthwise_bits)
    assert abs(found.relative_error) <= 0.02
    relaxed = tfmp.relax(MOBILENET(width=found.width), weight_bits=(1, 4), activation_bits=(8,))
    bits = {
        row.name: (depthwise_bits or weight_bits if "depthwise" in row.name else weight_bits, 8)
        for row in tfmp.inspect(MOBILENET()).rows
        if row.status == "searched"
    }
    assert tfmp.cost(relaxed, ModelSize(kernels_only=True), bits) == found.size_bits


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_every_layer_counts_its_own_bits(k):
    expected = 8 * (27 * 16 + 5 * 16 * 4) + 4 * 2 * 9 * 16 + 1 * 16 * 16
    found = width_for_size(functools.partial(small, k), expected, weight_bits=1, depthwise_bits=4)
    assert (found.size_bits, found.relative_error) == (expected, 0)
    assert round(8 * found.width) == 16


@pytest.mark.parametrize("target", [10_000, 33_333, 2_000_000])
def test_no_width_that_was_not_tried_comes_closer(target):
    sizes = {}

    def size(channels):
        return 8 * (27 * channels + 5 * 4 * channels) + 2 * (2 * 9 * channels + channels * channels)

    def recorded(width):
        sizes[width] = size(max(1, round(8 * width)))
        return small(keras, width)

    found = width_for_size(recorded, target, weight_bits=2, widths=(0.1, 120.0), tolerance=0.1)
    best = min((size(channels) for channels in range(1, 1000)), key=lambda bits: abs(bits - target))
    assert found.size_bits == sizes[found.width]
    assert abs(found.relative_error) <= max(0.025, abs(best / target - 1))
    assert len(sizes) < 25


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (100, "The smallest size is 414 bits, at width 0.1: raise"),
        (1e9, "The largest size is 7,104 bits, at width 2: lower"),
        (7_000, "The nearest sizes are 6,630 bits at width .* and 7,104 bits at width .* because channels are whole"),
    ],
)
def test_unreachable_sizes_name_what_there_is(target, message):
    with pytest.raises(ValueError, match=message):
        width_for_size(functools.partial(small, keras), target, weight_bits=2, widths=(0.1, 2), tolerance=1e-3)


@pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])
@pytest.mark.parametrize("unknown", ["size", "recurrent"])
def test_kernels_that_no_size_counts_are_named(k, unknown):
    def build(width):
        image = k.Input((8, None, 3) if unknown == "size" else (8, 8, 3))
        x = k.layers.Conv2D(4, 1, name="first")(image)
        if unknown == "size":
            return k.Model(image, k.layers.Dense(5)(k.layers.GlobalAveragePooling2D()(x)))
        x = k.layers.LayerNormalization()(k.layers.Reshape((64, 4))(x))
        return k.Model(image, k.layers.Dense(5)(k.layers.GRU(4, name="own")(x)))

    name, reason = ("first", "give the model a fixed input shape") if unknown == "size" else ("own", "no integer form")
    with pytest.raises(ValueError, match=f"Layer `{name}` .* which the size would not include: .*{reason}"):
        width_for_size(build, 9000, weight_bits=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_bits": 0}, "`weight_bits` must be an integer from 1 to 8. Received: 0"),
        ({"depthwise_bits": 2.5}, "`depthwise_bits` must be"),
        ({"target_bits": 0}, "`target_bits` must be a finite number above 0"),
        ({"tolerance": float("nan")}, "`tolerance` must be a finite number above 0"),
        ({"widths": (2, 1)}, "`widths` must be two numbers, the smaller first"),
        ({"build": lambda width: keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])}, "with kernels"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        width_for_size(**{"build": functools.partial(small, keras), "target_bits": 9000, "weight_bits": 2, **arguments})
