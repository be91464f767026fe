"""A file is compared with the model that it was exported from, and with no other."""

import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tests.transform.fold_models import fixed_model, randomized, samples
from tfmp.tflite.writer.packing import pack, unpack, with_metadata


def network(filters=6, name="network"):
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(filters, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(filters, 3, activation="relu", name="second")(x)
    x = layers.Dense(8, activation="relu", name="third")(layers.Flatten(name="flat")(x))
    return keras.Model(image, layers.Dense(4, activation="softmax", name="last")(x), name=name)


@pytest.fixture(scope="module")
def data():
    return samples(network())


@pytest.fixture(scope="module")
def fixed(data):
    keras.utils.set_random_seed(0)
    return fixed_model(randomized(network()), [(3, 4), (5, 8)], data)


@pytest.fixture(scope="module")
def folder(fixed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    tfmp.export_tflite(fixed, folder / "plain.tflite", labels=list("abcd"))
    tfmp.export_tflite(fixed, folder / "codes.tflite", batch_size=5, input_type="uint8", output_type="int8")
    tfmp.export_tflite(fixed, folder / "small.tflite", mode="small")
    return folder


@pytest.mark.parametrize("name", ["plain", "codes", "small"])
def test_a_file_agrees_with_its_model(name, fixed, data, folder):
    path = folder / f"{name}.tflite"
    report = tfmp.compare_tflite(fixed, path, data)
    assert report.file == tfmp.inspect(path) and report.first_difference is None
    assert [each.layer for each in report.operators if each.layer] == ["first", "second", "flat", "third"] + [
        "last",
        "last_activation",
    ]
    assert all(each.equal_share == 1 for each in report.operators if each.kind != "softmax")
    assert report.folded.top1_agreement == 1 and report.folded.outputs[0].name == "last"
    assert [(layer.name, layer.bits, layer.container) for layer in report.file.layers] == [
        ("first", (8, 8), "INT8"),
        ("second", (3, 4), "INT8"),  # too few weights to be worth the operators that gather windows
        ("third", (5, 8), "INT8"),
        ("last", (8, 8), "INT8"),
    ]
    assert list(report.file.labels) == (list("abcd") if name == "plain" else [])


def test_the_first_operator_that_differs_is_named(fixed, data, folder, tmp_path):
    model = unpack((folder / "plain.tflite").read_bytes())
    (kernel,) = (each for each in model.subgraphs[0].tensors if each.name == b"second/kernel")
    codes = model.buffers[kernel.buffer].data.view(np.int8).copy()
    model.buffers[kernel.buffer].data = (-codes).view(np.uint8)
    (tmp_path / "other.tflite").write_bytes(pack(model))
    report = tfmp.compare_tflite(fixed, tmp_path / "other.tflite", data)
    assert report.first_difference.layer == "second"
    assert [each.layer for each in report.operators if each.largest_difference > 1] == ["second"]
    assert report.folded.equal_share < 1 and "the first operator that differs by more than 1: second" in str(report)


def test_files_of_other_models(fixed, data, folder):
    wider = fixed_model(randomized(network(7)), [(3, 4), (5, 8)], data)
    with pytest.raises(ValueError, match="file of this model.*plain.tflite', whose tensor .* has the shape"):
        tfmp.compare_tflite(wider, folder / "plain.tflite", data)
    with pytest.raises(ValueError, match="plain.tflite', in which layers have other bits: third. Compare it"):
        tfmp.compare_tflite(fixed_model(network(), [(3, 4)], data), folder / "plain.tflite", data)
    trained_on = fixed_model(randomized(network(), seed=3), [(3, 4), (5, 8)], 2 * data)
    with pytest.raises(ValueError, match="whose tensor .* has the scale .* export again"):
        tfmp.compare_tflite(trained_on, folder / "plain.tflite", data)
    with pytest.raises(ValueError, match="no quantized layer"):
        tfmp.compare_tflite(network(), folder / "plain.tflite", data)
    with pytest.raises(TypeError, match="Keras model"):
        tfmp.compare_tflite("plain.tflite", folder / "plain.tflite", data)


def test_files_that_cannot_be_compared(fixed, data, folder, tmp_path):
    content = (folder / "plain.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    with pytest.raises(FileNotFoundError, match="model.tflite"):
        tfmp.compare_tflite(fixed, path, data)
    path.write_bytes(content[:-500])
    with pytest.raises(ValueError, match="complete TFLite file.*copy or export it again"):
        tfmp.compare_tflite(fixed, path, data)
    model = unpack(content)
    model.metadata = []
    path.write_bytes(pack(model))
    with pytest.raises(ValueError, match="no metadata of tfmp"):
        tfmp.compare_tflite(fixed, path, data)
    path.write_bytes(with_metadata(pack(model), {"tfmp": b'{"tfmp": "9", "mode": "slow", "bits": {}}'}))
    with pytest.raises(ValueError, match="of mode 'slow', written by tfmp 9"):
        tfmp.compare_tflite(fixed, path, data)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros((0, 6, 6, 2)), "at least one sample"),
        (np.full((1, 6, 6, 2), np.inf), "must be finite"),
        (np.zeros((2, 6, 6, 3)), "must have the shape"),
        (np.full((2, 6, 6, 2), "cat"), "for input `image` must be numbers. Received: <U3"),
        ({"picture": np.zeros((2, 6, 6, 2))}, "image.*Received: the keys picture"),
    ],
)
def test_data_that_does_not_fit(batch, message, fixed, folder):
    with pytest.raises(ValueError, match=message):
        tfmp.compare_tflite(fixed, folder / "plain.tflite", batch)
