import keras
import numpy as np
import pytest
from keras import layers as kl
from keras import ops

from tfmp.bindings.framework import framework_of
from tfmp.bindings.keras3.keras3_framework import Keras3Framework
from tfmp.graph import LayerShape
from tfmp.layers import MixedPrecisionConv2D, MixedPrecisionDense

KERAS_3 = Keras3Framework()


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            kl.Conv2D(4, 3, padding="same", use_bias=False),
            kl.BatchNormalization(),
            kl.ReLU(6.0),
            kl.MaxPooling2D(),
            kl.Flatten(),
            kl.Dropout(0.5),
            kl.Dense(3, activation="softmax"),
        ]
    )


def residual():
    inputs = keras.Input((6, 6, 3))
    x = kl.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = kl.BatchNormalization()(kl.DepthwiseConv2D(3, padding="same")(x))
    x = kl.ReLU()(kl.Add()([x, y]))
    return keras.Model(inputs, kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))


def branches():
    inputs = keras.Input((6, 6, 2))
    left = kl.Conv2D(3, 3, padding="same")(inputs)
    right = kl.AveragePooling2D(1)(kl.Conv2D(2, 1)(inputs))
    return keras.Model(inputs, kl.Conv2D(2, 1)(kl.Concatenate()([left, right, inputs])))


def several_in_a_list():
    a, b = keras.Input((4,), name="a"), keras.Input((5,), name="b")
    x = kl.Concatenate()([kl.Dense(3, name="left")(a), b])
    return keras.Model([b, a], [kl.Dense(2, name="head")(x), a, x])


def several_in_a_dict():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = kl.Add()([kl.Dense(4)(a), b])
    return keras.Model({"a": a, "b": b}, {"sum": x, "head": kl.Dense(2)(x)})


def several_nested():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model({"x": [a, (b,)]}, (kl.Dense(2)(a), {"z": [kl.Dense(3)(b)]}))


def shared_called_twice():
    """The second call needs less than the first."""
    inputs = keras.Input((4,))
    shared = kl.Dense(4, name="shared")
    deep = shared(kl.ReLU()(kl.Dense(4, name="deep")(inputs)))
    return keras.Model(inputs, [deep, shared(inputs)])


def operations_without_layers():
    inputs = keras.Input((8, 8, 3))
    x = kl.Conv2D(4, 3)(inputs) * 2
    x = ops.relu(x) + np.arange(4.0, dtype=np.float32)
    x = ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, 1:, ::2]
    left, right = ops.split(ops.mean(x, axis=(1, 2)), 2, axis=-1)
    x = ops.concatenate([left, right * 3, ops.add(left, right)], axis=-1)
    return keras.Model(inputs, kl.Dense(2)(x))


