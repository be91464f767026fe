import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, plain, residual, several, shared_layer, trained
from tfmp import layers
from tfmp.bindings.keras3.keras3_framework import Keras3Framework
from tfmp.operators.batch_normalization import with_positive_gammas

KERAS_3 = Keras3Framework()

NETWORKS = [plain, residual, several, shared_layer]


def selectors(model):
    return [
        selector
        for layer in model.layers
        for selector in (getattr(layer, "weight_selector", None), getattr(layer, "activation_selector", None))
        if selector is not None
    ]


def quantizers_of(model):
    return {layer.name for layer in model.layers if isinstance(layer, layers.Quantize)}


@pytest.mark.parametrize("make", NETWORKS)
def test_names_and_weights_are_kept(make):
    model = trained(make())
    before = [np.asarray(v) for v in model.variables]
    relaxed = tfmp.relax(model)
    assert relaxed.name == model.name
    assert {layer.name for layer in model.layers} <= {layer.name for layer in relaxed.layers}
    for layer in model.layers:
        for variable in layer.weights:
            (found,) = [v for v in relaxed.get_layer(layer.name).weights if v.path == variable.path]
            # Filters whose normalization is negative are flipped, nothing else.
            np.testing.assert_array_equal(np.abs(found), np.abs(variable))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize("make", NETWORKS)
def test_flipping_filters_changes_no_output(make):
    model = trained(make())
    graph = KERAS_3.read(model)
    flipped = KERAS_3.write(with_positive_gammas(graph))
    gammas = [v for v in flipped.variables if v.name == "gamma"]
    originals = [v for v in model.variables if v.name == "gamma"]
    assert len(gammas) == len(originals)
    for gamma, original in zip(gammas, originals, strict=True):
        assert np.min(original) < 0 <= np.min(gamma)
    x = inputs_for(model)
    for actual, expected in zip(outputs_of(flipped, x), outputs_of(model, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_gammas_stay_positive_in_training():
    relaxed = tfmp.relax(trained(plain()))
    gammas = [v for v in relaxed.trainable_variables if v.name == "gamma"]
    keras.optimizers.SGD(1.0).apply([np.full(gamma.shape, 10, np.float32) for gamma in gammas], gammas)
    assert len(gammas) == 3 and all(np.max(gamma) == 0 for gamma in gammas)


# The LSQ paper's start, 2 E|x| / sqrt(high), is coarse at 8 bits.
@pytest.mark.default_cases("*-quantizer0-*", "residual-lsq-*")
@pytest.mark.parametrize(("quantizer", "bound"), [(("linear", "moving_range"), 0.08), ("lsq", 0.25)])
@pytest.mark.parametrize("make", NETWORKS)
def test_eight_bits_are_close_to_the_float_model(make, quantizer, bound):
    model = trained(make())
    x = inputs_for(model, 64)
    relaxed = tfmp.relax(model, weight_bits=(8,), activation_bits=(8,), quantizer=quantizer, calibration=x)
    for actual, expected in zip(outputs_of(relaxed, x), outputs_of(model, x), strict=True):
        error = np.sqrt(np.mean((actual - expected) ** 2) / np.mean((expected - expected.mean(0)) ** 2))
        assert 0 < error < bound


# By hand, from the rule: what has several readers, or is read by an addition, an average or the outside.
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (plain, {"head_quantizer"}),
        (
            residual,
            {"first_relu_quantizer", "before_addition_quantizer", "after_addition_quantizer", "head_quantizer"},
        ),
        (several, {"hidden_quantizer", "head_a_quantizer", "head_b_quantizer"}),
        (shared_layer, {"head_quantizer"}),
    ],
)
def test_tensors_that_get_a_quantizer(make, expected):
    model = make()
    relaxed = tfmp.relax(model)
    assert quantizers_of(relaxed) == expected
    assert all(relaxed.get_layer(name).bits == 8 for name in expected)
    for name in expected:
        reads = relaxed.get_layer(name).input
        assert reads._keras_history.operation.name == name.removesuffix("_quantizer")
    added = {layer.name for layer in relaxed.layers} - {layer.name for layer in model.layers}
    assert added - expected == ({"head_b_activation"} if make is several else set())


def test_outputs_and_inputs_keep_their_structure():
    model = several()
    relaxed = tfmp.relax(model)
    assert set(relaxed.input) == {"left", "right"} and set(relaxed.output) == {"a", "b"}
    outputs = relaxed(inputs_for(model))
    assert outputs["a"].shape == (16, 2) and outputs["b"].shape == (16, 3)
    np.testing.assert_allclose(tf.reduce_sum(outputs["b"], axis=-1), 1, rtol=1e-5)


