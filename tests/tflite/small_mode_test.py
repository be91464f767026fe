"""Export with packed weights: the codes of the model folded for it, in files that never grow."""

import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tests.transform.fold_models import (
    UNTRAINED,
    check_against_reference,
    fixed_model,
    randomized,
    samples,
)
from tests.transform.fold_models import normalized as narrow
from tests.transform.segments import check_segments
from tfmp.bindings.framework import framework_of
from tfmp.tflite.interpreter import Interpreter
from tfmp.transform.fold import fold_graph


def wide():
    """A kernel of every kind, all but the last searched ones large enough to be packed."""

    def convolution(x, filters, size, name, **arguments):
        x = layers.Conv2D(filters, size, padding="same", use_bias=False, name=name, **arguments)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    image = keras.Input((9, 9, 3), name="image")
    x = skip = layers.ReLU()(convolution(image, 60, 3, "first"))
    x = layers.ReLU()(convolution(x, 31, 3, "square"))
    x = convolution(x, 64, 3, "odd", strides=2)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([x, convolution(skip, 64, 1, "shortcut", strides=2)]))
    x = layers.ReLU()(convolution(x, 64, (1, 7), "row"))
    x = layers.ReLU()(convolution(x, 64, 3, "dilated", dilation_rate=2))
    x = layers.Conv2D(40, 1, activation="relu", name="point")(x)
    x = layers.Reshape((25, 40), name="tokens")(x)
    x = layers.Conv1D(80, 5, strides=2, activation="relu", name="sequence")(x)
    x = layers.Dense(70, activation="relu", name="mixing")(x)
    x = layers.Dense(50, activation="relu", name="hidden")(layers.Flatten()(x))
    x = layers.Reshape((5, 5, 2), name="image_again")(x)
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.Conv2D(6, 3, name="tiny")(x)
    return keras.Model(image, layers.Dense(5, name="logits")(layers.Flatten()(x)), name="wide")


PACKED = {"square", "odd", "shortcut", "row", "dilated", "point", "sequence", "mixing", "hidden"}


@pytest.fixture(scope="module", params=[pytest.param("uniform", marks=pytest.mark.slow), "mixed"])
def fixed(request):
    keras.utils.set_random_seed(0)
    model = randomized(wide())
    pairs = {"uniform": [(2, 2)], "mixed": [(1, 2), (3, 3), (2, 8), (5, 2), (4, 1)]}
    return fixed_model(model, pairs[request.param], samples(model))


def test_every_operator_is_that_of_the_folded_model(fixed, tmp_path):
    data = samples(fixed)
    small, fast = tmp_path / "small.tflite", tmp_path / "fast.tflite"
    report = tfmp.export_tflite(fixed, small, mode="small", verify=data, batch_size=2, tolerance=UNTRAINED)
    assert all(operator.equal_share == 1 for operator in report.operators) and report.folded.equal_share == 1
    assert report.mode == "small" and report.outside_xnnpack == ()
    np.testing.assert_array_equal(Interpreter(small).run(data)["logits"], tfmp.fold(fixed, mode="small")(data))
    containers = {layer.name: layer.container for layer in report.file.layers if layer.bits}
    for name, (bits, _) in report.bits.items():
        narrowest = "INT2" if bits <= 2 else "INT4" if bits <= 4 else "INT8"
        assert containers[name] == (narrowest if name in PACKED else "INT8"), name
    assert report.size_bytes < tfmp.export_tflite(fixed, fast).size_bytes
    assert tfmp.compare_tflite(fixed, small, data) == report


def test_folded_operators_are_those_of_training(fixed):
    data = samples(fixed)
    graph = fold_graph(framework_of(fixed).read(fixed), mode="small")
    check_against_reference(graph, tfmp.fold(fixed, mode="small"), data)
    _, _, kinds = check_segments(fixed, {graph.inputs[0]: data}, mode="small")
    assert {"conv2d", "dense", "depthwise_conv2d"} <= set(kinds)


def test_packed_kernels_hold_the_codes_that_others_hold_shifted(fixed):
    fast, small = (fold_graph(framework_of(fixed).read(fixed), mode=mode) for mode in ("fast", "small"))
    assert all(operation.attributes.get("container_bits", 8) == 8 for operation in fast.operations)
    seen = set()
    for plain, packed in zip(fast.operations, small.operations, strict=True):
        if "kernel" not in packed.constants:
            continue
        bits = packed.attributes.get("container_bits", 8)
        kernel, scale = packed.constants["kernel"].astype(int), packed.constants["kernel_scale"].astype(float)
        assert -(2 ** (bits - 1)) <= kernel.min() and kernel.max() < 2 ** (bits - 1)
        plain_scale = plain.constants["kernel_scale"].astype(float)
        np.testing.assert_allclose(kernel * scale, plain.constants["kernel"] * plain_scale, rtol=1e-6)
        difference = packed.constants["bias"] * scale - plain.constants["bias"] * plain_scale
        assert np.all(np.abs(difference) <= 0.5 * (scale + plain_scale) * 1.001)
        seen.add(bits)
    assert seen > {8}


def test_a_network_too_small_for_helpers_does_not_grow(tmp_path):
    model = randomized(narrow())
    data = samples(model)
    fixed = fixed_model(model, [(2, 2)], data)
    fast, small = (
        tfmp.export_tflite(fixed, tmp_path / mode, mode=mode, verify=data, tolerance=UNTRAINED)
        for mode in ("fast", "small")
    )
    assert small.size_bytes <= fast.size_bytes
    with pytest.raises(ValueError, match="'fast', 'small'"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", mode="tiny")
    with pytest.raises(ValueError, match="'fast', 'small'"):
        tfmp.fold(fixed, mode="tiny")
