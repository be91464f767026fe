"""Sizes that are counted before the values are known, against files with values."""

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.costs.network_sizes import apart
from tests.operators import table_test
from tests.transform.fold_models import fixed_model, randomized, samples
from tfmp.bindings.framework import framework_of
from tfmp.lowering.open_lowering import write_open
from tfmp.lowering.write_operations import write_operations
from tfmp.transform.fold import fold_graph


class Recorder:
    """A sink that keeps operators with the tensors that they write, and constants by name."""

    def __init__(self):
        self.tensors, self.operators = [], []

    def tensor(self, name, shape, *, dtype, quantization=None):
        self.tensors.append((name, tuple(shape), dtype))
        return len(self.tensors) - 1

    def constant(self, name, values, *, quantization=None, packed_bits=None):
        self.tensors.append((name, tuple(values.shape), packed_bits or np.dtype(values.dtype).name))
        return len(self.tensors) - 1

    def operator(self, kind, inputs, outputs, *, version, options=None):
        read, written = ([self.tensors[index] for index in indices] for indices in (inputs, outputs))
        self.operators.append((kind, version, options and options.name, read, written))


def gated_blocks():
    """Blocks of MobileNetV3: squeeze and excite, hard swishes and hard sigmoids."""
    x = image = keras.Input((8, 8, 3))
    x = kl.Activation("hard_swish")(kl.BatchNormalization()(kl.Conv2D(8, 3, strides=2, padding="same")(x)))
    for channels in (8, 12):
        y = kl.Activation("hard_swish")(kl.BatchNormalization()(kl.Conv2D(16, 1, use_bias=False)(x)))
        y = kl.BatchNormalization()(kl.DepthwiseConv2D(3, padding="same", use_bias=False)(y))
        y = kl.Activation("hard_swish")(y)
        gate = kl.Conv2D(8, 1, activation="relu")(kl.GlobalAveragePooling2D(keepdims=True)(y))
        y = kl.Multiply()([y, kl.Activation("hard_sigmoid")(kl.Conv2D(16, 1)(gate))])
        y = kl.BatchNormalization()(kl.Conv2D(channels, 1, use_bias=False)(y))
        x = kl.Add()([x, y]) if x.shape == y.shape else y
    return keras.Model(image, kl.Dense(3, activation="softmax")(kl.GlobalAveragePooling2D()(x)), name="gated_blocks")


BUILDERS = (gated_blocks, table_test.moved, table_test.gated, table_test.parametric)


@pytest.mark.default_cases("gated_blocks-small", "moved-fast")
@pytest.mark.parametrize("mode", ["fast", "small"])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_the_same_operators_without_values(build, mode):
    keras.utils.set_random_seed(0)
    model = randomized(build())
    fixed = apart(fixed_model(model, [(2, 4), (4, 3), (8, 8), (1, 2)], samples(model)))
    framework = framework_of(fixed)
    expected, found = Recorder(), Recorder()
    write_operations(fold_graph(framework.read(fixed), mode=mode), expected)
    write_open(framework.read(fixed, weights=False), found, mode=mode)
    assert found.operators == expected.operators


def other():
    """Layers that have no integer form, of several outputs too."""
    x = image = keras.Input((8, 8, 4))
    x = kl.LayerNormalization()(kl.Conv2D(4, 3, activation="gelu")(x))
    x = kl.Add()([x, x, kl.UnitNormalization(axis=1)(x)])
    sequence, state, _ = kl.LSTM(5, return_sequences=True, return_state=True)(kl.Reshape((6, 24))(x))
    return keras.Model(image, [kl.Dense(3, activation="sigmoid")(sequence), kl.Dense(2)(state)])


def test_layers_without_an_integer_form_are_one_operator():
    model = other()
    sink = Recorder()
    write_open(framework_of(model).read(model, weights=False), sink)
    assert {dtype for _, _, dtype in sink.tensors} <= {"float32", "int32"}  # shapes are int32
    shapes = {tuple(shape for _, shape, _ in written) for kind, _, _, _, written in sink.operators if kind == "OTHER"}
    assert {((1, 6, 5),), ((1, 5),), ((1, 6, 6, 4),)} <= shapes
    assert len(next(read for kind, _, _, read, _ in sink.operators if kind == "ADD")) == 3
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(4,), first_and_last="search")
    for name in ("tflite_bytes", "peak_activation_memory"):
        assert 0 < tfmp.cost(relaxed, name) and 0 < tfmp.cost(model, name)
