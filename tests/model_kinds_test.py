"""The kinds of models that people have: searched, fixed and exported, or an error that says what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl
from keras import ops

import tfmp
from tests.transform.small_networks import inputs_for, trained

SCALE = np.float32(0.5)


def trunk(x):
    x = kl.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    return kl.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)


def top(x):
    return kl.Dense(3, name="head")(kl.Dense(4, activation="relu", name="hidden")(kl.Flatten(name="flatten")(x)))


def image(**options):
    return keras.Input((6, 6, 2), name="image", **options)


def with_between(*layers):
    inputs = image()
    x = trunk(inputs)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, top(x))


def python_lambda():
    offset = tf.constant(SCALE)  # which code alone does not hold
    return kl.Lambda(lambda x: tf.nn.relu(x - offset), name="lambda")


@keras.saving.register_keras_serializable("model_kinds")
class Own(kl.Layer):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.dense = kl.Dense(units)

    def call(self, x):
        return ops.relu(self.dense(x))

    def get_config(self):
        return {**super().get_config(), "units": self.dense.units}


@keras.saving.register_keras_serializable("model_kinds")
class Subclass(keras.Model):
    """Keras' own `from_config` cannot build it: its constructor takes no name."""

    def __init__(self, units=4):
        super().__init__()
        self.dense = kl.Dense(units)

    def call(self, x):
        return ops.relu(self.dense(x))


def of_ones_own():
    subclass = Subclass()
    subclass.name = "subclass"
    return with_between(python_lambda(), Own(name="own"), subclass, kl.UnitNormalization(name="unit_length"))


def wrapped():
    inputs = keras.Input((3, 6, 6, 2), name="image")
    backbone = keras.Sequential([image(), kl.Conv2D(2, 3, activation="relu"), kl.Flatten()])
    x = kl.TimeDistributed(backbone, name="wrapper")(inputs)
    x = kl.Dense(4, activation="relu", name="second")(kl.Dense(4, activation="relu", name="first")(x))
    return keras.Model(inputs, top(x))


def recurrent():
    inputs = keras.Input((5,), dtype="int32", name="words")
    x = kl.Bidirectional(kl.LSTM(3, return_sequences=True), name="both_ways")(
        kl.Embedding(7, 4, name="words_in")(inputs)
    )
    x = kl.Dense(4, activation="relu", name="first")(kl.GRU(4, name="gru")(x))
    return keras.Model(inputs, top(kl.Dense(4, activation="relu", name="second")(x)))


LEFT_ALONE = {
    of_ones_own: {
        "lambda": "Python function",
        "own": "it is an `Own`, which has no integer form",
        "subclass": "subclass of `keras.Model`",
        "unit_length": "`UnitNormalization`, which",
    },
    wrapped: {"wrapper": "runs another layer"},
    recurrent: {"both_ways": "runs another layer", "gru": "recurrent"},
}


def fixed_after_a_search(model, x):
    """The whole way, one step of training: what a layer that is left alone must not break."""
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), calibration=x)
    relaxed.compile(tfmp.SelectionOptimizer("sgd", "adam"), loss="mse", run_eagerly=True)
    search = tfmp.MixedPrecisionSearch(budget=tfmp.Budget("bitops", like_uniform=(3, 3)))
    y = np.zeros((len(x), *relaxed.outputs[0].shape[1:]), np.float32)
    history = relaxed.fit(x, y, batch_size=len(x), callbacks=[search], verbose=0).history
    assert np.isfinite(history["loss"]).all() and history["expected_cost"][0] > 0
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=search.budget)
    return tfmp.fix(relaxed, assignment, calibration=x)


def samples(model, count=8):
    if model.inputs[0].dtype == "int32":
        return np.random.default_rng(0).integers(0, 7, size=(count, *model.inputs[0].shape[1:]))
    shape = model.inputs[0].shape
    return np.random.default_rng(0).normal(size=(shape[0] or count, *shape[1:])).astype(np.float32)


@pytest.mark.default_cases("of_ones_own")  # recurrent layers: float_layer_test
@pytest.mark.parametrize("make", LEFT_ALONE)
def test_layers_of_no_known_kind_are_left_alone(make, tmp_path):
    model = trained(make()) if make is not recurrent else make()
    rows = {row.name: row for row in tfmp.inspect(model).rows}
    for name, reason in LEFT_ALONE[make].items():
        assert rows[name].status == "float" and rows[name].blocks == () and reason in rows[name].reason
    fixed = fixed_after_a_search(model, samples(model))
    assert fixed.get_layer("second").weight_bits in ((2,), (4,))
    for name in LEFT_ALONE[make]:
        assert fixed.get_layer(name) is not model.get_layer(name)
        assert type(fixed.get_layer(name)) is type(model.get_layer(name))
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite")
    assert set(LEFT_ALONE[make]) <= set(report.file.float_layers)
    with pytest.raises(ValueError, match=f"`({'|'.join(LEFT_ALONE[make])})`.*floating point"):
        tfmp.relax(model, weight_bits=4, activation_bits=4, integer_only=True)


