"""Post-training quantization in one call, against that of TensorFlow."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert.interpreter import Interpreter

import tfmp
from tests.transform.small_networks import inputs_for, plain, residual, several, trained
from tfmp import demo


def decibels(exact, values):
    exact = np.asarray(exact, np.float64)
    return 10 * np.log10(exact.var() / np.square(exact - values).mean())


def tensorflow_file(model, inputs):
    """What TensorFlow's converter makes of a model in INT8."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([each[None]] for each in inputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def run_file(content, inputs):
    """What a file computes, in numbers, sample by sample: some files of TensorFlow take no other batch."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    read, written = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if read["dtype"] == np.int8:
        scale, zero = read["quantization"]
        inputs = np.clip(np.rint(inputs / scale) + zero, -128, 127).astype(np.int8)
    outputs = []
    for sample in inputs:
        interpreter.set_tensor(read["index"], sample[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(written["index"])[0])
    outputs, (scale, zero) = np.stack(outputs), written["quantization"]
    return (outputs.astype(np.float64) - zero) * scale if outputs.dtype == np.int8 else outputs


@pytest.fixture(scope="module")
def digits():
    """The demo's network, trained for a few seconds, and its images."""
    (x, y), test = demo.load_digits()
    keras.utils.set_random_seed(0)
    model = tfmp.networks.get("digits_cnn")(keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=4, verbose=0)
    return model, x[:256], test


@pytest.mark.compiled
def test_int8_is_as_close_to_floating_point_as_tensorflows_file(digits, tmp_path, capsys):
    model, x, (x_test, y_test) = digits
    exact = model.predict(x_test, verbose=0)
    theirs = run_file(tensorflow_file(model, x[:100]), x_test)
    fixed = tfmp.quantize(model, 8, calibration=x, verbose=1)
    assert "Divergence from the output in floating point, on 64 of 256 samples" in capsys.readouterr().out
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x_test[:64])
    mine = run_file((tmp_path / "model.tflite").read_bytes(), x_test)
    assert decibels(exact, mine) > decibels(exact, theirs) - 1
    accuracies = [np.mean(outputs.argmax(-1) == y_test) for outputs in (mine, theirs)]
    assert accuracies[0] >= accuracies[1] - 0.003
    np.testing.assert_allclose(fixed.predict(x_test, verbose=0), mine, atol=0.05 * exact.std())


@pytest.mark.slow
def test_no_way_of_fixing_is_better_than_the_documented_one(digits):
    model, x, (x_test, _) = digits
    exact = model.predict(x_test, verbose=0)
    relaxed = tfmp.relax(model, weight_bits=(3, 4), activation_bits=(3, 4), calibration=x)
    bits = tfmp.BitAssignment.uniform(relaxed, 4, 4)
    assert bits == tfmp.BitAssignment.uniform(model, 4, 4)
    best = decibels(exact, tfmp.fix(relaxed, bits, calibration=x, post_training=True).predict(x_test, verbose=0))
    for options in ({}, {"calibration": x}):
        assert best > decibels(exact, tfmp.fix(relaxed, bits, **options).predict(x_test, verbose=0)) - 0.3


@pytest.mark.slow
def test_labels_decide_by_the_loss_and_the_report_says_so(digits, capsys):
    model, x, _ = digits
    (_, y), _ = demo.load_digits()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tfmp.quantize(model, (3, 4), calibration=(x, y[:256]), loss=loss, verbose=1)
    printed = capsys.readouterr().out
    assert "Loss, on 64 of 256" in printed
    lines = [line.removesuffix("  taken").rsplit(maxsplit=1) for line in printed.splitlines() if line.startswith("  ")]
    errors = {name.strip(): float(error) for name, error in lines}
    assert len(errors) == 6 and "ranges, normalization, some moments" in errors
    taken = next(line for line in printed.splitlines() if line.endswith("taken"))
    assert taken.split("  ")[1] == min(errors, key=errors.get)


