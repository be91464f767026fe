import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

import tfmp
from tests.bindings.tfmot.networks import BITS, X, applied, network, quantization, search, train
from tests.transform.fold_models import UNTRAINED
from tfmp.bindings.framework import framework_of

pytestmark = pytest.mark.usefixtures("eagerly")
EIGHT_BITS = quantization.default_8bit.Default8BitQuantizeRegistry()


@pytest.fixture(scope="module")
def searched():
    """A searched model of `tfmp.relax` and one of TFMOT, from equal weights on equal data, and what they logged."""
    model = network()
    models = [tfmp.relax(model, **BITS, relaxation="gumbel", seed=3), applied(model, relaxation="gumbel", seed=3)]
    return models, [search(model) for model in models]


@pytest.fixture(scope="module")
def mixed():
    """A searched model two layers of which TFMOT quantizes by itself."""
    configs = {layer.name: EIGHT_BITS.get_quantize_config(layer) for layer in network().layers if layer.name in EIGHT}
    model = applied(network(), configs)
    search(model, epochs=1)
    return model


EIGHT = ("pointwise", "head")


def reload(model, path):
    model.save(path)
    with quantization.quantize_scope():
        return tf_keras.models.load_model(path)


def assert_equal_graphs(models):
    one, two = (framework_of(model).read(model) for model in models)
    assert [call.layer for call in one.calls] == [call.layer for call in two.calls]
    for name, layer in one.layers.items():
        other = two.layers[name]
        for field in ("kind", "attributes", "shape", "trainable", "num_parameters"):
            assert getattr(layer, field) == getattr(other, field), (name, field)
        for choice, others in ((layer.weight, other.weight), (layer.activation, other.activation)):
            assert (choice.formats, choice.quantizer, choice.signed) == (
                others.formats,
                others.quantizer,
                others.signed,
            )
            np.testing.assert_allclose(others.probabilities, choice.probabilities, rtol=1e-5)
        assert layer.weights.keys() == other.weights.keys()
        for path, value in layer.weights.items():
            np.testing.assert_allclose(other.weights[path], value, rtol=1e-5, atol=1e-5, err_msg=f"{name} {path}")


def test_the_search_is_that_of_a_relaxed_model(searched):
    models, (one, two) = searched
    assert one.keys() == two.keys() >= {"loss", "expected_cost", "multiplier", "mixture_variance"}
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    assert_equal_graphs(models)
    costs = [tfmp.cost(model, "bitops") for model in models]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)
    assignments = [
        tfmp.discretize(model, strategy="budget", budget=tfmp.Budget("bitops", like_uniform=(2, 3))) for model in models
    ]
    assert assignments[0].bits == assignments[1].bits
    assert set(assignments[0]) == {"depthwise", "pointwise", "hidden"}


@pytest.mark.slow
def test_candidates_with_kernels_of_their_own_are_those_of_a_relaxed_model(tmp_path):
    options = {"shared_weights": False, "relaxation": "annealed"}
    models = [tfmp.relax(network(), **BITS, **options), applied(network(), **options)]
    for model in models:
        search(model, epochs=1)
    assert_equal_graphs(models)
    kernels = framework_of(models[1]).layer(models[1], "pointwise").kernels()
    assert len(kernels) == 3 and not np.allclose(kernels[0], kernels[2])
    loaded = reload(models[1], f"{tmp_path}/search.keras")
    assert_equal_graphs([models[1], loaded])
    bits = tfmp.discretize(loaded).bits
    np.testing.assert_allclose(
        tfmp.fix(loaded, bits).predict(X, verbose=0),
        tfmp.fix(models[0], bits).predict(X, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.default_cases(".keras")
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_search_goes_on_after_loading(searched, suffix, tmp_path):
    model = searched[0][1]
    loaded = reload(model, f"{tmp_path}/search{suffix}")
    assert_equal_graphs([model, loaded])
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    if suffix == ".keras":
        before = tfmp.cost(loaded, "bitops")
        search(loaded, epochs=1)
        assert tfmp.cost(loaded, "bitops") != before


def test_the_fixed_model_is_exported_as_that_of_a_relaxed_model(searched, tmp_path):
    bits = tfmp.discretize(searched[0][0]).bits
    files = []
    for position, model in enumerate(searched[0]):
        fixed = tfmp.fix(model, bits, calibration=X)
        tfmp.export_tflite(fixed, tmp_path / f"{position}.tflite", verify=X, tolerance=UNTRAINED)
        files.append((tmp_path / f"{position}.tflite").read_bytes())
    assert files[0] == files[1]
    loaded = reload(fixed, f"{tmp_path}/fixed.h5")
    np.testing.assert_array_equal(tfmp.fold(loaded).predict(X, verbose=0), tfmp.fold(fixed).predict(X, verbose=0))
    assert str(tfmp.simulate(loaded)) == str(tfmp.simulate(fixed))


@pytest.mark.slow
def test_the_fixed_model_is_corrected_after_training(searched, tmp_path):
    model = searched[0][1]
    post = tfmp.fix(model, tfmp.discretize(model).bits, calibration=X, post_training=True)
    tfmp.export_tflite(post, tmp_path / "post.tflite", verify=X, mode="small", tolerance=UNTRAINED)


@pytest.mark.default_cases("h5")
@pytest.mark.parametrize("suffix", [".h5", ""], ids=["h5", "saved_model"])
def test_models_mixed_with_tfmots_configurations_are_saved(mixed, suffix, tmp_path):
    loaded = reload(mixed, f"{tmp_path}/mixed{suffix}")
    assert_equal_graphs([mixed, loaded])
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), mixed.predict(X, verbose=0))


