"""Folding and export of small models from end to end, against a NumPy model of the runtime."""

import inspect
import sys

import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tests.transform.fold_models import (
    BITS,
    MODELS,
    branches,
    by_input,
    check_against_reference,
    check_file,
    check_kernels,
    check_outputs,
    codes_of,
    fixed_model,
    normalized,
    plain,
    randomized,
    samples,
    several,
    sums,
)
from tests.transform.segments import check_segments
from tfmp.bindings.framework import framework_of
from tfmp.transform.fold import fold_graph

CASES = [(name, "low") for name in MODELS]
CASES += [(name, "mixed") for name in ("plain", "normalized", "residual", "branches", "several")]
CASES += [(name, "eight") for name in ("preactivated", "pooled")]


@pytest.mark.default_cases("residual-mixed", "branches-low")  # several inputs and outputs: export_tflite_test
@pytest.mark.parametrize(("name", "bits"), CASES)
def test_the_models_the_reference_and_the_file_agree(name, bits, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(MODELS[name]())
    data = samples(model)
    fixed = fixed_model(model, BITS[bits], data)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    *_, compared = check_segments(fixed, by_input(graph, data))
    assert compared.keys() & {"conv2d", "dense"}
    check_outputs(graph, fixed, folded, data, top1=0.97 if bits == "eight" else 0.8)
    content = check_file(fixed, data, tmp_path / "model.tflite")
    check_kernels(graph, fixed, content)


DUAL_PRECISION = {"quantizer": "dual_precision", "weight_bits": (1, 2, 4), "activation_bits": (1, 2, 4)}


@pytest.mark.default_cases("residual-*", "normalized-pairs3-*")
@pytest.mark.parametrize(
    ("name", "pairs", "arguments"),
    [
        ("residual", [(2, 2), (4, 3), (1, 4)], {"quantizer": "hwgq"}),
        ("plain", [(3, 3), (2, 4)], {"quantizer": ("hwgq", "lsq")}),
        ("normalized", [(1, 4), (2, 1), (4, 2)], DUAL_PRECISION),
        ("normalized", [(4, 4), (8, 8), (2, 3)], {"quantizer": ("linear", "moving_range"), "weight_bits": (2, 4)}),
        ("normalized", [(2, 4), (8, 8), (4, 2)], {"first_and_last": "search"}),
        ("sequence", [(3, 4), (4, 3)], {"shared_range": False, "relaxation": "gumbel", "weight_bits": (3, 4)}),
    ],
)
def test_other_quantizers_and_other_first_and_last_layers(name, pairs, arguments, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(MODELS[name]())
    data = samples(model)
    fixed = fixed_model(model, pairs, data, **{"activation_bits": (3, 4), **arguments})
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    check_segments(fixed, by_input(graph, data))
    check_outputs(graph, fixed, folded, data, top1=0.8)
    check_kernels(graph, fixed, check_file(fixed, data, tmp_path / "model.tflite"))
    if arguments.get("first_and_last") == "search":
        report = tfmp.export_tflite(fixed, tmp_path / "again.tflite")
        assert report.bits["first"] == (2, 4) and report.bits["logits"] != (8, 8)


def built_by_hand(normalization, *, bias=True, bits=4):
    """A convolution of ours with a normalization that no transform has touched."""
    image = keras.Input((6, 6, 3), name="image")
    x = tfmp.layers.MixedPrecisionConv2D(
        8, 3, weight_bits=bits, activation_bits=8, signed_input=True, use_bias=bias, name="conv"
    )(image)
    x = layers.ReLU()(normalization(x))
    x = tfmp.layers.MixedPrecisionConv2D(4, 1, weight_bits=2, activation_bits=3, name="point")(x)
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(x), name="by_hand")
    data = samples(model)
    model(data, training=True)  # ranges
    return model, data


GAMMAS = {
    "negative": [-1, -0.5, -2, -0.01, 1, 0.5, 2, 0.01],
    "vanishing": [0, 1e-9, -1e-9, 1e-20, 0, -0.0, 1e-4, 1],
}


@pytest.mark.default_cases("negative-1", "negative-4", "vanishing-2", "vanishing-8")
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", GAMMAS)
def test_normalization_of_any_sign_and_size(kind, bits, tmp_path):
    keras.utils.set_random_seed(0)
    model, data = built_by_hand(layers.BatchNormalization(name="bn"), bits=bits)
    bn = model.get_layer("bn")
    bn.gamma.assign(GAMMAS[kind])
    bn.beta.assign([0.3, -0.2, 0.9, 0.1, 0, 0.4, 0.5, -0.3])
    bn.moving_mean.assign([0.1, -0.2, 0.3, 0, 0, 0.2, -0.5, 0.1])
    model.get_layer("conv").bias.assign(np.linspace(-0.5, 0.5, 8))
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    check_segments(model, by_input(graph, data))
    check_outputs(graph, model, folded, data, top1=0.9)
    content = check_file(model, data, tmp_path / "model.tflite")
    if kind == "negative":
        check_kernels(graph, model, content)


@pytest.mark.parametrize("gamma", [0.0, 1e-9, -1e-9, 1e-4, -0.7])
def test_normalization_that_stands_alone_of_any_sign_and_size(gamma, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((5, 5, 4), name="image")
    x = tfmp.layers.Quantize(8, name="stored")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = tfmp.layers.MixedPrecisionConv2D(4, 1, weight_bits=2, activation_bits=4, signed_input=True, name="point")(x)
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(x))
    data = samples(model)
    model(data, training=True)
    model.get_layer("bn").gamma.assign([1, gamma, 1, gamma])
    model.get_layer("bn").beta.assign([0.3, -0.5, 0, 0.5])
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    *_, compared = check_segments(model, by_input(graph, data))
    assert "depthwise_conv2d" in compared
    check_file(model, data, tmp_path / "model.tflite")


def test_bias_that_is_large_for_its_channel_stays_in_32_bits(tmp_path):
    # One-bit codes are shifted by six bits where there is room; a bias of 2**29 units leaves room for less.
    model, data = built_by_hand(layers.BatchNormalization(name="bn"), bits=1)
    model.get_layer("bn").gamma.assign(np.geomspace(1e-9, 1e-5, 8))
    model.get_layer("bn").beta.assign(np.full(8, 0.9))
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    (conv,) = (operation for operation in graph.operations if operation.name == "conv")
    assert np.all(conv.constants["bias"] > 0) and conv.constants["bias"].max() > 2**28
    assert len(np.unique(np.abs(conv.constants["kernel"]).max(axis=(0, 1, 2)))) > 3
    check_against_reference(graph, folded, data)
    check_segments(model, by_input(graph, data))
    check_file(model, data, tmp_path / "model.tflite")


def test_addition_of_a_branch_that_is_all_but_zero(tmp_path):
    # The runtime adds tensors of comparable scales: the small one is put on a coarser grid.
    image = keras.Input((4, 4, 3), name="image")
    stored = tfmp.layers.Quantize(8, name="stored")(image)
    dead = tfmp.layers.MixedPrecisionConv2D(3, 1, weight_bits=4, activation_bits=8, signed_input=True, name="dead")
    total = layers.Add(name="total")([stored, tfmp.layers.Quantize(8, name="small")(dead(stored))])
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(total))
    dead.kernel.assign(np.random.default_rng(0).normal(0, 1e-6, (1, 1, 3, 3)))
    dead.weight_selector.calibrate(keras.ops.convert_to_numpy(dead.kernel))
    data = samples(model)
    model(data, training=True)
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    check_file(model, data, tmp_path / "model.tflite")
    assert np.abs(folded(data) - data).max() < np.ptp(data) / 255


