import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

import tfmp
from tfmp.bindings.keras2.keras2_framework import Keras2Framework

KERAS_2 = Keras2Framework()


def backbone(size=None):
    """A residual block: its sum needs stored tensors. Height and width may be free."""
    x = inputs = tf_keras.Input((size, size, 3), name="image")
    x = kl.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(x)
    x = skip = kl.ReLU(name="relu")(kl.BatchNormalization(name="norm")(x))
    x = kl.Conv2D(4, 3, padding="same", name="conv2")(x)
    return tf_keras.Model(inputs, kl.ReLU(name="out")(kl.Add(name="add")([x, skip])), name="backbone")


def siamese():
    """One nested model in two calls; its sizes are known from outside alone."""
    left, right = tf_keras.Input((8, 8, 3), name="left"), tf_keras.Input((8, 8, 3), name="right")
    encoder = backbone()
    x = kl.GlobalAveragePooling2D(name="average")(kl.Add(name="sum")([encoder(left), encoder(right)]))
    return tf_keras.Model({"left": left, "right": right}, kl.Dense(3, name="head")(x), name="siamese")


def sequential():
    """Built by a batch, with another model inside."""
    top = tf_keras.Sequential([kl.Flatten(name="flatten"), kl.Dense(4, activation="relu", name="conv1")], name="top")
    model = tf_keras.Sequential([backbone(8), top, kl.Dense(3, name="head")], name="sequential")
    model(np.zeros((2, 8, 8, 3), np.float32))
    return model


def several():
    a, b = tf_keras.Input((4,), name="a"), tf_keras.Input((4,), name="b")
    shared = kl.Dense(4, name="shared")
    deep = shared(kl.ReLU()(kl.Dense(4, name="deep")(a)))
    return tf_keras.Model({"a": a, "b": b}, {"one": shared(b), "two": [deep, kl.Dense(2)(deep)]}, name="several")


def functions():
    inputs = tf_keras.Input((8, 8, 3))
    x = kl.Conv2D(4, 3)(inputs) * 2 + np.arange(4.0, dtype=np.float32)
    x = tf.nn.relu(x)[:, 1:, ::2]
    x = tf.concat([x, tf.nn.relu6(x) - 1.0], axis=-1)
    left, right = tf.split(tf.reduce_mean(x, (1, 2)), 2, axis=-1)
    return tf_keras.Model(inputs, kl.Dense(2)(left + right), name="functions")