class Unconfigured(keras.Model):
    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, x):
        return self.dense(x)


class Needy(kl.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units

    def call(self, x):
        return x * self.units

    def get_config(self):
        return {"name": self.name}


def test_what_does_not_build_again_is_named():
    layer = Unconfigured(kl.Dense(4))
    layer.name = "odd"
    with pytest.raises(ValueError, match="`odd`.*get_config"):
        tfmp.relax(with_between(layer))
    layer = Needy(2)
    layer.name = "odd"
    with pytest.raises(ValueError, match="(?s)`odd`.*Needy.*get_config"):
        tfmp.relax(with_between(layer))


def test_a_subclassed_model_is_refused_with_advice():
    model = Subclass()
    model(np.zeros((1, 6, 6, 2)))
    with pytest.raises(ValueError, match=r"subclass.*keras.Model\(inputs, outputs\)"):
        tfmp.relax(model)
    inputs = image()
    functional = keras.Model(inputs, top(trunk(inputs)))
    assert tfmp.relax(functional).get_layer("second").weight_bits == (1, 2, 3, 4)


@keras.saving.register_keras_serializable("model_kinds")
class OwnStep(keras.Model):
    def train_step(self, data):
        self.steps = getattr(self, "steps", 0) + 1
        return super().train_step(data)


class OwnConstructor(keras.Model):
    def __init__(self):
        inputs = image()
        super().__init__(inputs, top(trunk(inputs)))


def test_a_training_step_of_ones_own_is_kept():
    inputs = image()
    model = OwnStep(inputs, top(trunk(inputs)))
    fixed = fixed_after_a_search(model, samples(model))
    assert isinstance(fixed, OwnStep)
    fixed.compile("sgd", loss="mse", run_eagerly=True)
    fixed.fit(samples(model), np.zeros((8, 3)), verbose=0)
    assert fixed.steps == 1 and not hasattr(model, "steps")


def test_a_functional_model_with_a_constructor_of_its_own():
    inputs = image()
    inner = OwnConstructor()
    inner.name = "inner"
    model = keras.Model(inputs, kl.Dense(2, name="last")(kl.ReLU()(inner(inputs))))
    for searched, name in ((OwnConstructor(), "second"), (model, "inner/second")):
        assert {row.name: row.status for row in tfmp.inspect(searched).rows}[name] == "searched"
        x = samples(searched)
        relaxed = tfmp.relax(searched, weight_bits=(8,), activation_bits=(8,), first_and_last="search", calibration=x)
        np.testing.assert_allclose(relaxed(x), searched(x), atol=0.2)


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_saved_and_loaded_anywhere_on_the_way(suffix, tmp_path):
    path = tmp_path / f"model.{suffix}"

    def reloaded(model):
        model.save(path)
        return tfmp.load_model(path)

    inputs = image()
    backbone = keras.Model(inputs, trunk(inputs), name="backbone")
    backbone.trainable = False
    inputs = image()
    model = trained(keras.Model(inputs, top(backbone(inputs))))
    model.get_layer("backbone").trainable = False
    x = inputs_for(model)
    relaxed = tfmp.relax(reloaded(model), calibration=x)
    loaded = reloaded(relaxed)
    np.testing.assert_allclose(loaded(x), relaxed(x), rtol=1e-6, atol=1e-6)
    names = [[v.name for v in m.trainable_variables] for m in (relaxed, loaded)]
    assert names[0] == names[1] and "logits" in names[0]
    fixed = tfmp.fix(loaded, {"backbone/second": (2, 3), "hidden": (4, 4)}, calibration=x)
    loaded = reloaded(fixed)
    np.testing.assert_allclose(loaded(x), fixed(x), rtol=1e-6, atol=1e-6)
    assert [v.name for v in loaded.trainable_variables] == [v.name for v in fixed.trainable_variables]
    tfmp.export_tflite(loaded, tmp_path / "model.tflite", verify=x)


def test_frozen_layers_rest_but_their_bits_are_searched():
    inputs = image()
    backbone = keras.Model(inputs, kl.BatchNormalization(name="norm")(trunk(inputs)), name="backbone")
    inputs = image()
    model = trained(keras.Model(inputs, top(kl.ReLU()(backbone(inputs, training=False)))))
    backbone.trainable = False
    x = inputs_for(model)
    relaxed = tfmp.relax(model, calibration=x, first_and_last="search")
    fixed = tfmp.fix(relaxed, dict.fromkeys(("backbone/first", "backbone/second", "hidden", "head"), (4, 4)))
    for trained_model in (relaxed, fixed):
        inner = trained_model.get_layer("backbone")
        assert not inner.trainable and not any(layer.trainable for layer in inner.layers[1:])
        own = [v for v in inner.variables if v.name in ("kernel", "bias", "gamma", "beta", "moving_mean")]
        assert len(own) == 7
        before = [np.asarray(v) for v in own]
        search = tfmp.MixedPrecisionSearch(eta=1e-2) if trained_model is relaxed else None
        trained_model.compile(keras.optimizers.SGD(0.1), loss="mse", run_eagerly=True)
        trained_model.fit(x, np.zeros((16, 3)), verbose=0, callbacks=[search] if search else [])
        assert all(np.array_equal(v, value) for v, value in zip(own, before, strict=True))
    second = relaxed.get_layer("backbone").get_layer("second")
    assert np.ptp(second.weight_selector.logits) > 0, "the bits of a frozen layer are searched"
    assert {v.path.split("/")[-2] for v in fixed.trainable_variables} >= {"hidden", "head"}
    assert not any("second" in v.path or "first" in v.path for v in fixed.trainable_variables)


@pytest.mark.slow
def test_half_precision_searches_and_ships_the_codes_of_float32(tmp_path):
    def make(policy):
        keras.mixed_precision.set_global_policy(policy)
        try:
            inputs = image()
            return keras.Model(inputs, top(kl.BatchNormalization(name="norm")(trunk(inputs))))
        finally:
            keras.mixed_precision.set_global_policy("float32")

    half = trained(make("mixed_float16"))
    x = samples(half)
    fixed = fixed_after_a_search(half, x)
    assert fixed.get_layer("second").compute_dtype == "float16"
    assert all(v.dtype == "float32" for v in fixed.trainable_variables)
    bits = {name: (fixed.get_layer(name).weight_bits[0], fixed.get_layer(name).activation_bits[0]) for name in BITS}
    full = tfmp.fix(tfmp.relax(make("float32"), calibration=x), bits)
    full.set_weights(fixed.get_weights())
    files = []
    for model in (fixed, full):
        path = tmp_path / f"{len(files)}.tflite"
        tfmp.export_tflite(model, path, verify=x)
        files.append(model_operations(model))
    assert files[0].keys() == files[1].keys()
    for name, constants in files[0].items():
        for key, value in constants.items():
            np.testing.assert_array_equal(value, files[1][name][key])


BITS = ("second", "hidden")


def model_operations(model):
    return {layer.name: {v.name: np.asarray(v) for v in layer.weights} for layer in tfmp.fold(model).layers}


def test_layers_of_several_types():
    inputs = image()
    x = kl.Conv2D(4, 3, activation="relu", dtype="mixed_bfloat16", name="first")(inputs)
    x = kl.Conv2D(4, 3, activation="relu", dtype="float64", name="second")(x)
    model = keras.Model(inputs, top(x))
    fixed = fixed_after_a_search(model, samples(model))
    assert [fixed.get_layer(name).compute_dtype for name in ("first", "second")] == ["bfloat16", "float64"]


def test_channels_first_is_searched_and_not_exported(tmp_path):
    inputs = keras.Input((2, 6, 6), name="image")
    x = kl.Conv2D(4, 3, activation="relu", data_format="channels_first", name="first")(inputs)
    x = kl.MaxPooling2D(data_format="channels_first", name="pool")(x)
    model = keras.Model(inputs, top(x))
    assert "channels come first" in {row.name: row.reason for row in tfmp.inspect(model).rows}["pool"]
    fixed = fixed_after_a_search(model, samples(model))
    with pytest.raises(ValueError, match="channels.*first.*channels_last"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite")


def test_a_fixed_batch_and_a_sequential_model_without_input(tmp_path):
    inputs = image(batch_size=4)
    without_input = keras.Sequential([kl.Conv2D(4, 3, activation="relu"), kl.Conv2D(4, 3, activation="relu")])
    without_input.add(kl.Flatten())
    without_input.add(kl.Dense(3))
    without_input(np.zeros((1, 6, 6, 2), np.float32))
    for model in (keras.Model(inputs, top(trunk(inputs))), without_input):
        x = samples(model)
        fixed = fixed_after_a_search(model, x)
        assert fixed.inputs[0].shape == model.inputs[0].shape
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x, overwrite=True)
    with pytest.raises(ValueError, match="not built.*keras.Input"):
        tfmp.relax(keras.Sequential([kl.Dense(3)]))


def test_names_that_differ_by_a_slash_alone(tmp_path):
    """Names that would become one if a slash were written as an underscore."""
    first = keras.Sequential([image(), kl.Conv2D(4, 3, activation="relu", name="block_conv")], name="net")
    second = keras.Sequential(
        [keras.Input((4, 4, 4)), kl.Conv2D(4, 3, activation="relu", name="conv")], name="net_block"
    )
    inputs = keras.Input((6, 6, 2), name="conv")
    model = keras.Model(inputs, kl.Dense(3, name="net_block_conv")(kl.Flatten()(second(first(inputs)))))
    fixed = fixed_after_a_search(model, samples(model))
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=samples(model))
    assert set(report.bits) == {"net/block_conv", "net_block/conv", "net_block_conv"}