def test_tensor_that_is_always_zero(tmp_path):
    # Its range is all but zero, and so the factor onto its grid far beyond what the runtime takes.
    def conv(**arguments):
        return tfmp.layers.MixedPrecisionConv2D(3, 1, weight_bits=4, activation_bits=8, **arguments)

    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3), name="image")
    stored = tfmp.layers.Quantize(8, name="stored")(image)
    x = conv(activation="relu", signed_input=True, name="dead")(stored)
    x = conv(quantizer=("lsq", "moving_range"), name="behind")(tfmp.layers.Quantize(8, signed=False, name="zero")(x))
    total = layers.Add(name="total")([stored, tfmp.layers.Quantize(8, name="constant")(x)])
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(total))
    data = samples(model)
    model.get_layer("dead").bias.assign([-100, -100, -100])
    model.get_layer("behind").bias.assign([0.1, 0.2, -0.3])
    model(data, training=True)
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    operations = {operation.name: operation for operation in graph.operations}
    assert graph.tensors["dead"].grid.scale < 1e-10
    assert np.all(graph.multiplier(operations["dead"]) > 250)
    check_against_reference(graph, folded, data)
    check_outputs(graph, model, folded, data, top1=0.95)
    check_file(model, data, tmp_path / "model.tflite")
    model.get_layer("dead").bias.assign([1, 1, 1])  # alive after all: beyond its range everywhere, as in training
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    assert set(np.unique(codes_of(graph, data)["dead"])) <= {0, 255}
    check_outputs(graph, model, folded, data, top1=0.95)
    model.get_layer("dead").bias.assign([-1e8, -1e6, 1e8])  # far beyond: sums that the runtime's 32 bits must hold
    check_file(model, data, tmp_path / "far.tflite")


