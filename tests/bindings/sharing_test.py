"""Layers that share variables share them in every derived model, and count them once."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp

KERASES = (keras, tf_keras)
OPTIONS = {"weight_bits": (4, 8), "activation_bits": (4, 8)}


def _classes(framework):
    class Tied(framework.layers.Layer):
        """A decoder with the transposed kernel of an encoder."""

        def __init__(self, encoder, as_object=False, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.as_object = encoder, as_object

        def build(self, shape):
            self.offset = self.add_weight(name="offset", shape=(8,), initializer="ones")

        def call(self, x):
            kernel, offset = map(tf.convert_to_tensor, (self.encoder.kernel, self.offset))
            return tf.matmul(x, kernel, transpose_b=True) + offset

        def get_config(self):
            encoder = self.encoder if self.as_object else framework.saving.serialize_keras_object(self.encoder)
            return {**super().get_config(), "encoder": encoder, "as_object": self.as_object}

        @classmethod
        def from_config(cls, config):
            if not config["as_object"]:
                config["encoder"] = framework.saving.deserialize_keras_object(config["encoder"])
            return cls(**config)

    class Same(framework.layers.Layer):
        """Uses the variable that it was given, of which its configuration says nothing."""

        def __init__(self, variable=None, **kwargs):
            super().__init__(**kwargs)
            self.scale = self.add_weight(name="scale", shape=(4,)) if variable is None else variable

        def call(self, x):
            return x * tf.convert_to_tensor(self.scale)

        def get_config(self):
            return super().get_config()

    register = framework.saving.register_keras_serializable(f"sharing_{framework.__name__}")
    return register(Tied), register(Same)


CLASSES = {framework: _classes(framework) for framework in KERASES}


def _dense(framework, name, units=4, **options):
    return framework.layers.Dense(units, name=name, **options)


def _model(framework, inputs, x):
    x = _dense(framework, "inner", activation="swish")(_dense(framework, "first")(x))
    return framework.Model(inputs, _dense(framework, "head", 3)(x))


def tied(framework, **options):
    inputs, encoder = framework.Input((8,), name="x"), _dense(framework, "encoder", activation="relu")
    return _model(framework, inputs, CLASSES[framework][0](encoder, name="decoder", **options)(encoder(inputs)))


def tied_by_object(framework):
    return tied(framework, as_object=True)


def one_inside_a_holder(framework):
    """A layer that only its holder has, and that the configuration holds as an object."""
    inputs, encoder = framework.Input((4,), name="x"), _dense(framework, "encoder")
    encoder.build((None, 8))
    return _model(framework, inputs, CLASSES[framework][0](encoder, as_object=True, name="decoder")(inputs))


def beside_time_distributed(framework):
    inputs, dense = framework.Input((5, 8), name="x"), _dense(framework, "c", activation="tanh")
    wrapper = framework.layers.TimeDistributed(dense, name="wrapper")
    return _model(framework, inputs, framework.layers.Add(name="sum")([wrapper(inputs), dense(inputs)]))


def two_holders(framework):
    """A layer that two wrappers hold and the model does not call."""
    inputs, dense = framework.Input((5, 8), name="x"), _dense(framework, "c")
    one, two = (framework.layers.TimeDistributed(dense, name=name) for name in ("one", "two"))
    return _model(framework, inputs, framework.layers.Add(name="sum")([one(inputs), two(inputs)]))


def nested_model(framework):
    """A model that a wrapper holds and the outer model calls, its layers nested in either."""
    inner = framework.Input((8,))
    backbone = framework.Model(inner, _dense(framework, "b")(_dense(framework, "a", activation="relu")(inner)))
    backbone = framework.Model(inner, backbone(inner), name="backbone")
    inputs = framework.Input((5, 8), name="x")
    wrapped = framework.layers.TimeDistributed(backbone, name="wrapper")(inputs)
    flat = framework.layers.Flatten(name="flat")(inputs[:, :1])
    x = framework.layers.Add(name="sum")([framework.layers.Flatten(name="rows")(wrapped[:, :1]), backbone(flat)])
    return _model(framework, inputs, x)


def inside_a_nested_model(framework):
    inner = tied(framework)
    core = framework.Model(inner.input, inner.get_layer("first").output, name="core")
    inputs = framework.Input((8,), name="x")
    return _model(framework, inputs, core(inputs))


MODELS = (
    tied,
    tied_by_object,
    one_inside_a_holder,
    beside_time_distributed,
    two_holders,
    nested_model,
    inside_a_nested_model,
)


def sharing_layers(model):
    """For every variable that several layers hold, the names of these."""
    names = collections.defaultdict(set)
    for name, layer in flattened(model):
        for variable in layer.variables:
            names[id(variable)].add(name)
    return sorted(tuple(sorted(found)) for found in names.values() if len(found) > 1)


def flattened(model, path=""):
    for layer in model.layers:
        if hasattr(layer, "layers") and not isinstance(layer, (keras.layers.Wrapper, tf_keras.layers.Wrapper)):
            yield from flattened(layer, f"{path}{layer.name}/")
        else:
            yield f"{path}{layer.name}", layer


def randomized(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    return model


@pytest.mark.default_cases("one_inside_a_holder-tf_keras", "two_holders-keras", "inside_a_nested_model-keras")
@pytest.mark.parametrize("framework", KERASES, ids=lambda framework: framework.__name__)
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_variables_stay_shared(make, framework):
    model = randomized(make(framework))
    x = np.random.default_rng(1).normal(size=(6, *model.inputs[0].shape[1:])).astype(np.float32)
    before, shared = np.asarray(model(x)), sharing_layers(model)
    assert bool(shared) == (make is not one_inside_a_holder)
    report = tfmp.inspect(model)
    assert report.num_parameters == model.count_params() == tfmp.cost(model, "model_size") / 32
    relaxed = tfmp.relax(model, calibration=x, **OPTIONS)
    searched = [row.name for row in tfmp.inspect(relaxed).rows if len(row.weight_bits) > 1]
    assert "inner" in searched
    fixed = tfmp.fix(relaxed, dict.fromkeys(searched, (8, 8)))
    np.testing.assert_allclose(fixed(x), before, atol=0.1 * np.ptp(before))
    for copy in (relaxed, fixed):
        assert sharing_layers(copy) == shared
        assert tfmp.inspect(copy).num_parameters == model.count_params()
        assert not {id(v) for v in copy.variables} & {id(v) for v in model.variables}


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("framework", KERASES, ids=lambda framework: framework.__name__)
def test_both_layers_learn(framework, tmp_path):
    model = randomized(tied(framework))
    x, weights = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32), model.get_weights()
    relaxed = tfmp.relax(model, calibration=x, **OPTIONS)
    relaxed.compile("sgd", loss="mse", run_eagerly=True)
    relaxed.fit(x, np.zeros((6, 3)), verbose=0)
    encoder, decoder = relaxed.get_layer("encoder"), relaxed.get_layer("decoder")
    assert decoder.encoder is encoder and np.any(np.asarray(encoder.kernel) != weights[0])
    for value, kept in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, kept)
    if framework is keras:  # tf_keras itself loads no such model
        relaxed.save(tmp_path / "model.keras")
        loaded = tfmp.load_model(tmp_path / "model.keras")
        assert sharing_layers(loaded) == sharing_layers(relaxed)
        np.testing.assert_allclose(loaded(x), relaxed(x), rtol=1e-6)


@pytest.mark.parametrize("framework", KERASES, ids=lambda framework: framework.__name__)
def test_what_a_configuration_does_not_say_is_refused(framework):
    same, inputs = CLASSES[framework][1], framework.Input((4,), name="x")
    one = same(name="one")
    model = _model(framework, inputs, same(one.scale, name="two")(one(inputs)))
    with pytest.raises(ValueError, match="`one`, `two`.*share variables.*get_config"):
        tfmp.relax(model)


def test_layers_that_tfmot_wraps_are_refused():
    from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer

    inputs, dense = tf_keras.Input((5, 8)), _dense(tf_keras, "c")
    wrapper = tf_keras.layers.TimeDistributed(dense, name="wrapper")
    x = tf_keras.layers.Add(name="sum")([wrapper(inputs), quantize_annotate_layer(dense)(inputs)])
    with pytest.raises(ValueError, match="`wrapper`.*TFMOT.*annotate"):
        tfmp.inspect(_model(tf_keras, inputs, x))