@keras.saving.register_keras_serializable("graph_test")
class Block(kl.Layer):
    """Its children get new names from Keras each time it is built."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first, self.second = kl.Dense(units), kl.Dense(units)

    def call(self, x, scale=1.0, other=None):
        x = self.second(ops.tanh(self.first(x))) * scale
        return x if other is None else x + other

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def custom_layer():
    inputs = keras.Input((4,))
    x = Block(4)(inputs, scale=3.0)
    return keras.Model(inputs, kl.Dense(2)(Block(4)(x, other=inputs)))


def nested_models():
    inner = keras.Input((4,))
    x = kl.Dense(4)(inner)
    functional = keras.Model(inner, [x, kl.Dense(3)(x)], name="functional")
    inputs = keras.Input((4,))
    first, second = functional(inputs)
    again, _ = functional(first)
    x = keras.Sequential([kl.Dense(5), kl.BatchNormalization()], name="sequential")(second)
    return keras.Model(inputs, [x, again])


def frameworks_own_layers():
    inputs = keras.Input((5, 4))
    x = kl.MultiHeadAttention(2, 3)(inputs, inputs)
    x = kl.LayerNormalization()(x + inputs)
    x = kl.Bidirectional(kl.GRU(2, return_sequences=True))(kl.TimeDistributed(kl.Dense(3))(x))
    return keras.Model(inputs, kl.Conv1D(2, 3, padding="causal")(x))


def half_precision():
    return keras.Sequential([keras.Input((6, 6, 2)), kl.Conv2D(3, 3, dtype="mixed_float16"), kl.Flatten(), kl.Dense(2)])


def searchable():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            MixedPrecisionConv2D(4, 3, quantizer=("hwgq", "lsq"), shared_range=False),
            kl.Flatten(),
            MixedPrecisionDense(2, weight_bits=(2,), activation_bits=(4,)),
        ]
    )


MODELS = [
    sequential,
    residual,
    branches,
    several_in_a_list,
    several_in_a_dict,
    several_nested,
    shared_called_twice,
    operations_without_layers,
    custom_layer,
    nested_models,
    frameworks_own_layers,
    half_precision,
    searchable,
]


def with_random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.uniform(0.1, 1.0, size=variable.shape))
    return model


def random_inputs(model, seed=1):
    rng = np.random.default_rng(seed)
    first = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(lambda t: rng.normal(size=(2, *t.shape[1:])).astype(np.float32), first)


@pytest.mark.parametrize("make", MODELS)
def test_what_is_read_is_written_again(make):
    model = with_random_weights(make())
    graph = framework_of(model).read(model)
    again = framework_of(model).write(graph)
    assert graph.framework == "keras" and again.name == model.name
    assert {layer.name for layer in model.layers} <= {layer.name for layer in again.layers}
    assert not {id(v) for v in model.variables} & {id(v) for v in again.variables}, "nothing is shared"
    x = random_inputs(model)
    expected, actual = model(x), again(x)
    keras.tree.assert_same_structure(expected, actual)
    for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(actual), strict=True):
        assert float(ops.std(ops.cast(one, "float32"))) > 0
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_parameters_are_all_counted_once(make):
    model = make()
    graph = KERAS_3.read(model, weights=False)
    selectors = sum(np.prod(v.shape, dtype=int) for v in model.weights if "_selector/" in v.path or "_cost/" in v.path)
    assert sum(layer.num_parameters for layer in graph.layers.values()) == model.count_params() - selectors
    assert all(not layer.weights for layer in graph.layers.values())


@pytest.mark.parametrize("make", [residual, shared_called_twice, several_in_a_list])
def test_tensor_model_gives_the_named_tensors(make):
    model = with_random_weights(make())
    graph = KERAS_3.read(model)
    names = list(dict.fromkeys(graph.output_names))
    outputs = KERAS_3.tensor_model(model, names)(random_inputs(model))
    expected = dict(zip(graph.output_names, keras.tree.flatten(model(random_inputs(model))), strict=True))
    for name, output in zip(names, keras.tree.flatten(outputs), strict=True):
        np.testing.assert_array_equal(output, expected[name])


def test_calls_and_readers_of_a_residual_network():
    graph = KERAS_3.read(residual())
    (add,) = (call for call in graph.calls if graph.layer_of(call).kind == "add")
    assert [graph.layer_of(graph.producer(name)).kind for name in add.inputs] == ["conv2d", "batch_normalization"]
    assert [graph.layer_of(call).kind for call in graph.readers(add.inputs[0])] == ["depthwise_conv2d", "add"]
    assert [layer.kind for layer in graph.in_order()] == [
        *("input", "conv2d", "depthwise_conv2d", "batch_normalization", "add", "relu", "mean", "dense"),
    ]
    assert graph.searched == ()


def test_shared_layer_is_one_layer_with_two_calls():
    graph = KERAS_3.read(shared_called_twice())
    calls = [call for call in graph.calls if call.layer == "shared"]
    assert len(calls) == 2 and len({call.outputs for call in calls}) == 2
    assert sum(layer.name == "shared" for layer in graph.in_order()) == 1


def test_kinds_of_operations_without_a_layer():
    kinds = [layer.kind for layer in KERAS_3.read(operations_without_layers()).in_order()]
    assert kinds.count("relu") == 1 and kinds.count("concatenate") == 1 and kinds.count("add") == 1
    assert kinds.count("conv2d") == 1


@keras.saving.register_keras_serializable("graph_test")
class BatchNormalization(kl.Layer):
    """Shares no more than its name with the one of Keras."""

    def call(self, x):
        return x + 1


@keras.saving.register_keras_serializable("graph_test")
class Conv2D(kl.Conv2D):
    """A user's own convolution may compute anything."""


@pytest.mark.parametrize("layer", [BatchNormalization(), Conv2D(2, 3, name="own"), Block(3)])
def test_custom_layers_are_left_alone(layer):
    model = keras.Sequential([keras.Input((6, 6, 2)), layer, kl.Conv2D(2, 3)])
    graph = KERAS_3.read(model)
    assert graph.layers[layer.name].kind == "other" and graph.layers[layer.name].shape is None
    x = random_inputs(model)
    np.testing.assert_allclose(model(x), KERAS_3.write(graph)(x), rtol=1e-6)