def test_tfmots_layers_stay_what_they_are_when_others_are_fixed(mixed, tmp_path):
    assignment = tfmp.discretize(mixed)
    assert set(assignment) == {"depthwise", "hidden"}
    fixed = tfmp.fix(mixed, assignment)
    for name in EIGHT:
        one, two = (model.get_layer(f"quant_{name}") for model in (mixed, fixed))
        assert type(one.quantize_config) is type(two.quantize_config)
        for before, after in zip(sorted(one.weights, key=by_name), sorted(two.weights, key=by_name), strict=True):
            np.testing.assert_array_equal(before, after, err_msg=before.name)
    train(fixed)
    tfmp.export_tflite(fixed, tmp_path / "mixed.tflite", verify=X)
    equal = np.isclose(tfmp.fold(fixed).predict(X, verbose=0), fixed.predict(X, verbose=0), rtol=0, atol=1e-6)
    assert equal.mean() > 0.5  # rounding differences at low bits propagate far
    floating = tfmp.export_tflite(fixed, tmp_path / "float.tflite", mode="float")
    assert floating is not None


def by_name(variable):
    return variable.name.split("/")[-1]


def test_a_model_of_tfmot_alone_is_folded_with_its_ranges(tmp_path):
    """The oracle is TFMOT: what its fake quantization computes is what the integers say."""
    model = train(quantization.quantize_model(network()), epochs=2)
    graph = framework_of(model).read(model)
    assert [layer.name for layer in graph.in_order() if layer.shape] == [
        "first", "depthwise", "pointwise", "hidden", "head"
    ]  # fmt: skip
    assert all(layer.weight.bits == layer.activation.bits == (8,) for layer in graph.in_order() if layer.shape)
    tfmp.export_tflite(model, tmp_path / "eight.tflite", verify=X)
    scale = np.diff(np.unique(tfmp.fold(model).predict(X, verbose=0))).min()
    codes = [np.rint(found.predict(X, verbose=0) / scale) for found in (model, tfmp.fold(model))]
    assert np.abs(codes[0] - codes[1]).max() <= 1 and np.mean(codes[0] == codes[1]) > 0.98
    uniform = tfmp.relax(network(), weight_bits=(8,), activation_bits=(8,))
    assert tfmp.cost(model, "bitops") == tfmp.cost(uniform, "bitops")


def test_activations_that_tfmot_quantizes_before_are_layers_of_their_own(tmp_path):
    x = inputs = tf_keras.Input((8, 8, 3))
    x = kl.Conv2D(4, 3, activation="tanh", name="conv")(x)
    model = tf_keras.Model(inputs, kl.Dense(3, activation="softmax", name="head")(kl.Flatten()(x)))
    model = train(quantization.quantize_model(model))
    graph = framework_of(model).read(model)
    called = [call.layer for call in graph.calls]
    assert called[called.index("head") :] == ["head", "head_before_activation", "head_activation"]
    assert graph.layers["head_activation"].kind == "softmax" and graph.layers["conv_activation"].kind == "tanh"
    np.testing.assert_allclose(tfmp.fold(model).predict(X, verbose=0), model.predict(X, verbose=0), atol=0.02)


def test_kernels_that_tfmot_leaves_in_floating_point_are_named(tmp_path):
    """It does so in front of a ReLU layer, without a normalization between them."""
    stack = [kl.Dense(4, name="plain", input_shape=(3,)), kl.ReLU(), kl.Dense(2, name="head")]
    model = quantization.quantize_model(tf_keras.Sequential(stack))
    assert framework_of(model).read(model).layers["plain"].weight.formats[0].is_float
    with pytest.raises(ValueError, match="Layer `plain` has its weights or its input in floating point"):
        tfmp.export_tflite(model, tmp_path / "plain.tflite")


class Wide(quantization.quantizers.LastValueQuantizer):
    """A kernel quantizer whose levels reach further below zero than above."""

    def __init__(self):
        super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)

    def get_config(self):
        return {}


class WideConfig(type(EIGHT_BITS.get_quantize_config(kl.Dense(1)))):
    def __init__(self):
        super().__init__(["kernel"], ["activation"], False)
        self.weight_quantizer = Wide()

    def get_config(self):
        return {}


@pytest.mark.slow
def test_levels_that_no_file_has_are_named(tmp_path):
    x = inputs = tf_keras.Input((8, 8, 3))
    x = kl.Dense(4, activation="relu", name="second")(kl.Dense(4, activation="relu", name="first")(x))
    model = tf_keras.Model(inputs, kl.Dense(3, name="head")(kl.Flatten()(x)))
    with quantization.quantize_scope({"WideConfig": WideConfig}):
        model = applied(model, {"first": WideConfig()})
        search(model, epochs=1)
        fixed = tfmp.fix(model, tfmp.discretize(model))
        assert tfmp.cost(fixed, "bitops") > 0
        with pytest.raises(ValueError, match="Layer `first` has its weights quantized by `Wide`"):
            tfmp.export_tflite(fixed, tmp_path / "wide.tflite")
        with pytest.raises(ValueError, match="Layer `first` is quantized by TFMOT's `WideConfig`"):
            tfmp.fix(model, tfmp.discretize(model), calibration=X, post_training=True)


def test_tensors_and_layers_are_found_by_their_names(mixed):
    framework = framework_of(mixed)
    assert framework.layer(mixed, "hidden") is mixed.get_layer("quant_hidden")
    assert framework.layer(mixed, "first_norm") is mixed.get_layer("first_norm")
    tensors = framework.tensor_model(mixed, ["depthwise", "pointwise", "pointwise_output"])(X[:4])
    np.testing.assert_array_equal(tensors[1], tensors[2])
    assert tensors[0].shape == (4, 8, 8, 4)
    with pytest.raises(ValueError, match="no layer `absent`"):
        framework.layer(mixed, "absent")