def test_signed_inputs_are_known_from_the_graph():
    relaxed = tfmp.relax(residual(), first_and_last="search")
    signed = {layer.name: layer.signed_input for layer in relaxed.layers if hasattr(layer, "signed_input")}
    assert signed == {
        "first": True,  # the image
        "inside": False,  # after a ReLU
        "before_addition": False,
        "after_addition": False,  # ReLU, then pooling
        "head": False,  # average of a ReLU
    }
    assert {q: relaxed.get_layer(q).signed for q in sorted(quantizers_of(relaxed))} == {
        "after_addition_quantizer": False,
        "before_addition_quantizer": True,
        "first_relu_quantizer": False,
        "head_quantizer": True,
    }


@pytest.mark.parametrize(
    ("between", "signed"),
    [
        ([kl.ReLU()], False),
        ([kl.Activation("relu")], False),
        ([kl.Activation("sigmoid"), kl.ReLU()], False),
        ([kl.ReLU(), kl.AveragePooling2D(2), kl.ZeroPadding2D(), kl.Dropout(0.1)], False),
        ([kl.ReLU(), kl.BatchNormalization()], True),
        ([kl.ReLU(negative_slope=0.1)], True),
        ([kl.LeakyReLU()], True),
        ([kl.Activation("tanh")], True),
        ([], True),
    ],
    ids=lambda value: "-".join(layer.name for layer in value) or "nothing" if isinstance(value, list) else None,
)
def test_signed_input_behind(between, signed):
    model = keras.Sequential([keras.Input((8, 8, 2)), kl.Conv2D(3, 3), *between, kl.Conv2D(2, 3, name="here")])
    assert tfmp.relax(model, first_and_last="search").get_layer("here").signed_input is signed


def test_an_addition_is_signed_if_a_summand_is():
    for second, signed in ((kl.Identity(), True), (kl.ReLU(), False)):
        inputs = keras.Input((6, 6, 2))
        x = kl.ReLU()(kl.Conv2D(2, 3, padding="same")(inputs))
        x = kl.Add()([x, second(kl.Conv2D(2, 3, padding="same")(inputs))])
        model = keras.Model(inputs, kl.Conv2D(2, 3, name="here")(x))
        assert tfmp.relax(model, first_and_last="search").get_layer("here").signed_input is signed


@keras.saving.register_keras_serializable("relax_test")
class Shift(kl.Layer):
    """Has an argument called `activation` which does not come last."""

    def __init__(self, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def call(self, x):
        return keras.activations.get(self.activation)(x) - 1


def test_a_custom_layer_promises_no_sign():
    model = keras.Sequential([keras.Input((4,)), kl.Dense(3), Shift(), kl.Dense(3, name="here"), kl.Dense(2)])
    assert tfmp.relax(model).get_layer("here").signed_input


def test_first_and_last():
    kept = {"first", "head"}
    int8 = tfmp.relax(residual())
    for name in kept:
        layer = int8.get_layer(name)
        assert (layer.weight_bits, layer.activation_bits) == ((8,), (8,))
        assert layer.quantizer == ("linear", "moving_range")
    floating = tfmp.relax(residual(), first_and_last="float")
    assert all(type(floating.get_layer(name)) in (kl.Conv2D, kl.Dense) for name in kept)
    assert not quantizers_of(floating), "no integer network: nothing is stored"
    searched = tfmp.relax(residual(), first_and_last="search")
    assert all(searched.get_layer(name).weight_bits == (1, 2, 3, 4) for name in kept)
    for relaxed in (int8, floating, searched):
        assert relaxed.get_layer("inside").weight_bits == (1, 2, 3, 4)
        assert relaxed.get_layer("inside").activation_bits == (2, 3, 4)
    with pytest.raises(ValueError, match="`first_and_last` must be one of 'int8', 'float', 'search'"):
        tfmp.relax(residual(), first_and_last="none")


def test_every_input_and_output_has_a_first_and_a_last_layer():
    searched = [layer.name for layer in KERAS_3.read(tfmp.relax(several())).searched]
    assert searched == ["right_second", "shared", "hidden"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layers": "inside"}, {"inside"}),
        ({"layers": "*_addition"}, {"before_addition", "after_addition"}),
        ({"layers": ["inside", "after*"]}, {"inside", "after_addition"}),
        ({"layers": lambda layer: layer.shape.out_channels == 5}, {"after_addition"}),
        ({"skip": "inside"}, {"before_addition", "after_addition"}),
        ({"skip": ["before*", lambda layer: layer.name == "inside"]}, {"after_addition"}),
        ({"layers": "*_addition", "skip": "after*"}, {"before_addition"}),
        ({}, {"inside", "before_addition", "after_addition"}),
    ],
    ids=["name", "pattern", "list", "predicate", "skip", "skip_list", "both", "neither"],
)
def test_layers_are_chosen_and_skipped(options, expected):
    relaxed = tfmp.relax(residual(), **options)
    assert {layer.name for layer in KERAS_3.read(relaxed).searched} == expected
    for name in {"inside", "before_addition", "after_addition"} - expected:
        assert relaxed.get_layer(name).weight_bits == (8,)


