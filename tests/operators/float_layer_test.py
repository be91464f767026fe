"""Files whose layers without an integer form run in floating point, between DEQUANTIZE and QUANTIZE."""

import collections
import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema

import tfmp
from tests.costs.network_sizes import apart, check_size
from tests.transform.fold_models import UNTRAINED, fixed_model, randomized, samples
from tfmp.bindings.framework import framework_of
from tfmp.operators.float_layer import KIND, float_layers
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.packing import unpack

KL = keras.layers
KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@keras.saving.register_keras_serializable("float_layer_test")
class Gate(KL.Layer):
    """A layer that the library does not know, with a weight, several inputs and two outputs."""

    def build(self, shapes):
        self.slope = self.add_weight(name="slope", shape=(shapes[0][-1],), initializer="ones")

    def call(self, inputs):
        x, y = inputs
        return x * keras.ops.sigmoid(y * self.slope), keras.ops.maximum(x, y)

    def compute_output_shape(self, shapes):
        return shapes[0], shapes[1]


@keras.saving.register_keras_serializable("float_layer_test")
def doubled(x):
    return 2 * x + 1


def everywhere():
    """Layers in floating point at the start, in the middle, two in a row, in a residual branch and at the end."""
    image = keras.Input((8, 8, 3), name="image")
    x = KL.LayerNormalization(name="start")(image)
    x = y = KL.Conv2D(6, 3, strides=2, name="first")(x)
    y = KL.GroupNormalization(2, name="row_one")(y)
    y = KL.Lambda(doubled, name="row_two")(y)
    x = KL.Add(name="residual")([x, KL.Conv2D(6, 1, name="inside")(y)])
    one, two = Gate(name="gate")([x, KL.Conv2D(6, 1, name="beside")(x)])
    x = KL.Concatenate(name="join")([KL.Conv2D(4, 1, name="left")(one), two])
    x = KL.Reshape((9, 10), name="tokens")(x)
    x = KL.MultiHeadAttention(2, 5, name="attention")(x, x)
    x = KL.LSTM(7, name="recurrent")(x)
    x = KL.Dense(5, name="logits")(x)
    return keras.Model(image, KL.Lambda(doubled, name="end")(x), name="everywhere")