@pytest.mark.default_cases("residual")
@pytest.mark.parametrize("make", [plain, residual, several], ids=lambda make: make.__name__)
@pytest.mark.filterwarnings("ignore:The calibration data differ")
def test_every_layer_has_the_bits_it_was_given(make):
    model = trained(make())
    before = [np.asarray(variable) for variable in model.variables]
    names = tfmp.BitAssignment.uniform(model, 8, 8).bits
    chosen = dict.fromkeys(list(names)[:1], (3, 5))
    fixed = tfmp.quantize(model, chosen, calibration=inputs_for(model, 32))
    for name in names:
        layer = fixed.get_layer(name)
        bits = chosen.get(name, (8, 8))
        assert (layer.weight_bits, layer.activation_bits) == tuple((b,) for b in bits)
    report = tfmp.inspect(fixed)
    assert {row.weight_bits for row in report.rows if row.macs} <= {(8,), (3,)}
    assert all(np.array_equal(a, b) for a, b in zip(before, model.variables, strict=True))


def test_models_of_tf_keras():
    x = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype(np.float32)
    layers = [tf_keras.layers.Conv2D(4, 3), tf_keras.layers.BatchNormalization(), tf_keras.layers.ReLU()]
    model = tf_keras.Sequential(
        [tf_keras.Input((6, 6, 2)), *layers, tf_keras.layers.Flatten(), tf_keras.layers.Dense(3)]
    )
    model.layers[1].moving_variance.assign(np.var(model.layers[0](x), axis=(0, 1, 2)))
    model.layers[1].moving_mean.assign(np.mean(model.layers[0](x), axis=(0, 1, 2)))
    fixed = tfmp.quantize(model, calibration=tf.data.Dataset.from_tensor_slices(x).batch(1))
    assert isinstance(fixed, tf_keras.Model)
    assert decibels(model(x), np.asarray(fixed(x))) > 30


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (0, "`bits` must be"),
        (9, "`bits` must be"),
        ((8, 8, 8), "`bits` must be"),
        ("8", "`bits` must be an integer, a pair"),
        (None, "`bits` must be an integer, a pair"),
        ({"nowhere": (8, 8)}, "Received: nowhere"),
        ({"inside": (9, 8)}, "1 to 8"),
        ({"inside": 8}, "integers"),
    ],
)
def test_bits_that_are_none(bits, message):
    model = residual()
    with pytest.raises(ValueError, match=message):
        tfmp.quantize(model, bits, calibration=inputs_for(model))


def test_models_that_are_none():
    model = trained(residual())
    with pytest.raises(ValueError, match="in floating point.*tfmp.fix"):
        tfmp.quantize(tfmp.relax(model), calibration=inputs_for(model))
    with pytest.raises(ValueError, match="must have a layer that can be quantized"):
        tfmp.quantize(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]), calibration=np.ones((2, 3)))
    signed = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="signed")])
    with pytest.raises(ValueError, match=r"layer `signed` must be \(8, 8\): its input can be negative.*\(4, 8\)"):
        tfmp.quantize(signed, {"signed": (4, 8)}, calibration=np.ones((40, 3)), quantizer=("lsq", "hwgq"))
    with pytest.raises(TypeError, match="Keras model"):
        tfmp.quantize("model.keras", calibration=inputs_for(model))
    with pytest.raises(ValueError, match="finite"):
        tfmp.quantize(model, calibration=np.full((4, 8, 8, 3), np.nan))


