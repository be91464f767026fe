"""Files in floating point compute what the fixed model computes, whatever its layers."""

import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tests.transform.fold_models import fixed_model, normalized, randomized, samples, several
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.packing import unpack

PAIRS = [(2, 4), (4, 8), (3, 3), (8, 8), (5, 2)]


@keras.saving.register_keras_serializable(package="convert_float_test")
class Gate(layers.Layer):
    """A layer that the library does not know, with its own weights."""

    def build(self, shape):
        self.slope = self.add_weight(name="slope", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * keras.ops.sigmoid(x * self.slope)


def transformer():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(16, 4, strides=4, name="patches")(image)
    x = layers.Reshape((4, 16), name="tokens")(x)
    y = layers.LayerNormalization(name="norm")(x)
    x = layers.Add(name="residual")([x, layers.MultiHeadAttention(2, 8, name="attention")(y, y)])
    x = Gate(name="gate")(layers.Dense(64, name="up")(x))
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Dense(16, activation="gelu", name="down")(x))
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="transformer")


@pytest.fixture(scope="module")
def data():
    return samples(transformer())


@pytest.fixture(scope="module")
def fixed(data):
    keras.utils.set_random_seed(0)
    return fixed_model(transformer(), PAIRS, data)


def test_layers_without_integer_form(fixed, data, tmp_path):
    path = tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, mode="float", verify=data, labels=list("abcde"))
    assert report.mode == "float" and report.operators == () and report.first_difference is None
    assert report.trained.equal_share > 0.9 and report.trained.top1_agreement == 1
    found = Interpreter(path).run({"image": data})["logits"]
    expected = fixed.predict(data, verbose=0)
    share = np.mean(np.abs(found - expected) <= 1e-5 * np.abs(expected).max(-1, keepdims=True))
    assert report.trained.equal_share == pytest.approx(share) and found.shape == expected.shape
    file = tfmp.inspect(path)
    assert file == report.file and file.labels == tuple("abcde")
    containers = {layer.name: (layer.bits[0], layer.container) for layer in file.layers if layer.bits}
    assert containers == {
        "patches": (8, "INT8"),
        "attention_query": (2, "INT2"),
        "attention_key": (4, "INT4"),
        "attention_value": (3, "INT4"),
        "attention": (8, "INT8"),
        "up": (5, "INT8"),
        "down": (2, "INT2"),
        "logits": (8, "FLOAT32"),  # 80 numbers: their INT8 codes with a DEQUANTIZE would take more bytes
    }
    assert "mode float" in str(report) and "DEQUANTIZE" in str(report)
    assert tfmp.compare_tflite(fixed, path, data) == report


def test_batches_and_weights_that_changed(fixed, data, tmp_path):
    path = tmp_path / "model.tflite"
    tfmp.export_tflite(fixed, path, mode="float", batch_size=5)
    assert Interpreter(path).batch_size == 5
    other = fixed_model(randomized(transformer(), seed=4), PAIRS, data)
    assert tfmp.compare_tflite(fixed, path, data).trained.top1_agreement == 1
    report = tfmp.compare_tflite(other, path, data)
    assert report.trained.equal_share < 0.5 and report.trained.top1_agreement < 1


@pytest.mark.slow
def test_several_inputs_and_outputs_go_by_name(tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(several())
    data = samples(model)
    fixed = fixed_model(model, PAIRS, data)
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", mode="float", verify=data)
    assert report.trained.equal_share > 0.99
    found, expected = Interpreter(tmp_path / "model.tflite").run(data), fixed.predict(data, verbose=0)
    assert set(found) == {"kind", "map"}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-4 * np.abs(expected[name]).max())


def test_models_with_layers_in_floating_point(tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(normalized())
    data = samples(model)
    fixed = fixed_model(model, PAIRS, data, first_and_last="float")
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", mode="float", verify=data)
    assert report.trained.equal_share > 0.9 and "first" not in report.bits and "deep" in report.bits
    # Batch normalization of the converter's making: gammas of all signs, some zero.
    packed = [
        tensor.name for tensor in report.file.tensors if tensor.type.startswith("INT") and tensor.role == "weights"
    ]
    assert "signed/kernel" in packed
    names = {tensor.name.decode() for tensor in unpack((tmp_path / "model.tflite").read_bytes()).subgraphs[0].tensors}
    assert "signed/numbers" in names


def decomposed():
    """A network with an operation that the runtime has no operator for."""
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Flatten(name="flat")(layers.Conv2D(4, 3, name="first")(image))
    x = keras.ops.erfinv(keras.ops.tanh(layers.Dense(8, name="middle")(x)))
    return keras.Model(image, layers.Dense(3, name="last")(x), name="decomposed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_type": "int8"}, "`input_type` must be 'float32'. Received: .* Mode 'float' has no codes"),
        ({"output_type": "uint8"}, "`output_type` must be 'float32'. Received: .* Mode 'float' has no codes"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer"),
        ({"model": transformer}, "has no quantized layer"),
        ({"model": lambda: tfmp.relax(transformer(), weight_bits=(2, 4))}, "still open: attention_query, .*, up, down"),
        (
            {"model": lambda: tfmp.relax(transformer(), weight_bits=2, activation_bits=2)},
            "`patches` was never calibrated",
        ),
    ],
)
def test_bad_input_leaves_the_disk_as_it_was(arguments, message, fixed, tmp_path):
    model = arguments.pop("model")() if "model" in arguments else fixed
    with pytest.raises(ValueError, match=message):
        tfmp.export_tflite(model, tmp_path / "model.tflite", mode="float", **arguments)
    assert not list(tmp_path.iterdir())


def test_operators_that_the_runtime_lacks_are_named(tmp_path):
    data = samples(decomposed())
    fixed = fixed_model(decomposed(), PAIRS, data)
    with pytest.raises(ValueError, match="no operator for Erfinv of .*erfinv/Erfinv. Replace.*The converter says: "):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", mode="float")
    assert not list(tmp_path.iterdir())