FLOATING = ["start", "row_one", "row_two", "gate", "attention_core", "recurrent", "end"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The fixed model, its samples, its report and its file."""
    keras.utils.set_random_seed(0)
    model = randomized(everywhere())
    data = samples(model)
    fixed = apart(fixed_model(model, [(4, 4), (8, 8), (3, 8)], data))
    path = tmp_path_factory.mktemp("everywhere") / "model.tflite"
    report = tfmp.export_tflite(fixed, path, verify=data, reference=model, tolerance=UNTRAINED)
    return fixed, data, report, path


def test_every_operator_equals_the_folded_model(exported):
    fixed, data, report, path = exported
    found = {operator.layer: operator for operator in report.operators if operator.kind == KIND}
    assert list(found) == FLOATING and sum(operator.layer == "gate" for operator in report.operators) == 2
    assert all(operator.is_equal and operator.largest_difference <= 1e-5 for operator in found.values())
    codes = [operator for operator in report.operators if operator.kind != KIND]
    assert len(codes) > 10 and all(operator.largest_difference == 0 for operator in codes)
    assert report.first_difference is None
    assert f"{len(report.operators)} of {len(report.operators)} compute every code" in str(report)
    assert tfmp.compare_tflite(fixed, path, data, reference=None).operators == report.operators


def test_the_report_names_the_layers_and_their_bytes(exported):
    _, _, report, path = exported
    assert list(report.file.float_layers) == FLOATING and tfmp.inspect(path) == report.file
    line = f"in floating point, {report.file.float_bytes:,} bytes: {', '.join(FLOATING)}"
    assert line in str(report) and line in str(report.file)
    sizes = {layer.name: layer.size_bytes for layer in report.file.layers}
    assert sizes["recurrent"] >= 4 * 7 * (10 + 4 * 7) and sizes["start"] >= 4 * 2 * 3  # one kernel at 8 bits
    assert sum(sizes[name] for name in FLOATING) == report.file.float_bytes


def test_numbers_pass_from_one_layer_to_the_next(exported):
    *_, path = exported
    model = unpack(path.read_bytes())
    kinds = [KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    count = collections.Counter(kinds[operator.opcodeIndex] for operator in model.subgraphs[0].operators)
    # First and last read or write the model's own numbers, and the two in a row share one DEQUANTIZE and one QUANTIZE.
    activations = ["row", "gate: x", "gate: y", "query", "key", "value", "recurrent", "end"]
    assert count["DEQUANTIZE"] == len([*activations, "kernel of the recurrent layer"])
    assert "WHILE" not in count


def test_the_file_is_a_normalization_in_double_precision(exported):
    fixed, data, _, path = exported
    codes = Interpreter(path).codes(data)
    layer = fixed.get_layer("start")
    x = data.astype(np.float64)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
    expected = normal * layer.gamma.numpy() + layer.beta.numpy()
    np.testing.assert_allclose(codes["start"], expected, atol=1e-5 * np.abs(expected).max())
    tensor = Interpreter(path).readable_tensors["start_codes"]
    quantized = np.rint(codes["start"] * np.float32(1 / np.float32(tensor.scale)))
    limits = np.array([-128, 127]) - tensor.zero_point
    np.testing.assert_array_equal(codes["start_codes"], np.clip(quantized, *limits))


@pytest.mark.default_cases("small")
@pytest.mark.parametrize("mode", ["fast", "small"])
def test_the_predicted_bytes_are_those_of_the_file(exported, mode, tmp_path):
    check_size(exported[0], tmp_path / "model.tflite", mode=mode)


@pytest.mark.slow  # conversion of other batches: convert_float_test; saved layers of this kind: model_kinds_test
def test_batches_and_saved_models(exported, tmp_path):
    fixed, data, report, _ = exported
    fixed.save(tmp_path / "fixed.keras")
    again = tfmp.load_model(tmp_path / "fixed.keras", safe_mode=False)
    other = tfmp.export_tflite(again, tmp_path / "five.tflite", batch_size=5, verify=data, tolerance=UNTRAINED)
    assert Interpreter(tmp_path / "five.tflite").batch_size == 5
    assert all(operator.is_equal for operator in other.operators) and len(other.operators) == len(report.operators)


def test_a_layer_that_differs_is_named(exported):
    fixed, data, report, path = exported
    operators = [dataclasses.replace(each, largest_difference=1e-4) for each in report.operators if each.kind == KIND]
    with pytest.raises(ValueError, match="Layer `start` of the file, in floating point, differs from Keras by 0.0001"):
        tfmp.tflite.check_agreement.check_agreement(
            dataclasses.replace(report, operators=operators), UNTRAINED, lambda: None
        )


def test_outputs_of_layers_in_floating_point_have_no_codes(exported, tmp_path):
    with pytest.raises(ValueError, match="Layer `end` computes an output .*output_type='float32'"):
        tfmp.export_tflite(exported[0], tmp_path / "model.tflite", output_type="int8")
    with pytest.raises(ValueError, match="`start`, which reads its numbers, at input 'image'"):
        tfmp.export_tflite(exported[0], tmp_path / "model.tflite", input_type="int8")
    with pytest.raises(ValueError, match="Layer `start` does not run in TensorFlow Lite for Micro.*floating point"):
        tfmp.cost(exported[0], "micro_bytes")


def vision_transformer():
    """Patches, two blocks of attention and a head."""
    image = keras.Input((8, 8, 3), name="image")
    x = KL.Reshape((4, 16))(KL.Conv2D(16, 4, strides=4, name="patches")(image))
    for block in range(2):
        y = KL.LayerNormalization(name=f"norm_{block}")(x)
        x = KL.Add()([x, KL.MultiHeadAttention(2, 8, name=f"attention_{block}")(y, y)])
        y = KL.Dense(32, activation="gelu", name=f"up_{block}")(KL.LayerNormalization(name=f"norm_{block}b")(x))
        x = KL.Add()([x, KL.Dense(16, name=f"down_{block}")(y)])
    x = KL.GlobalAveragePooling1D()(x)
    return keras.Model(image, KL.Dense(5, name="head")(x), name="vision_transformer")


@pytest.mark.slow  # its layers are in the model above; model_kinds_test searches around such layers
def test_a_searched_transformer_is_exported(eagerly, tmp_path):
    keras.utils.set_random_seed(0)
    model = vision_transformer()
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(32, 8, 8, 3)).astype(np.float32), rng.integers(0, 5, 32)
    searched = tfmp.relax(model, weight_bits=(2, 8), activation_bits=(4, 8), calibration=images)
    budget = tfmp.Budget("tflite_bytes", like_uniform=(8, 8))
    search = tfmp.MixedPrecisionSearch(budget=budget)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    before = searched.get_layer("norm_0").beta.numpy().copy()
    searched.compile(tfmp.SelectionOptimizer("sgd"), loss=loss)
    searched.fit(images, labels, batch_size=16, epochs=1, callbacks=[search], verbose=0)
    assert not np.array_equal(searched.get_layer("norm_0").beta.numpy(), before)
    assignment = tfmp.discretize(searched, strategy="budget", budget=budget)
    fixed = tfmp.fix(searched, assignment, calibration=images)
    report = tfmp.export_tflite(fixed, tmp_path / "m.tflite", mode="small", verify=images, tolerance=UNTRAINED)
    assert all(operator.is_equal for operator in report.operators)
    assert float_layers(framework_of(fixed).read(fixed)) == list(report.file.float_layers)
    assert len(report.file.float_layers) == 6  # three of each block


@pytest.mark.default_cases("alone")  # the parts of an attention are those of both Kerases, see `everywhere`
@pytest.mark.parametrize("attention", [False, True], ids=["alone", "attention"])
def test_models_of_tf_keras(attention, tmp_path):
    kl = tf_keras.layers
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input((8, 8, 3), name="image")
    x = kl.LayerNormalization(name="normal")(kl.Conv2D(6, 3, name="first")(image))
    x = kl.Conv2D(4, 1, name="middle")(tf.math.cumsum(x, axis=1))
    x = kl.Reshape((36, 4))(x)
    x = kl.MultiHeadAttention(2, 4, name="attention")(x, x) if attention else x
    model = tf_keras.Model(image, kl.Dense(3, name="last")(kl.Flatten()(x)), name="older")
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=4, activation_bits=8, calibration=data)
    report = tfmp.export_tflite(relaxed, tmp_path / "m.tflite", verify=data, tolerance=UNTRAINED)
    assert all(operator.is_equal for operator in report.operators)
    assert list(report.file.float_layers) == ["normal", "tf.math.cumsum", *(["attention_core"] if attention else [])]


def test_token_numbers_and_masks():
    tokens = keras.Input((6,), dtype="int32", name="tokens")

    def network(**arguments):
        x = KL.Embedding(9, 4, name="table", **arguments)(tokens)
        x = KL.Conv1D(4, 3, name="inside")(KL.Conv1D(4, 3, name="first")(x))
        return keras.Model(tokens, KL.Dense(2, name="last")(KL.Flatten()(x)))

    outlook = tfmp.inspect(network()).exports["fast"]
    assert str(outlook) == "yes"
    outlook = tfmp.inspect(network(mask_zero=True)).exports["fast"]
    assert outlook.answer == "no" and "`table` gives later layers a mask" in outlook.reason
