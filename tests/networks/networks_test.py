"""Every network of the library against its published size."""

import keras
import pytest
import tf_keras

import tfmp
from tfmp import networks

# Published: multiply-accumulates (10^9) and parameters (10^6), He 2016, Szegedy 2015 and 2016, torchvision's ResNet-50
# with the stride in the 3x3 convolution. AlexNet: ungrouped, counted by hand. ResNet-8: MLPerf Tiny.
PUBLISHED = {
    "alexnet": (1.135, 62.4, 6),
    "resnet18": (1.814, 11.69, 19),
    "resnet50": (4.089, 25.56, 52),
    "googlenet": (1.58, 7.0, 56),
    "inception_v3": (5.71, 23.83, 93),
    "resnet8": (0.0125, 0.0785, 8),
}


def test_every_network_is_tested():
    assert set(networks.names()) == {*PUBLISHED, "digits_cnn"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    giga_macs, mega_parameters, num_searched = PUBLISHED[name]
    model = networks.get(name)(keras)
    assert tfmp.cost(model, "flops") / 1e9 == pytest.approx(giga_macs, rel=0.01)
    assert model.count_params() / 1e6 == pytest.approx(mega_parameters, rel=0.01)
    rows = tfmp.inspect(model, first_and_last="float").rows
    assert sum(row.status == "searched" for row in rows) == num_searched


SMALL = {"alexnet": 67, "inception_v3": 75, "digits_cnn": 8}


@pytest.mark.parametrize("name", [*PUBLISHED, "digits_cnn"])
def test_arguments_change_what_they_say(name):
    size = SMALL.get(name, 32)
    model = networks.get(name)(keras, image_size=size, num_classes=7, width=8 if name == "digits_cnn" else 0.25)
    assert model.input_shape[1:3] == (size, size)
    assert model.output_shape == (None, 7)
    assert model.count_params() < networks.get(name)(keras).count_params() / 2


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "googlenet"])
def test_both_kerases_build_the_same(name):
    ours, theirs = (networks.get(name)(k, image_size=32, width=0.125) for k in (keras, tf_keras))
    assert [layer.name for layer in ours.layers if layer.weights] == [
        layer.name for layer in theirs.layers if layer.weights
    ]
    assert [tuple(w.shape) for w in ours.get_weights()] == [tuple(w.shape) for w in theirs.get_weights()]