@pytest.mark.parametrize(("padding", "kind"), [("same", "average_pool"), ("valid", "mean")])
def test_average_of_windows_as_large_as_the_image(padding, kind, tmp_path):
    # Only without padding is there one window, the image itself.
    image = keras.Input((3, 3, 3), name="image")
    stored = tfmp.layers.Quantize(8, name="stored")(image)
    pooled = layers.AveragePooling2D(3, 1, padding=padding, name="average")(stored)
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(pooled))
    data = samples(model)
    model(data, training=True)
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    assert kind in {operation.kind for operation in graph.operations}
    check_against_reference(graph, folded, data)
    check_file(model, data, tmp_path / "model.tflite")


def test_fold_reads_the_model_as_it_is_now():
    keras.utils.set_random_seed(0)
    model = randomized(normalized())
    data = samples(model)
    fixed = fixed_model(model, [(4, 4)], data)
    before = fixed.get_weights()
    first = tfmp.fold(fixed).predict_on_batch(data)
    for weight, value in zip(fixed.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    for layer in fixed.layers:
        if hasattr(layer, "bias") and layer.bias is not None:
            layer.bias.assign(layer.bias + 0.1)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    assert (folded.predict_on_batch(data) != first).any()
    check_against_reference(graph, folded, data)
    check_outputs(graph, fixed, folded, data, top1=0.9)


def test_folded_model_saves_and_does_not_train(tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(branches())
    data = samples(model)
    folded = tfmp.fold(fixed_model(model, [(2, 3)], data))
    assert not folded.trainable_weights
    folded.save(tmp_path / "folded.keras")
    again = tfmp.load_model(tmp_path / "folded.keras")
    np.testing.assert_array_equal(again.predict_on_batch(data), folded(data))


def test_fold_under_a_policy_of_mixed_precision():
    keras.utils.set_random_seed(0)
    model = randomized(plain())
    data = samples(model)
    fixed = fixed_model(model, [(4, 4)], data)
    expected = tfmp.fold(fixed)(data)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        np.testing.assert_array_equal(tfmp.fold(fixed)(data), expected)
    finally:
        keras.config.set_dtype_policy(before)


def test_sequential_model(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3, activation="relu", name="first"),
            layers.Conv2D(8, 3, name="second"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="last"),
        ]
    )
    data = samples(randomized(model))
    fixed = fixed_model(model, [(2, 2)], data)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    check_kernels(graph, fixed, check_file(fixed, data, tmp_path / "model.tflite"))


def test_names_of_inputs_and_outputs_are_the_users():
    def names(model):
        graph = fold_graph(framework_of(model).read(fixed_model(model, [(4, 4)], samples(model))))
        return graph.inputs, graph.output_names

    assert names(plain()) == (("image",), ("probabilities",))
    assert names(several()) == (("one", "two"), ("kind", "map"))


def test_additions_of_many_tensors_become_pairs():
    model = randomized(sums())
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=data)
    added = [layer.name for layer in relaxed.layers if isinstance(layer, layers.Add)]
    assert added == ["three_part", "three", "four_part", "four_part_1", "four", "twice"]
    wide = tfmp.relax(model, first_and_last="float", layers="next")
    np.testing.assert_array_equal([len(wide.get_layer(name).input) for name in ("three", "four")], [3, 4])
    expected = model(data)
    assert np.abs(relaxed(data) - expected).max() < 0.05 * np.ptp(expected)


def test_network_far_deeper_than_the_recursion_limit():
    x = signal = keras.Input((4,), name="signal")
    for index in range(40):
        x = tfmp.layers.MixedPrecisionDense(4, weight_bits=4, activation_bits=8, name=f"d{index}", signed_input=True)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(signal, tfmp.layers.Quantize(name="out")(x))
    model(samples(model), training=True)
    graph = framework_of(model).read(model)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 115)
    try:
        folded = fold_graph(graph)
    finally:
        sys.setrecursionlimit(limit)
    assert [operation.kind for operation in folded.operations] == ["quantize", *["dense"] * 40, "dequantize"]