@tf_keras.saving.register_keras_serializable("graph_test")
class Block(kl.Layer):
    """Its children get new names from Keras each time it is built."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first, self.second = kl.Dense(units), kl.Dense(units)

    def call(self, x, scale=1.0, other=None):
        x = self.second(tf.tanh(self.first(x))) * scale
        return x if other is None else x + other

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def custom():
    inputs = tf_keras.Input((4,))
    x = Block(4)(inputs, scale=3.0)
    x = kl.Lambda(lambda x, factor: x * factor, arguments={"factor": 2.0})(x)
    return tf_keras.Model(inputs, kl.Dense(2)(Block(4)(x, other=inputs)), name="custom")


def wrappers():
    inputs = tf_keras.Input((5, 4))
    x = kl.LayerNormalization()(kl.MultiHeadAttention(2, 3)(inputs, inputs) + inputs)
    x = kl.Bidirectional(kl.GRU(2, return_sequences=True))(kl.TimeDistributed(kl.Dense(3))(x))
    return tf_keras.Model(inputs, kl.Conv1D(2, 3, padding="causal")(x), name="wrappers")


def half_precision():
    layers = [kl.Conv2D(3, 3, dtype="mixed_float16"), kl.Flatten(), kl.Dense(2)]
    return tf_keras.Sequential([tf_keras.Input((6, 6, 2)), *layers], name="half_precision")


MODELS = [siamese, sequential, several, functions, custom, wrappers, half_precision]


def trained(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.uniform(0.1, 1.0, size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1])))
    return model


def samples(model, count=16, seed=1):
    rng = np.random.default_rng(seed)
    return tf.nest.map_structure(lambda t: rng.normal(size=(count, *t.shape[1:])).astype(np.float32), model.input)


@pytest.mark.parametrize("make", MODELS)
def test_what_is_read_is_written_again(make):
    model = trained(make())
    graph = KERAS_2.read(model)
    again = KERAS_2.write(graph)
    assert graph.framework == "tf_keras" and again.name == model.name
    assert not {id(v) for v in model.variables} & {id(v) for v in again.variables}, "nothing is shared"
    assert sum(layer.num_parameters for layer in graph.layers.values()) == model.count_params()
    x = samples(model)
    expected, actual = model(x), again(x)
    tf.nest.assert_same_structure(expected, actual)
    for one, other in zip(tf.nest.flatten(expected), tf.nest.flatten(actual), strict=True):
        assert float(np.std(one)) > 0
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert KERAS_2.read(again).calls == graph.calls


@pytest.mark.parametrize("make", [siamese, several])
def test_tensor_model_gives_the_named_tensors(make):
    model = trained(make())
    graph, x = KERAS_2.read(model), samples(model)
    names = list(dict.fromkeys(graph.output_names))
    inner = next(name for name in graph.tensors if graph.producer(name).inputs)
    outputs = KERAS_2.tensor_model(model, [*names, inner])(x)
    expected = dict(zip(graph.output_names, tf.nest.flatten(model(x)), strict=True))
    for name, output in zip(names, outputs, strict=False):
        np.testing.assert_array_equal(output, expected[name])
    if make is siamese:
        np.testing.assert_allclose(outputs[-1], model.get_layer("backbone").get_layer("conv1")(x["left"]), rtol=1e-5)


def test_names_shapes_and_kinds():
    graph = KERAS_2.read(siamese())
    calls = [call for call in graph.calls if call.layer == "backbone/conv2"]
    assert [call.outputs for call in calls] == [("backbone/conv2",), ("backbone:call_1/conv2",)]
    assert graph.layers["backbone/conv1"].shape.output_size == (8, 8)
    assert graph.layers["backbone/conv1"].shape.reads_network_input
    assert KERAS_2.read(sequential()).tensors["input"].shape == (None, 8, 8, 3)
    kinds = [layer.kind for layer in KERAS_2.read(functions()).in_order()]
    assert [kinds.count(kind) for kind in ("affine", "relu", "concatenate", "add")] == [3, 2, 1, 1]
    kinds = {layer.name: layer.kind for layer in KERAS_2.read(custom()).in_order()}
    assert list(kinds.values()).count("other") == 3


@pytest.mark.slow
def test_from_float_to_file(tmp_path):
    model = trained(siamese())
    model.get_layer("backbone").trainable = False
    x = samples(model, 32)
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), first_and_last="search", calibration=x)
    relaxed.compile(tfmp.keras2.SelectionOptimizer("sgd", "adam"), "mse", run_eagerly=True)
    search = tfmp.keras2.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(3, 3)))
    conv1 = KERAS_2.layer(relaxed, "backbone/conv1")
    before = conv1.kernel.numpy(), conv1.weight_selector.logits.numpy()
    relaxed.fit(x, np.ones((32, 3)), batch_size=16, callbacks=[search], verbose=0)
    np.testing.assert_array_equal(conv1.kernel, before[0], err_msg="frozen")
    assert (conv1.weight_selector.logits.numpy() != before[1]).all(), "its bits are searched"
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=search.budget)
    assert set(assignment) == {"backbone/conv1", "backbone/conv2", "head"}
    fixed = tfmp.fix(relaxed, assignment, calibration=x)
    assert KERAS_2.layer(fixed, "backbone/conv1").trainable_weights == []
    fixed.save(tmp_path / "fixed.h5")
    loaded = tfmp.load_model(tmp_path / "fixed.h5")
    np.testing.assert_allclose(loaded(x), fixed(x), rtol=1e-5, atol=1e-6)
    report = tfmp.export_tflite(loaded, tmp_path / "model.tflite", verify=x)
    assert set(assignment) <= set(report.bits)


class Subclass(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = kl.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_models_that_cannot_be_read():
    with pytest.raises(ValueError, match="not built"):
        KERAS_2.read(tf_keras.Sequential([kl.Dense(3)]))
    model = Subclass()
    model(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="subclass"):
        KERAS_2.read(model)
    with pytest.raises(ValueError, match="no layer `conv9`.*conv1"):
        KERAS_2.layer(siamese(), "backbone/conv9")
    with pytest.raises(TypeError, match="tf_keras model"):
        KERAS_2.read(kl.Dense(2))


class Unserializable(kl.Layer):
    """tf_keras keeps the arguments of a constructor, as far as it can store them."""

    def __init__(self, units):
        super().__init__()
        self.dense = kl.Dense(len(units))

    def call(self, x):
        return self.dense(x)


class Forgetful(Unserializable):
    def get_config(self):
        return {"more": 1}


@pytest.mark.parametrize("layer_class", [Unserializable, Forgetful])
def test_a_layer_that_does_not_build_again_is_an_error(layer_class):
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(inputs, layer_class({object()})(inputs))
    with pytest.raises(ValueError, match=f"(?s){layer_class.__name__}.*get_config"):
        KERAS_2.write(KERAS_2.read(model))


def test_arguments_by_keyword_alone():
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(inputs, kl.Dense(2)(tf.concat(axis=-1, values=[inputs, inputs]) + 3.0))
    x = samples(model)
    np.testing.assert_allclose(KERAS_2.write(KERAS_2.read(model))(x), model(x), rtol=1e-6)
