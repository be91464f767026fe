import keras
import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, plain, residual, several, shared_layer, trained
from tfmp.bindings.keras3.keras3_framework import Keras3Framework
from tfmp.graph import BitAssignment
from tfmp.quantizers.least_squares import data_step

KERAS_3 = Keras3Framework()

NETWORKS = [plain, residual, several, shared_layer]


def relaxed_model(make, seed=0, **options):
    """A calibrated model with ranges that a search may have moved."""
    model = trained(make())
    relaxed = tfmp.relax(model, calibration=inputs_for(model), **options)
    rng = np.random.default_rng(seed)
    for variable in relaxed.trainable_variables:
        if variable.name.startswith("step"):
            variable.assign(np.asarray(variable) * rng.uniform(0.8, 1.2, variable.shape))
        elif variable.name.startswith("kernel_"):  # of a candidate alone
            variable.assign(variable + rng.normal(scale=0.3, size=variable.shape))
    return relaxed


def searched_layers(model):
    return [model.get_layer(layer.name) for layer in KERAS_3.read(model, weights=False).searched]


def decide(model, seed=0):
    """Draws an assignment and makes the model certain of it."""
    rng = np.random.default_rng(seed)
    bits = {}
    for layer in searched_layers(model):
        pair = []
        for selector in (layer.weight_selector, layer.activation_selector):
            if not (layer.coupled and pair):
                choice = rng.integers(len(selector.bits))
            if selector.logits is not None:
                selector.logits.assign(np.where(np.arange(len(selector.bits)) == choice, 50.0, -50.0))
            pair.append(selector.bits[choice])
        bits[layer.name] = tuple(pair)
    return bits