@pytest.mark.parametrize("argument", ["layers", "skip"])
def test_names_that_match_nothing(argument):
    for wrong in ("wrong", ["inside", "wrong*"], "inside_norm"):
        with pytest.raises(ValueError, match=f"`{argument}`.*first, inside, before_addition"):
            tfmp.relax(residual(), **{argument: wrong})
    with pytest.raises(TypeError, match="must be a name, a pattern, a function of a layer"):
        tfmp.relax(residual(), **{argument: [3]})


def test_hwgq_keeps_layers_with_signed_inputs():
    inputs = keras.Input((6, 6, 2))
    x = kl.Conv2D(2, 3, padding="same")(inputs)
    x = kl.Conv2D(2, 3, name="signed")(x)
    x = kl.ReLU()(x)
    model = keras.Model(inputs, kl.Dense(2)(kl.Flatten()(kl.Conv2D(2, 3, name="positive")(x))))
    relaxed = tfmp.relax(model, quantizer="hwgq")
    assert [layer.name for layer in KERAS_3.read(relaxed).searched] == ["positive"]
    assert "negative" in tfmp.inspect(model, quantizer="hwgq")["signed"].reason
    both = tfmp.relax(model, quantizer=("hwgq", "lsq"))
    assert [layer.name for layer in KERAS_3.read(both).searched] == ["signed", "positive"]


@pytest.mark.parametrize(
    "model",
    [
        keras.Sequential([keras.Input((4,)), kl.Dense(2, name="only")]),
        keras.Sequential([keras.Input((4,)), kl.ReLU(name="only")]),
    ],
)
def test_no_layer_to_search(model):
    with pytest.raises(ValueError, match="no layer whose bits can be searched.*only"):
        tfmp.relax(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": (2, 2)}, "`weight_bits` must be different bit-widths"),
        ({"weight_bits": ()}, "`weight_bits` must be one or more integers"),
        ({"activation_bits": (2, 9)}, "1 to 8"),
        ({"activation_bits": (0,)}, "1 to 8"),
        ({"weight_bits": None}, "`weight_bits` must be an integer from 1 to 8. Received: None"),
        ({"quantizer": "linear"}, "2 to 8"),
        ({"quantizer": "wrong"}, "`quantizer` must be one of 'lsq', 'hwgq'"),
        ({"quantizer": ("lsq", "lsq", "lsq")}, "pair"),
        ({"relaxation": "wrong"}, "`relaxation` must be one of 'softmax', 'annealed', 'gumbel'"),
    ],
    ids=str,
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        tfmp.relax(residual(), **options)


def test_unreadable_models():
    with pytest.raises(ValueError, match="not built"):
        tfmp.relax(keras.Sequential([kl.Dense(2)]))
    with pytest.raises(TypeError, match="must be a Keras model"):
        tfmp.relax("model.keras")


def test_a_relaxed_or_fixed_model_is_not_relaxed_again():
    relaxed = tfmp.relax(residual())
    fixed = tfmp.fix(relaxed, tfmp.discretize(relaxed))
    for model in (relaxed, fixed):
        with pytest.raises(ValueError, match="quantized already.*inside"):
            tfmp.relax(model)


def test_arguments_reach_the_layers():
    relaxed = tfmp.relax(
        shared_layer(), weight_bits=(4, 2), activation_bits=3, relaxation="gumbel", shared_range=False, seed=5
    )
    layer = relaxed.get_layer("twice")
    assert (layer.weight_bits, layer.activation_bits) == ((2, 4), (3,))
    assert (layer.relaxation, layer.shared_range, layer.seed, layer.num_calls) == ("gumbel", False, 5, 2)