@pytest.mark.parametrize("nest", [lambda layer: layer, lambda layer: keras.Sequential([keras.Input((3,)), layer])])
def test_an_adapted_normalization_stays_adapted(nest):
    layer = kl.Normalization()
    layer.adapt(np.random.default_rng(0).normal(5.0, 3.0, size=(100, 3)))
    model = keras.Sequential([keras.Input((3,)), nest(layer), kl.Dense(2)])
    x = random_inputs(model)
    np.testing.assert_allclose(KERAS_3.write(KERAS_3.read(model))(x), model(x), rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable("graph_test")
class Forgetful(kl.Layer):
    """Its configuration does not say how large it is."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.dense = kl.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return keras.layers.Layer.get_config(keras.layers.Layer(name=self.name))


def test_a_layer_that_does_not_build_again_is_an_error():
    model = keras.Sequential([keras.Input((4,)), Forgetful(5, name="forgetful")])
    with pytest.raises(ValueError, match="`forgetful`.*get_config"):
        KERAS_3.write(KERAS_3.read(model))


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = kl.Dense(2)

    def call(self, x):
        return self.dense(x)


def test_models_that_cannot_be_read():
    with pytest.raises(ValueError, match="not built"):
        KERAS_3.read(keras.Sequential([kl.Dense(3)]))
    model = Subclass()
    with pytest.raises(ValueError, match="not built"):
        KERAS_3.read(model)
    model(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="subclass"):
        KERAS_3.read(model)
    with pytest.raises(TypeError, match="must be a Keras model"):
        framework_of("model.keras")
    with pytest.raises(TypeError, match="must be a Keras model. Received: <Dense"):
        framework_of(kl.Dense(2))


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        # Keras' own sizes: valid (in - (k - 1) d - 1) / s + 1, same and causal ceil(in / s).
        (kl.Conv2D(8, (3, 5), strides=2), (11, 12, 4), ("conv2d", (3, 5), (2, 2), 4, 8, 1, (5, 4), (11, 12))),
        (
            kl.Conv2D(6, 3, padding="same", strides=(2, 1), groups=2),
            (9, 8, 4),
            ("conv2d", (3, 3), (2, 1), 4, 6, 2, (5, 8), (9, 8)),
        ),
        (kl.Conv2D(3, 3, dilation_rate=2), (9, 9, 2), ("conv2d", (3, 3), (1, 1), 2, 3, 1, (5, 5), (9, 9))),
        (
            kl.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same"),
            (7, 7, 3),
            ("depthwise_conv2d", (3, 3), (2, 2), 3, 6, 3, (4, 4), (7, 7)),
        ),
        (
            kl.Conv1D(5, 3, strides=2, padding="causal"),
            (9, 4),
            ("conv1d", (1, 3), (1, 2), 4, 5, 1, (1, 5), (1, 9)),
        ),
        (kl.Conv1D(4, 3, groups=4), (8, 8), ("conv1d", (1, 3), (1, 1), 8, 4, 4, (1, 6), (1, 8))),
        (kl.Dense(7), (5,), ("dense", (1, 1), (1, 1), 5, 7, 1, (1, 1), (1, 1))),
        (kl.Dense(7), (3, 4, 5), ("dense", (1, 1), (1, 1), 5, 7, 1, (1, 12), (1, 12))),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, kl.Layer) else None,
)
def test_layer_shape(layer, input_shape, expected):
    kind, kernel_size, strides, in_channels, out_channels, groups, output_size, input_size = expected
    graph = KERAS_3.read(keras.Sequential([keras.Input(input_shape), kl.Identity(), layer]))
    assert graph.layers[layer.name].shape == LayerShape(
        layer.name,
        kind,
        kernel_size=kernel_size,
        strides=strides,
        in_channels=in_channels,
        out_channels=out_channels,
        groups=groups,
        output_size=output_size,
        input_size=input_size,
    )


def test_layer_that_reads_the_networks_input_says_so():
    graph = KERAS_3.read(branches())
    reads = [layer.shape.reads_network_input for layer in graph.in_order() if layer.shape is not None]
    assert reads == [True, True, False]


def test_free_sizes_leave_a_layer_without_shape():
    model = keras.Sequential([keras.Input((None, None, 3)), kl.Conv2D(2, 3), kl.GlobalAveragePooling2D(), kl.Dense(2)])
    shapes = [layer.shape is not None for layer in KERAS_3.read(model).in_order()]
    assert shapes == [False, False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("application", ["MobileNetV2", "ResNet50"])
def test_macs_of_known_networks(application):
    """Against a count from the layers' own kernels: each output position costs one product per kernel entry."""
    model = getattr(keras.applications, application)(weights=None, input_shape=(32, 32, 3), classes=10)
    expected = 0
    for layer in model.layers:
        if isinstance(layer, kl.Dense | kl.Conv2D | kl.DepthwiseConv2D):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            expected += positions * np.prod(layer.kernel.shape, dtype=int)
    graph = KERAS_3.read(model, weights=False)
    assert sum(layer.shape.macs for layer in graph.layers.values() if layer.shape is not None) == expected > 1e6
    assert sum(layer.num_parameters for layer in graph.layers.values()) == model.count_params()