@pytest.mark.default_cases(
    "several-{'quantizer'*",
    "plain-{'quantizer'*",
    "residual-{'quantizer': 'hwgq'}",
    "shared_layer-{'weight_bits'*",
    "residual-{'shared_weights'*",
    "plain-{'weight_bits'*",
)
@pytest.mark.parametrize(
    ("make", "options"),
    [
        *((make, {}) for make in NETWORKS),
        (plain, {"shared_range": False}),
        (several, {"quantizer": ("hwgq", "lsq"), "weight_bits": (1, 3, 4)}),
        (plain, {"quantizer": ("linear", "moving_range"), "weight_bits": (2, 8), "activation_bits": (3, 8)}),
        (residual, {"quantizer": ("lsq", "moving_range"), "activation_bits": (2, 4), "first_and_last": "search"}),
        (residual, {"quantizer": "hwgq"}),
        (shared_layer, {"weight_bits": (3,), "first_and_last": "float"}),
        (residual, {"relaxation": "gumbel"}),
        (residual, {"shared_weights": False, "relaxation": "annealed"}),
        (plain, {"weight_bits": (1, 2, 4), "coupled": True, "shared_weights": False}),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
def test_fixed_network_is_the_search_network_made_certain(make, options):
    relaxed = relaxed_model(make, **options)
    bits = decide(relaxed)
    assert len(set(bits.values())) > 1 or len(bits) == 1
    fixed = tfmp.fix(relaxed, bits)
    assert [layer.name for layer in fixed.layers] == [layer.name for layer in relaxed.layers]
    for name, (weight_bits, activation_bits) in bits.items():
        layer = fixed.get_layer(name)
        assert type(layer) is type(relaxed.get_layer(name))
        assert (layer.weight_bits, layer.activation_bits) == ((weight_bits,), (activation_bits,))
        assert layer.weight_selector.logits is layer.activation_selector.logits is layer.selection_cost is None
    x = inputs_for(relaxed)
    for actual, expected in zip(outputs_of(fixed, x), outputs_of(relaxed, x), strict=True):
        assert np.std(expected) > 0
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_bits_that_were_no_candidates_have_the_kernel_of_the_widest():
    relaxed = relaxed_model(residual, weight_bits=(2, 4), shared_weights=False)
    names = [layer.name for layer in searched_layers(relaxed)]
    for bits, same in ((3, True), (4, True), (2, False)):
        fixed = tfmp.fix(relaxed, {name: (bits, 2) for name in names})
        for name in names:
            kernels = [np.asarray(model.get_layer(name).kernel) for model in (relaxed, fixed)]
            assert np.array_equal(*kernels) is same


def test_the_search_model_is_not_changed():
    relaxed = relaxed_model(residual)
    before = [np.asarray(v) for v in relaxed.variables]
    fixed = tfmp.fix(relaxed, decide(relaxed), calibration=inputs_for(relaxed))
    fixed.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    fixed.fit(inputs_for(relaxed), np.ones((16, 3)), verbose=0)
    changed = [
        v.path
        for v, value in zip(relaxed.variables, before, strict=True)
        if not np.array_equal(v, value) and v.name != "logits"
    ]
    assert changed == []


@pytest.mark.parametrize("shared_range", [True, False])
def test_bits_that_were_no_candidates(shared_range):
    """The step follows the range of the widest candidate, in the least-squares ratio."""
    relaxed = relaxed_model(residual, weight_bits=(2, 4), activation_bits=(2, 3), shared_range=shared_range)
    bits = {layer.name: (3, 5) for layer in searched_layers(relaxed)}
    fixed = tfmp.fix(relaxed, bits)
    name = "" if shared_range else "_4_bits"
    for layer_name in bits:
        wide = relaxed.get_layer(layer_name).weight_selector
        fine = fixed.get_layer(layer_name).weight_selector
        (step,) = (np.asarray(v) for v in wide.variables if v.name == f"step{name}")
        (found,) = (np.asarray(v) for v in fine.variables if v.name == "step")
        # The least-squares step of a Gaussian: 0.586 at 3 bits mid-tread, 0.335 at 4 (Max, 1960, even levels nearby).
        ratio = fine.quantizers[0].unit_step / wide.quantizers[-1].unit_step
        np.testing.assert_allclose(found / step, np.full(step.shape, ratio), rtol=1e-5)
        assert step.ndim == 4 and 1.4 < ratio < 2.1
    assert np.isfinite(outputs_of(fixed, inputs_for(relaxed))[0]).all()


@pytest.mark.default_cases("residual")
@pytest.mark.parametrize("make", NETWORKS)
def test_fixed_network_trains(make):
    relaxed = relaxed_model(make)
    fixed = tfmp.fix(relaxed, decide(relaxed))
    x = inputs_for(relaxed)
    targets = keras.tree.map_structure(lambda y: np.zeros(y.shape), fixed(x))
    losses = keras.tree.map_structure(lambda _: "mse", targets)
    fixed.compile(keras.optimizers.SGD(0.01), losses, run_eagerly=True)
    losses = fixed.fit(x, targets, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    steps = [v for v in fixed.trainable_variables if v.name == "step"]
    assert len(steps) == 2 * len(searched_layers(relaxed)), "each quantizer has a free step"


def test_fixed_network_saves_and_loads(tmp_path):
    relaxed = relaxed_model(several)
    fixed = tfmp.fix(relaxed, decide(relaxed))
    fixed.save(tmp_path / "fixed.keras")
    again = tfmp.load_model(tmp_path / "fixed.keras")
    x = inputs_for(relaxed)
    for actual, expected in zip(outputs_of(again, x), outputs_of(fixed, x), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_calibration_estimates_the_normalization_again():
    relaxed = relaxed_model(residual)
    bits = decide(relaxed)
    x = inputs_for(relaxed, 64)
    before, after = tfmp.fix(relaxed, bits), tfmp.fix(relaxed, bits, calibration=x)
    seen = keras.Model(after.input, after.get_layer("inside").output)(x)
    norm = after.get_layer("inside_norm")
    np.testing.assert_allclose(norm.moving_mean, np.mean(seen, axis=(0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, np.var(seen, axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_array_equal(after.get_layer("inside").kernel, before.get_layer("inside").kernel)


@pytest.mark.default_cases("residual")
@pytest.mark.parametrize("make", [plain, residual])
def test_without_training_ranges_fit_the_data_and_errors_shrink(make):
    model = trained(make())
    x = inputs_for(model, 64)
    relaxed = tfmp.relax(model, calibration=x)
    bits = {layer.name: (3, 3) for layer in searched_layers(relaxed)}
    exact = outputs_of(model, inputs_for(model, 200, seed=5))[0]

    def error(fixed):
        return np.square(outputs_of(fixed, inputs_for(model, 200, seed=5))[0] - exact).mean() / exact.var()

    fixed = tfmp.fix(relaxed, bits, calibration=x, post_training=True)
    assert error(fixed) < 0.9 * error(tfmp.fix(relaxed, bits))
    for layer in searched_layers(relaxed):
        selector = fixed.get_layer(layer.name).weight_selector
        (steps,) = (np.ravel(v) for v in selector.variables if v.name == "step")
        kernel = np.moveaxis(np.asarray(layer.kernel), layer.channel_axes, range(len(layer.channel_axes)))
        for step, channel in zip(steps, kernel.reshape(len(steps), -1), strict=True):
            errors = [
                np.square(channel - np.clip(np.rint(channel / s), -4, 3) * s).sum()
                for s in (step, data_step(channel, -4, 3))
            ]
            assert errors[0] <= 1.02 * errors[1] + 1e-12
    with pytest.raises(ValueError, match="`post_training=True` needs `calibration`"):
        tfmp.fix(relaxed, bits, post_training=True)


def test_an_assignment_for_another_model():
    relaxed = relaxed_model(residual)
    bits = decide(relaxed)
    for wrong, message in (
        (decide(relaxed_model(plain)), "not for model `residual`.*depthwise.*lacks: inside, before_addition"),
        ({**bits, "first": (2, 2)}, "not searched there: first"),
        ({"inside": (2, 2)}, "it lacks: before_addition, after_addition"),
        ({}, "it lacks: inside"),
    ):
        for assignment in (wrong, BitAssignment(wrong)):
            with pytest.raises(ValueError, match=message):
                tfmp.fix(relaxed, assignment)


def test_bad_bits_and_models():
    relaxed = relaxed_model(residual)
    bits = decide(relaxed)
    with pytest.raises(ValueError, match="1 to 8"):
        tfmp.fix(relaxed, {**bits, "inside": (2, 16)})
    with pytest.raises(ValueError, match="`inside`.*two integers"):
        tfmp.fix(relaxed, {**bits, "inside": 2})
    with pytest.raises(TypeError, match="mapping of layer names"):
        tfmp.fix(relaxed, [2, 2])
    with pytest.raises(ValueError, match="no layer whose bits are open"):
        tfmp.fix(residual(), bits)


@pytest.mark.parametrize("quantizer", ["lsq", "hwgq"])
def test_one_bit_networks_train(quantizer):
    relaxed = relaxed_model(residual, weight_bits=(1, 2), activation_bits=(1, 2), quantizer=quantizer)
    fixed = tfmp.fix(relaxed, {layer.name: (1, 1) for layer in searched_layers(relaxed)})
    fixed.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    losses = fixed.fit(inputs_for(relaxed), np.ones((16, 3)), epochs=3, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    kernel = fixed.get_layer("inside").weight_selector(fixed.get_layer("inside").kernel.value)
    assert {len(np.unique(channel)) for channel in np.moveaxis(kernel, -1, 0)} == {2}
