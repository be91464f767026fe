"""The energy report of a model is the simulator's, layer by layer, with the bits of the model and of its file."""

import csv
import io
import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import tfmp
from tests.transform.fold_models import randomized, samples

NOT_MODELLED = [
    ("relu", "relu"),
    ("total", "add"),
    ("peak", "max_pool"),
    ("bn", "batch_normalization"),
    ("mean", "mean"),
]


def network():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.ReLU(name="relu")(layers.Conv2D(8, 3, padding="same", name="first")(image))
    twice = layers.Conv2D(8, 3, padding="same", name="twice")
    x = layers.Add(name="total")([x, twice(twice(x))])
    x = layers.Dropout(0.1, name="drop")(layers.MaxPooling2D(name="peak")(x))
    x = layers.DepthwiseConv2D(3, name="deep")(layers.Activation("linear")(x))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(image, layers.Dense(4, name="last")(x), name="network")


@pytest.fixture(scope="module")
def relaxed():
    keras.utils.set_random_seed(0)
    model = randomized(network())
    return tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), calibration=samples(model))


@pytest.fixture(scope="module")
def fixed(relaxed):
    return tfmp.fix(relaxed, ASSIGNMENT)


ASSIGNMENT = {"twice": (2, 3), "deep": (4, 4)}
BITS = {"first": (8, 8), **ASSIGNMENT, "last": (8, 8)}


def check(report, bits, **arguments):
    """Every row is what the simulator says of the layer alone."""
    shapes = {
        "first": tfmp.graph.LayerShape(
            "first", "conv2d", (3, 3), in_channels=3, out_channels=8, output_size=(8, 8), reads_network_input=True
        ),
        "twice": tfmp.graph.LayerShape("twice", "conv2d", (3, 3), in_channels=8, out_channels=8, output_size=(8, 8)),
        "deep": tfmp.graph.LayerShape(
            "deep", "depthwise_conv2d", (3, 3), in_channels=8, out_channels=8, groups=8, output_size=(2, 2)
        ),
        "last": tfmp.graph.LayerShape("last", "dense", (1, 1), in_channels=8, out_channels=4, output_size=(1, 1)),
    }
    names = ["first", "relu", "twice", "twice", "total", "peak", "deep", "bn", "mean", "last"]
    assert [row.name for row in report.layers] == names
    assert [(row.name, row.kind) for row in report.layers if not row.modelled] == [
        entry for name in names for entry in NOT_MODELLED if entry[0] == name
    ]
    for row in report.layers:
        if row.modelled:
            assert row == tfmp.simulator.simulate_layer(shapes[row.name], *bits[row.name], **arguments)
    modelled = [row for row in report.layers if row.modelled]
    assert report.total.total_cycles == sum(row.total_cycles for row in modelled)
    assert report.total.energy_nj["total"] == pytest.approx(sum(row.energy_nj["total"] for row in modelled))


def test_float_model_at_uniform_bits():
    report = tfmp.simulate(network(), assignment=(8, 8))
    check(report, dict.fromkeys(BITS, (8, 8)))
    assert (report.hardware, report.batch) == ("bit_fusion", 16)
    check(tfmp.simulate(network(), assignment=(4, 2)), dict.fromkeys(BITS, (4, 2)))


def test_relaxed_model_with_an_assignment(relaxed):
    check(tfmp.simulate(relaxed, assignment=ASSIGNMENT), BITS)
    assignment = tfmp.BitAssignment(ASSIGNMENT)
    check(tfmp.simulate(relaxed, assignment=assignment, batch=2, objective="energy"), BITS, batch=2, objective="energy")


def test_fixed_model(fixed):
    check(tfmp.simulate(fixed), BITS)
    hardware = tfmp.simulator.Hardware.from_preset("bit_fusion")
    check(tfmp.simulate(fixed, hardware=hardware, batch=1, depthwise="dense"), BITS, batch=1, depthwise="dense")


def test_an_input_that_several_layers_read_stays_an_input():
    image = keras.Input((6, 6, 3), name="image")
    parts = [layers.Conv2D(4, 3, name="left")(image), layers.Conv2D(4, 3, name="right")(image)]
    model = keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(layers.Add()(parts))))
    fixed = tfmp.relax(model, weight_bits=4, activation_bits=4, first_and_last="search", calibration=samples(model))
    floating = {row.name: row for row in tfmp.simulate(model, assignment=(4, 4)).layers}
    rows = {row.name: row for row in tfmp.simulate(fixed).layers}
    assert rows["left"] == floating["left"] and rows["left"].schedule["im2col"]
    assert rows.keys() == floating.keys()


def test_bits_that_are_missing(relaxed):
    with pytest.raises(ValueError, match="bits of layer `twice` are still open.*assignment="):
        tfmp.simulate(relaxed)
    with pytest.raises(ValueError, match="Layer `first` is in floating point.*assignment="):
        tfmp.simulate(network())
    floating = tfmp.relax(network(), weight_bits=2, activation_bits=2, first_and_last="float")
    with pytest.raises(ValueError, match="Layer `first` is in floating point"):
        tfmp.simulate(floating)
    check(tfmp.simulate(floating, assignment=(8, 4)), dict.fromkeys(BITS, (8, 4)))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ({"twice": (2, 3)}, "lacks: deep"),
        ({**ASSIGNMENT, "first": (8, 8)}, "not searched there: first"),
        ((32, 8), "first.*32"),
        ((8, 0), "first.*0"),
        ((8,), "pair"),
        ({"twice": (2, 3), "deep": (4, 33)}, "`deep`"),
    ],
)
def test_assignments_that_do_not_fit(assignment, message, relaxed):
    with pytest.raises(ValueError, match=message):
        tfmp.simulate(relaxed, assignment=assignment)


def test_unknown_hardware(fixed):
    with pytest.raises(ValueError, match="abacus"):
        tfmp.simulate(fixed, hardware="abacus")


def test_layers_and_bits_are_those_of_the_file(fixed, tmp_path):
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite")
    content = (tmp_path / "model.tflite").read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    (entry,) = [entry for entry in model.metadata if entry.name == b"tfmp"]
    in_file = {name: tuple(pair) for name, pair in json.loads(bytes(model.buffers[entry.buffer].data))["bits"].items()}
    rows = [row for row in tfmp.simulate(fixed).layers if row.modelled]
    assert {row.name: (row.weight_bits, row.activation_bits) for row in rows} == in_file == report.bits == BITS
    constants = {tensor.name.decode() for tensor in model.subgraphs[0].tensors}
    assert {f"{row.name}/kernel" for row in rows} <= constants


def test_as_json_and_csv(fixed, tmp_path):
    report = tfmp.simulate(fixed)
    assert report.to_json(tmp_path / "energy.json") == (tmp_path / "energy.json").read_text()
    read = json.loads((tmp_path / "energy.json").read_text())
    assert [row["name"] for row in read["layers"]] == [row.name for row in report.layers]
    assert read["layers"][0]["energy_nj"] == dict(report.layers[0].energy_nj)
    report.to_csv(tmp_path / "energy.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "energy.csv").read_text())))
    assert [row["name"] for row in rows] == [row.name for row in report.layers]
    energies = [float(row["total_energy_nj"]) for row in rows if row["total_energy_nj"]]
    assert np.sum(energies) == pytest.approx(report.total.energy_nj["total"])
    with pytest.raises(FileExistsError):
        report.to_csv(tmp_path / "energy.csv")
