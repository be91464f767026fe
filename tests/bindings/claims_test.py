"""What is registered is compared with what the layer computes, in both Kerases, wherever a model is read."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tfmp.bindings import claims, custom_layers

FRAMEWORKS = pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
X = np.random.default_rng(0).normal(size=(16, 6, 6, 3)).astype(np.float32)
EIGHT_BITS = {"weight_bits": 8, "activation_bits": 8, "calibration": X}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(custom_layers, "_registered", {})
    monkeypatch.setattr(claims, "_passed", set())


@keras.saving.register_keras_serializable("claims_test")
@tf_keras.saving.register_keras_serializable("claims_test")
def squash(x):
    return tf.clip_by_value(x, 0.0, 2.0)


def relu(x):
    """Not what its name says, by which Keras would build it again."""
    return tf.clip_by_value(x, -1.0, 2.0)


def layer_class(framework, function):
    class Own(framework.layers.Layer):
        def call(self, x):
            return function(x)

    return Own


def network(framework, *layers, activation=None, kernel="Conv2D", shape=(6, 6, 3), **arguments):
    kl = framework.layers
    x = image = framework.Input(shape, name="image", **arguments)
    x = kl.Conv2D(4, 3, name="first")(x)
    x = getattr(kl, kernel)(4, 3, activation=activation, name="second")(x)
    for layer in layers:
        x = layer(x)
    x = kl.GlobalAveragePooling2D(name="mean")(x) if None in shape else kl.Flatten(name="flat")(x)
    return framework.Model(image, kl.Dense(3, name="last")(x))


def kind(model, name="own"):
    return {row.name: row.kind for row in tfmp.inspect(model).rows}[name]


@FRAMEWORKS
def test_a_layer_that_computes_something_else_is_refused(framework):
    clip = layer_class(framework, lambda x: tf.clip_by_value(x, 0.0, 0.1))
    model = network(framework, clip(name="own"))
    tfmp.register_layer(clip, "relu", lambda config: {"max_value": None})
    message = (
        r"Layer `own` \(Own\) is registered as 'relu' with max_value=None, but computes something else: on random "
        r"numbers from -1 to 1 the largest difference is 0\.\d+, where it returns 0\.1 in place of 0\.9\d+\. Say "
    )
    for function in (tfmp.inspect, tfmp.relax, lambda model: tfmp.cost(model, "flops")):
        with pytest.raises(ValueError, match=message):
            function(model)
    tfmp.register_layer(clip, "relu", {"max_value": 0.1})
    assert kind(model) == "relu"


def below_one(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 1.0)]):
        return tf.identity(x)


@FRAMEWORKS
@pytest.mark.parametrize(
    ("function", "claim", "message"),
    [
        (lambda x: x[:, 1:], ("identity",), r"returns the shape \(64, 1, 2, 4\), not \(64, 2, 2, 4\)"),
        (lambda x: tf.transpose(x, (0, 2, 1, 3)), ("permute", {"permutation": (0, 1)}), "does not accept these inputs"),
        (lambda x: x + 300 * tf.nn.relu(x - 200), ("identity",), "on random numbers from -300 to 300"),
        (lambda x: x + 1e-3, ("identity",), "on random numbers from -0.1 to 0.1 the largest difference is 0.001"),
        (lambda x: x / 0.0, ("identity",), "the largest difference is inf"),
        (below_one, ("identity",), "fails on random numbers from -10 to 10: "),
    ],
    ids=["shape", "attributes", "far", "near", "infinite", "failing"],
)
def test_kinds_of_mismatch(function, claim, message, framework):
    own = layer_class(framework, function)
    tfmp.register_layer(own, *claim)
    with pytest.raises(ValueError, match=rf"Layer `own` \(Own\) is registered as '{claim[0]}'.*, but .*{message}"):
        tfmp.inspect(network(framework, own(name="own")))


@FRAMEWORKS
def test_what_agrees_passes(framework):
    def tanh(x):  # which overflows far out
        return (tf.exp(x) - tf.exp(-x)) / (tf.exp(x) + tf.exp(-x))

    for name, function in {"tanh": tanh, "swish": lambda x: x * tf.sigmoid(x), "softmax": tf.nn.softmax}.items():
        own = layer_class(framework, function)
        tfmp.register_layer(own, name)
        assert kind(network(framework, own(name="own"))) == name
        assert kind(network(framework, own(name="own"), shape=(None, None, 3))) == name
        assert kind(network(framework, own(name="own"), batch_size=2)) == name
        assert kind(network(framework, own(name="own", dtype="mixed_float16"))) == name


@FRAMEWORKS
def test_what_a_layer_does_in_training_alone_does_not_count(framework):
    class Noise(framework.layers.Layer):
        def call(self, x, training=True):
            return x + 1 if training else x

    tfmp.register_layer(Noise, "identity")
    assert kind(network(framework, Noise(name="own"))) == "identity"


@FRAMEWORKS
def test_each_configuration_is_run_once_and_weights_each_time(framework):
    runs = []

    class Scale(framework.layers.Layer):
        def __init__(self, factor=2.0, learns=False, **kwargs):
            super().__init__(**kwargs)
            self.factor, self.learns = factor, learns

        def build(self, _):
            if self.learns:
                self.learned = self.add_weight(name="learned", shape=(), initializer="ones")

        def call(self, x):
            runs.append(self.factor)
            return x * self.factor * (self.learned if self.learns else 1.0)

        def get_config(self):
            return {**super().get_config(), "factor": self.factor, "learns": self.learns}

    tfmp.register_layer(Scale, "affine", lambda config: {"factor": config["factor"], "offset": 0.0})
    models = [network(framework, Scale(factor, name=name)) for factor, name in ((2.0, "a"), (2.0, "b"), (3.0, "c"))]
    runs.clear()
    for model in (*models, *models):
        tfmp.inspect(model)
    numbers = len(claims._REACHES)
    assert [runs.count(factor) >= numbers for factor in (2.0, 3.0)] == [True, True] and len(claims._passed) == 2
    learning = network(framework, Scale(learns=True, name="own"))
    assert kind(learning) == "affine"
    learning.get_layer("own").learned.assign(1.5)
    with pytest.raises(ValueError, match="`own` .Scale. is registered as 'affine' with factor=2.0, offset=0.0, but"):
        tfmp.inspect(learning)


@pytest.mark.default_cases("True-keras")
@FRAMEWORKS
@pytest.mark.parametrize("by_name", [False, True])
def test_functions_are_known_wherever_a_layer_applies_them(framework, by_name):
    kl = framework.layers
    models = {
        "own": [
            network(framework, kl.Activation(squash, name="own")),
            network(framework, kl.Lambda(squash, name="own")),
        ],
        "second_activation": [
            tfmp.relax(
                network(framework, activation=squash, kernel=kernel), weight_bits=8, activation_bits=8, calibration=X
            )
            for kernel in ("Conv2D", "SeparableConv2D")
        ],
    }
    assert {kind(model, name) for name, found in models.items() for model in found} == {"other"}
    tfmp.register_layer("claims_test>squash" if by_name else squash, "relu", {"max_value": 2.0})
    assert {kind(model, name) for name, found in models.items() for model in found} == {"relu"}
    relaxed = tfmp.relax(network(framework, activation=squash), **EIGHT_BITS)
    assert kind(relaxed, "second_activation") == "relu"
    np.testing.assert_allclose(tfmp.fold(relaxed)(X), relaxed(X), atol=0.05)
    tfmp.register_layer("claims_test>squash" if by_name else squash, "swish")
    for model in (models["own"][0], network(framework, activation=squash)):
        with pytest.raises(ValueError, match="its .* `squash` is registered as 'swish', but computes"):
            tfmp.inspect(model)


@FRAMEWORKS
def test_functions_with_the_name_of_one_of_keras(framework):
    for model in (network(framework, activation=relu), network(framework, framework.layers.Activation(relu))):
        with pytest.raises(ValueError, match="its activation `relu` is by its name the kind 'relu'.*another name"):
            tfmp.inspect(model)
    assert kind(network(framework, framework.layers.Activation(tf.nn.gelu, name="own"))) == "gelu"


def test_tensorflow_functions_of_tf_keras():
    model = network(tf_keras, tf.math.digamma)
    name = next(layer.name for layer in model.layers if "digamma" in layer.name)
    assert kind(model, name) == "other"
    tfmp.register_layer(tf.math.digamma, "swish")
    with pytest.raises(ValueError, match="its function `digamma` is registered as 'swish', but"):
        tfmp.inspect(model)


@FRAMEWORKS
def test_augmentation_is_the_identity_at_inference(framework):
    layer = framework.layers.RandomRotation(0.2, name="own")
    assert kind(network(framework, layer)) == "identity"
    np.testing.assert_array_equal(layer(X, training=False), X)