def depthwise_network():
    """A small MobileNet for digits, its test images, and the deviation that accuracy may have."""
    (x, y), (x_test, y_test) = demo.load_digits()
    kl = keras.layers
    h = inputs = keras.Input((8, 8, 1))
    h = kl.ReLU(6.0)(kl.BatchNormalization(momentum=0.9)(kl.Conv2D(8, 3, padding="same", use_bias=False)(h)))
    for filters, strides in ((16, 1), (32, 2), (32, 1)):
        h = kl.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(h)
        h = kl.ReLU(6.0)(kl.BatchNormalization(momentum=0.9)(h))
        h = kl.ReLU(6.0)(kl.BatchNormalization(momentum=0.9)(kl.Conv2D(filters, 1, use_bias=False)(h)))
    model = keras.Model(inputs, kl.Dense(10, activation="softmax")(kl.GlobalAveragePooling2D()(h)))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=12, verbose=0)
    return model, x[:256], x_test


def denoiser():
    """Residual learning of noise on digits, as DnCNN's; a channel is silent unless an image has a glaring spot."""
    (x, _), (x_test, _) = demo.load_digits()
    rng, kl = np.random.default_rng(0), keras.layers
    spots = [images.copy() for images in (x, x_test)]
    for images in spots:
        images[::2, 2:4, 2:4] = 3
    noisy, noisy_test = (images + rng.normal(scale=0.2, size=images.shape).astype(np.float32) for images in spots)
    h = inputs = keras.Input((8, 8, 1))
    glare = np.zeros((3, 3, 1, 1), np.float32)
    glare[1, 1] = 1
    bright = kl.Conv2D(1, 3, padding="same", activation="relu", trainable=False, name="bright")
    h = kl.Concatenate()([bright(h), kl.Conv2D(15, 3, padding="same", activation="relu")(h)])
    bright.set_weights([glare, np.array([-2.0], np.float32)])
    h = kl.Conv2D(16, 1, groups=16, use_bias=False, name="middle")(h)
    h = kl.ReLU()(kl.BatchNormalization(momentum=0.9, epsilon=1e-5, name="middle_norm")(h))
    for _ in range(2):
        h = kl.Conv2D(16, 3, padding="same", use_bias=False)(h)
        h = kl.ReLU()(kl.BatchNormalization(momentum=0.9, epsilon=1e-5)(h))
    model = keras.Model(inputs, kl.Subtract()([inputs, kl.Conv2D(1, 3, padding="same", use_bias=False)(h)]))
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(noisy, spots[0], epochs=8, verbose=0)
    # Ranges have to hold the spots; that is not what is at stake here.
    calm = np.concatenate([noisy[1:512:2]])
    calm[0] = noisy[0]
    return model, calm, noisy_test


def perceptron():
    """A regression."""
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(3000, 12)).astype(np.float32), rng.normal(size=12)
    kl = keras.layers
    layers = [kl.Dense(64, activation="relu"), kl.BatchNormalization(momentum=0.9), kl.Dense(32, activation="tanh")]
    model = keras.Sequential([keras.Input((12,)), *layers, kl.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x[:2500], np.sin(x[:2500] @ direction) + x[:2500, 0] * x[:2500, 1], epochs=10, verbose=0)
    return model, x[:256], x[2500:]


def test_a_model_with_random_generators():
    keras.utils.set_random_seed(0)
    kl = keras.layers
    model = keras.Sequential([keras.Input((6,)), kl.Dense(5, activation="relu"), kl.Dropout(0.3, seed=1), kl.Dense(2)])
    x = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
    fixed = tfmp.quantize(model, 8, calibration=x)
    assert decibels(model(x), fixed(x)) > 20


@pytest.mark.slow
@pytest.mark.parametrize("make", [depthwise_network, denoiser, perceptron], ids=lambda make: make.__name__)
def test_int8_is_within_one_decibel_of_tensorflows_file(make, tmp_path):
    keras.utils.set_random_seed(0)
    model, x, x_test = make()
    exact = model.predict(x_test, verbose=0)
    theirs = run_file(tensorflow_file(model, x), x_test)
    tfmp.export_tflite(tfmp.quantize(model, 8, calibration=x), tmp_path / "model.tflite")
    mine = run_file((tmp_path / "model.tflite").read_bytes(), x_test)
    assert decibels(exact, mine) > decibels(exact, theirs) - 1
