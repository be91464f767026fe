"""Every kind of layer from the model to the file: against the model, and against the NumPy model of the runtime."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfmp
from tests.transform.fold_models import SAMPLES, check_against_reference, check_file, fixed_model, randomized, samples
from tests.transform.segments import check_segments
from tfmp.bindings.framework import framework_of
from tfmp.graph import Grid
from tfmp.tflite.interpreter import Interpreter
from tfmp.transform.edits.floating_point import in_floating_point

PAIRS = [(8, 8), (4, 4)]


def image(size=8, channels=4):
    return keras.Input((size, size, channels), name="image")


def ended(inputs, x, name):
    """A model with a low-bit head after the tested layers."""
    x = layers.Conv2D(4, 1, name="behind")(x) if len(x.shape) == 4 else layers.Dense(4, name="behind")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(x)), name=name)


def activated():
    x = inputs = image()
    for activation in ("silu", "hard_silu", "sigmoid", "tanh", "gelu", "elu", "hard_sigmoid", "leaky_relu"):
        x = layers.Conv2D(6, 1, activation=activation, name=activation)(x)
    x = layers.LeakyReLU(0.01, name="leaky")(layers.Conv2D(6, 1, name="before_leaky")(x))
    x = layers.ReLU(negative_slope=0.3, name="sloped")(layers.Conv2D(6, 1, name="before_sloped")(x))
    return ended(inputs, x, "activated")


def parametric():
    x = inputs = image(4)
    for name, axes in (("channels", [1, 2]), ("rows", [2]), ("values", None)):
        x = layers.Conv2D(5, 1, name=f"before_{name}")(x)
        x = layers.PReLU(shared_axes=axes, name=name)(x)
    x = layers.Dense(6, name="vector")(layers.Flatten()(x))
    return ended(inputs, layers.PReLU(name="vector_slopes")(x), "parametric")


def gated():
    inputs = image()
    x = layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.Activation("silu", name="swish")(x)
    gate = layers.GlobalAveragePooling2D(name="squeeze")(x)
    gate = layers.Reshape((1, 1, 6), name="shape")(gate)
    gate = layers.Conv2D(3, 1, activation="relu", name="reduce")(gate)
    gate = layers.Conv2D(6, 1, name="expand")(gate)
    x = layers.Multiply(name="excite")([x, ops.relu6(gate + 3.0) * (1 / 6)])
    y = layers.Conv2D(6, 1, name="left")(x)
    x = layers.Subtract(name="difference")([x, y]) * y
    x = ops.add(x, layers.GlobalAveragePooling2D(keepdims=True, name="mean")(y))
    x = layers.Multiply(name="three")([x, y, layers.Conv2D(6, 1, name="right")(x)])
    return ended(inputs, x, "gated")


def mapped():
    """Affine maps: at the input, after products, after ReLUs, with constants per channel, and in sequence."""
    inputs = image(6, 3)
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    x = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.05, 0.06], name="norm")(x)
    x = layers.Rescaling([1.0, 2.0, 0.5], offset=0.1, name="rescale")(x)
    x = layers.ZeroPadding2D(1, name="frame")(x)
    x = layers.Conv2D(6, 3, name="stem")(x)
    x = (
        layers.BatchNormalization(name="stem_norm")(layers.Dropout(0.5)(x)) * np.linspace(-1, 1, 6, dtype="float32")
        - 0.2
    )
    x = layers.Conv2D(6, 1, activation="relu", name="middle")(layers.ReLU()(x))
    x = layers.BatchNormalization(name="after_relu")(x)
    x = layers.Conv2D(6, 1, name="late")(x)
    x = (2 - layers.ReLU()(x) * 0.5) / 4
    return ended(inputs, -x, "mapped")


def moved():
    x = inputs = image(7)
    x = layers.Conv2D(6, 3, padding="same", name="stem")(x)
    x = layers.Cropping2D(((1, 0), (0, 1)), name="crop")(layers.ReLU()(x))
    x = layers.UpSampling2D((2, 3), name="nearest")(x)
    x = layers.Conv2D(5, 3, strides=2, name="first")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="bilinear")(x)
    y = layers.Permute((2, 1, 3), name="turn")(layers.Conv2D(4, 1, name="second")(x))
    y = layers.Permute((2, 1, 3), name="back")(layers.Conv2D(4, 1, name="third")(y))
    x = layers.Concatenate(axis=2, name="wide")([y, layers.Conv2D(4, 1, name="fourth")(x)])
    x = layers.GlobalMaxPooling2D(name="peak")(x)
    x = layers.RepeatVector(3, name="rows")(layers.Dense(5, name="vector")(x))
    return ended(inputs, x, "moved")


def decoded():
    x = inputs = image(5)
    for number, (padding, strides, size) in enumerate((("same", 2, 3), ("valid", (1, 2), (2, 3)), ("valid", 3, 2))):
        x = layers.Conv2DTranspose(6, size, strides=strides, padding=padding, name=f"up{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(7, 3, strides=2, depth_multiplier=2, activation="relu", name="separable")(x)
    x = layers.SeparableConv2D(5, 3, use_bias=False, name="separable_norm")(x)
    x = layers.BatchNormalization()(x)
    return ended(inputs, x, "decoded")


def sequence():
    x = signal = keras.Input((24, 3), name="signal")
    x = layers.ZeroPadding1D((1, 2), name="frame")(x)
    x = layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same", name="depthwise")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.SeparableConv1D(8, 3, strides=2, padding="same", activation="relu", name="separable")(x)
    x = layers.MaxPooling1D(3, 1, padding="same", name="maximum")(x)
    x = layers.Conv1D(8, 3, padding="same", dilation_rate=2, groups=2, name="grouped")(x)
    y = layers.AveragePooling1D(2, name="average")(x)
    y = layers.UpSampling1D(2, name="twice")(layers.Conv1D(8, 1, activation="relu", name="between")(y))
    y = layers.Cropping1D((1, 0), name="crop")(layers.ZeroPadding1D((1, 0), name="shift")(y))
    x = layers.Add(name="add")([x, y])
    x = layers.Concatenate(name="ends")([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    return ended(signal, x, "sequence")


def rearranged():
    """Slices and joins, extremes and averages, reductions, a normalization of rows, other transposed convolutions."""
    inputs = image(6)
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    left, right = ops.split(layers.BatchNormalization(axis=1, name="rows")(x), 2, axis=-1)
    x = layers.Maximum(name="larger")([left, ops.flip(right, axis=2), layers.Conv2D(4, 1, name="third")(x)])
    x = layers.Average(name="halves")([x, layers.Conv2D(4, 1, activation="mish", name="smooth")(left)])
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", output_padding=0, name="odd")(x[:, 1:, ::2])
    x = layers.Conv2DTranspose(5, 2, dilation_rate=2, name="dilated")(layers.ReLU()(x))
    x = ops.image.resize(ops.space_to_depth(x[:, :-1, :6], 2), (4, 8))
    x = layers.Conv2D(6, 1, name="late")(x)
    x = ops.stack([ops.mean(x, axis=1), ops.max(x, axis=1)], axis=1)
    return ended(inputs, ops.sum(layers.Conv2D(6, 1, name="rowwise")(x), axis=2), "rearranged")


def tokens():
    inputs = keras.Input((12,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 6, name="words")(inputs)
    x = layers.Conv1D(8, 3, strides=2, activation="softplus", name="down")(x)
    x = layers.Conv1DTranspose(5, 3, strides=2, padding="same", activation="relu", name="up")(x)
    return ended(inputs, layers.Conv1D(4, 1, name="after")(x), "tokens")


MODELS = (activated, parametric, gated, mapped, moved, decoded, sequence, rearranged, tokens)


def built(make):
    keras.utils.set_random_seed(0)
    model = randomized(make())
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, layers.PReLU):
            layer.alpha.assign(rng.uniform(-0.5, 0.7, layer.alpha.shape))
    if make is tokens:
        return model, rng.integers(0, 20, (SAMPLES, 12)).astype(np.int32)
    data = samples(model)
    return model, np.rint(np.clip(data * 50 + 120, 0, 255)) if make is mapped else data


@pytest.mark.default_cases("gated", "rearranged", "tokens")  # activations, one by one: unary_functions_test
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_a_kind_relaxed_in_integers_and_in_the_file(make, tmp_path):
    model, data = built(make)
    fixed = fixed_model(model, PAIRS, data, weight_bits=(4, 8), activation_bits=(4, 8))
    framework = framework_of(fixed)
    plain = framework.write(in_floating_point(framework.read(fixed)))
    np.testing.assert_allclose(plain(data), model(data), rtol=1e-3, atol=1e-4)
    graph, _, _ = check_segments(fixed, {model.input.name: data})
    check_against_reference(graph, tfmp.fold(fixed), data)
    check_file(fixed, data, tmp_path / "model.tflite")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_images_of_whole_numbers_are_stored_as_they_are(dtype, tmp_path):
    x = inputs = keras.Input((6, 6, 3), dtype=dtype, name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="scale")(x)
    model = ended(inputs, layers.Conv2D(4, 3, name="first")(x), "pixels")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 6, 6, 3)).astype(np.uint8)
    pixels[0, 0, 0] = [0, 255, 1]
    relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=pixels.astype(dtype))
    graph, codes, _ = check_segments(relaxed, {"image": pixels.astype(np.float32)})
    np.testing.assert_array_equal(codes["image_codes"], pixels)
    assert graph.tensors["image_codes"].grid == Grid(1.0, 0, 255)
    path = tmp_path / "model.tflite"
    tfmp.export_tflite(relaxed, path, input_type="uint8")
    (outputs,) = Interpreter(path).run(pixels).values()
    np.testing.assert_array_equal(outputs, tfmp.fold(relaxed)(pixels.astype(np.float32)))


@pytest.mark.default_cases("0.0", "1000000.0")
@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e6])
def test_tensors_that_are_all_but_zero_or_huge(factor, tmp_path):
    # Factors between their grids and others' are beyond what the runtime takes.
    inputs = image(4)
    live, other = (layers.Conv2D(4, 1, name=name)(inputs) for name in ("live", "other"))
    parts = [live * other, layers.Subtract()([other, live]), layers.Add()([other, other]), layers.ReLU()(other) * 1e-4]
    parts += [layers.LeakyReLU(0.01)(other), layers.PReLU(alpha_initializer="ones")(other)]
    parts += [layers.Activation(name)(other) for name in ("silu", "hard_silu", "gelu", "tanh")]
    model = ended(inputs, layers.Concatenate()(parts), "extremes")
    model.get_layer("other").kernel.assign(model.get_layer("other").kernel * factor)
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=data)
    check_segments(relaxed, {"image": data})
    check_file(relaxed, data, tmp_path / "model.tflite")