def test_frozen_layers_stay_frozen():
    model = trained(residual())
    for name in ("inside", "inside_norm", "first"):
        model.get_layer(name).trainable = False
    relaxed = tfmp.relax(model)
    fixed = tfmp.fix(relaxed, tfmp.discretize(relaxed))
    for changed in (relaxed, fixed):
        assert not any(changed.get_layer(name).trainable_variables for name in ("inside", "inside_norm", "first"))
        assert changed.get_layer("after_addition").trainable_variables
    fixed.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    before = [np.asarray(v) for v in fixed.get_layer("inside").weights if v.name == "kernel"]
    fixed.fit(inputs_for(model), np.ones((16, 3)), verbose=0)
    after = [np.asarray(v) for v in fixed.get_layer("inside").weights if v.name == "kernel"]
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "calibration",
    [
        lambda x: x,
        lambda x: tf.data.Dataset.from_tensor_slices(x).batch(5),
        lambda x: tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).batch(16),
        lambda x: [x],
    ],
    ids=["array", "dataset", "dataset_with_targets", "list"],
)
def test_calibration_sets_every_range(calibration):
    model = trained(residual())
    x = inputs_for(model)
    relaxed = tfmp.relax(model, calibration=calibration(x))
    assert all(selector.is_calibrated for selector in selectors(relaxed))
    head = relaxed.get_layer("head_quantizer").activation_selector
    outputs = outputs_of(model, x)[0]
    minimum, maximum = (next(v for v in head.variables if v.name == name) for name in ("minimum", "maximum"))
    np.testing.assert_allclose([minimum, maximum], [outputs.min(), outputs.max()], rtol=1e-4)
    inside = relaxed.get_layer("inside").activation_selector
    positive = outputs_of(keras.Model(model.input, model.get_layer("first_relu").output), x)[0]
    positive = positive[positive > 0]
    expected = np.sqrt(np.mean(positive**2)) * inside.quantizers[-1].unit_step
    np.testing.assert_allclose(next(v for v in inside.variables if v.name == "step"), expected, rtol=0.01)


def test_without_calibration_the_first_batch_sets_the_ranges():
    model = trained(residual())
    relaxed = tfmp.relax(model)
    activations = [layer.activation_selector for layer in relaxed.layers if hasattr(layer, "activation_selector")]
    assert not any(selector.is_calibrated for selector in activations)
    relaxed(inputs_for(model), training=True)
    assert all(selector.is_calibrated for selector in activations)


def test_calibration_of_several_inputs():
    model = trained(several())
    relaxed = tfmp.relax(model, calibration=inputs_for(model))
    assert all(selector.is_calibrated for selector in selectors(relaxed))
    maximum = next(v for v in relaxed.get_layer("right_first").activation_selector.variables if v.name == "maximum")
    np.testing.assert_allclose(maximum, inputs_for(model)["right"].max(), rtol=1e-6)


def test_a_shared_layer_is_calibrated_on_all_its_inputs():
    model = trained(shared_layer())
    model.get_layer("twice").kernel.assign(np.abs(model.get_layer("twice").kernel) * 10)
    x = inputs_for(model)
    relaxed = tfmp.relax(model, activation_bits=(8,), calibration=x)
    first = keras.Model(model.input, model.get_layer("first").output)(x)
    both = np.concatenate([np.ravel(first), np.ravel(model.get_layer("twice")(first))])
    selector = relaxed.get_layer("twice").activation_selector
    expected = selector.quantizers[0].initial_state(both)["step"]
    np.testing.assert_allclose(next(v for v in selector.variables if v.name == "step"), expected, rtol=0.01)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda x: np.where(x > 1, np.nan, x), "finite"),
        (lambda x: np.where(x > 1, np.inf, x), "finite"),
        (lambda x: x[:0], "at least one"),
        (lambda x: [], "without arrays"),
        (lambda x: np.float32(3), "Received"),
        (lambda x: list(x), "one array for each of the 1 inputs.*np.stack"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x[:0]).batch(4), "at least one"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x * np.nan).batch(4), "finite"),
    ],
    ids=["nan", "inf", "empty", "empty_list", "scalar", "list_of_samples", "empty_dataset", "nan_dataset"],
)
def test_bad_calibration_data(broken, message):
    model = residual()
    with pytest.raises(ValueError, match=message):
        tfmp.relax(model, calibration=broken(inputs_for(model)))


