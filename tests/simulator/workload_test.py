import json
import pathlib

import pytest

from tfmp.graph import LayerShape
from tfmp.simulator import read_workload, simulate

WORKLOADS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "workloads"
CONV = {
    "name": "c",
    "kind": "conv2d",
    "kernel_size": [3, 3],
    "in_channels": 3,
    "out_channels": 8,
    "output_size": [4, 4],
}


def write(tmp_path, content):
    path = tmp_path / "network.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_layers_in_order(tmp_path):
    dense = {"name": "d", "kind": "dense", "in_channels": 128, "out_channels": 10}
    layers = read_workload(write(tmp_path, [CONV, {"name": "pool", "kind": "max_pooling2d"}, dense]))
    assert layers == [
        LayerShape("c", "conv2d", (3, 3), in_channels=3, out_channels=8, output_size=(4, 4)),
        ("pool", "max_pooling2d"),
        LayerShape("d", "dense", in_channels=128, out_channels=10),
    ]
    assert simulate(layers, {"c": (8, 8), "d": (2, 4)}).not_modelled == ("pool",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ({}, "must be a list of layers. Received: dict"),
        ([CONV, {"kind": "add"}], "entry 1 must be an object with a `name` and a `kind`"),
        ([CONV | {"filters": 3}], r"layer `c`: unknown fields \['filters'\]. Fields: name, kind"),
        ([CONV | {"kind": "conv2D"}], "entry 0: Layer `c`: `kind` must be one of 'conv2d'"),
        ([CONV | {"output_size": [0, 4]}], "`output_size` must be two positive integers"),
        ([CONV | {"strides": 2}], "entry 0: "),
        ([{"name": "c", "kind": "conv2d"}], "a conv2d needs in_channels, out_channels, kernel_size, output_size"),
        ([{"name": "d", "kind": "dense", "in_channels": 3}], "a dense needs out_channels"),
    ],
)
def test_bad_workloads(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_workload(write(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "giga_macs", "mega_weights"),
    [
        ("resnet50", 4.089, 25.503),
        ("vgg16", 15.470, 138.344),
        ("mobilenet_v1", 0.569, 4.209),
        ("mobilenet_v2", 0.301, 3.470),
    ],
)
def test_networks_that_come_along_have_their_published_sizes(name, giga_macs, mega_weights):
    shapes = [layer for layer in read_workload(WORKLOADS / f"{name}.json") if isinstance(layer, LayerShape)]
    assert sum(shape.macs for shape in shapes) / 1e9 == pytest.approx(giga_macs, abs=5e-4)
    assert sum(shape.num_weights for shape in shapes) / 1e6 == pytest.approx(mega_weights, abs=5e-4)
    assert len({shape.name for shape in shapes}) == len(shapes)


@pytest.mark.parametrize(
    ("name", "latency_ms", "energy_mj"),
    [("vgg16", "1001.5", "1588.7"), ("resnet50", "288.9", "427.0"), ("mobilenet_v2", "84.0", "128.9")],
)
def test_networks_at_8_bits(name, latency_ms, energy_mj):
    """The reference's numbers at batch 16; depthwise layers as `single_channel`."""
    layers = read_workload(WORKLOADS / f"{name}.json")
    total = simulate(layers, {layer.name: (8, 8) for layer in layers if isinstance(layer, LayerShape)}).total
    assert (f"{total.latency_ms:.1f}", f"{total.energy_nj['total'] / 1e6:.1f}") == (latency_ms, energy_mj)