@pytest.mark.slow
@pytest.mark.parametrize("application", ["MobileNetV2", "ResNet50V2"])
def test_known_networks_relax(application):
    model = getattr(keras.applications, application)(weights=None, input_shape=(32, 32, 3), classes=10)
    relaxed = tfmp.relax(model)
    multiplying = sum(isinstance(layer, kl.Conv2D | kl.DepthwiseConv2D | kl.Dense) for layer in model.layers)
    assert len(KERAS_3.read(relaxed, weights=False).searched) == multiplying - 2
    outputs = np.asarray(relaxed(np.random.default_rng(0).normal(size=(1, 32, 32, 3))))
    assert outputs.shape == (1, 10) and np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs.sum(), 1, rtol=0.05)


def test_each_candidate_starts_from_the_kernel():
    model = trained(plain())
    shared, own = (tfmp.relax(model, weight_bits=(1, 2, 4), shared_weights=shared) for shared in (True, False))
    for layer in KERAS_3.read(shared, weights=False).searched:
        kernel, built = np.asarray(shared.get_layer(layer.name).kernel), own.get_layer(layer.name)
        assert len(built.kernels()) == 3
        for found in built.kernels():
            np.testing.assert_array_equal(found, kernel)
    x = inputs_for(model)
    np.testing.assert_allclose(outputs_of(own, x)[0], outputs_of(shared, x)[0], rtol=1e-5, atol=1e-5)
    searched = KERAS_3.read(own, weights=False).searched
    assert own.count_params() == shared.count_params() + 2 * sum(layer.shape.num_weights for layer in searched)
    assert [layer.num_parameters for layer in searched] == [
        layer.num_parameters for layer in KERAS_3.read(shared, weights=False).searched
    ], "the network that is shipped has one kernel a layer"


def test_coupled_candidates():
    model = trained(plain())
    relaxed = tfmp.relax(model, weight_bits=(1, 4), activation_bits=(2, 4), coupled=True)
    graph = KERAS_3.read(relaxed)
    assert [layer.name for layer in graph.in_order() if layer.coupled] == [layer.name for layer in graph.searched]
    assert all(layer.pairs == ((0, 0), (1, 1)) for layer in graph.searched)
    assert all("logits" in layer.weight.choice and "logits" not in layer.activation.choice for layer in graph.searched)
    expected = sum(layer.shape.macs * (0.5 * 1 * 2 + 0.5 * 4 * 4) for layer in graph.searched)
    kept = sum(layer.shape.macs * 64 for layer in graph.in_order() if layer.shape and not layer.is_searched)
    assert tfmp.cost(relaxed, "bitops") == pytest.approx(expected + kept, rel=1e-6)
    for seed in range(4):
        drawn = tfmp.discretize(relaxed, strategy="sample", seed=seed)
        assert set(drawn.bits.values()) <= {(1, 2), (4, 4)}
    budget = tfmp.Budget("bitops", like_uniform=(2, 3))
    found = tfmp.discretize(relaxed, strategy="budget", budget=budget)
    assert set(found.bits.values()) == {(1, 2), (4, 4)}
    tfmp.initialize_search(relaxed, found)
    assert tfmp.discretize(relaxed).bits == found.bits
    with pytest.raises(ValueError, match=r"coupled. Expected one of \(1, 2\), \(4, 4\). Received: \(1, 4\)"):
        tfmp.initialize_search(relaxed, {name: (1, 4) for name in found})
    harm = tfmp.assign.by_sensitivity(relaxed, inputs_for(model), budget)
    assert set(harm.bits.values()) <= {(1, 2), (4, 4)}
    with pytest.raises(ValueError, match="equally many of both"):
        tfmp.relax(model, coupled=True)


@pytest.mark.parametrize("bits", [((1, 4), (2, 4)), ((2, 4), (2, 4))], ids=["section_5_6", "figure_4"])
def test_coarse_search_spaces(bits):
    model = trained(plain())
    relaxed = tfmp.relax(model, weight_bits=bits[0], activation_bits=bits[1], quantizer="hwgq")
    pairs = {(w, a) for w in bits[0] for a in bits[1]}
    searched = KERAS_3.read(relaxed).searched
    assert searched and all((layer.weight.bits, layer.activation.bits) == bits for layer in searched)
    assert {
        pair for seed in range(8) for pair in tfmp.discretize(relaxed, strategy="sample", seed=seed).bits.values()
    } == pairs
