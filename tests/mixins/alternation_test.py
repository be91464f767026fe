"""Weights trained on training data and logits on other data, in both Kerases."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
import tfmp.keras2
from tfmp.bindings.selection_optimizer import group_of
from tfmp.mixins.alternation import Alternation

KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}
X = np.random.default_rng(0).normal(size=(24, 6, 6, 2)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 2, size=24)
HELD_OUT = X[16:], Y[16:]
BUDGET = tfmp.Budget("bitops", like_uniform=(2, 2))


@pytest.fixture(params=KERASES)
def kit(request):
    return KERASES[request.param]


def compiled(kit, *, dropout=0.0, eager=True, relaxation="softmax", ranges="relative"):
    framework, ours = kit
    kl = framework.layers
    framework.utils.set_random_seed(0)
    x = inputs = framework.Input((6, 6, 2))
    for name in ("one", "two"):
        x = kl.Conv2D(3, 3, name=name)(x)
        x = kl.ReLU(name=f"{name}_relu")(kl.BatchNormalization(name=f"{name}_norm")(x))
    x = kl.Dense(4, activation="relu", name="three")(kl.Dropout(dropout)(kl.Flatten()(x)))
    model = framework.Model(inputs, kl.Dense(2, name="four")(x))
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign(np.asarray(variable) + rng.normal(size=variable.shape) / 3)
    relaxed = tfmp.relax(model, weight_bits=(1, 2, 4), activation_bits=(2, 4), relaxation=relaxation, calibration=X)
    weights, selection = (framework.optimizers.SGD(rate, momentum=0.9) for rate in (0.02, 0.5))
    optimizer = ours.SelectionOptimizer(weights, selection, ranges=ranges)
    loss = framework.losses.SparseCategoricalCrossentropy(from_logits=True)
    relaxed.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eager)
    return relaxed


def name_of(variable):
    return getattr(variable, "path", variable.name).split(":")[0]


def values(model):
    return [(name_of(v), np.asarray(v)) for v in model.variables]


def moved(before, after):
    return {name for (name, one), (_, other) in zip(before, after, strict=True) if not np.array_equal(one, other)}


def fit(kit, model, search, callbacks=(), **options):
    options = {"epochs": 1, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return model.fit(X[:16], Y[:16], callbacks=list(callbacks) or [search], **options)


@pytest.mark.default_cases("keras-gumbel-eager")
@pytest.mark.parametrize("eager", [True, False], ids=["eager", "compiled"])
@pytest.mark.parametrize("relaxation", ["softmax", "gumbel"])
def test_each_step_moves_what_is_its_own(kit, relaxation, eager):
    framework, ours = kit
    model = compiled(kit, dropout=0.5, eager=eager, relaxation=relaxation)
    search = ours.MixedPrecisionSearch(BUDGET, selection_data=HELD_OUT)
    seen = []

    def see(batch, logs=None):
        seen.append((values(model), [np.asarray(m.result()) for m in model.metrics if m.name == "loss"]))

    watches = [
        framework.callbacks.LambdaCallback(on_train_batch_begin=see, on_train_batch_end=see),
        search,
        framework.callbacks.LambdaCallback(on_train_batch_end=see),
    ]
    fit(kit, model, search, watches)
    assert len(seen) == 6
    for start in (0, 3):
        (begin, _), (trained, logged), (selected, after) = seen[start : start + 3]
        by_training, by_selection = moved(begin, trained), moved(trained, selected)
        assert not any(group_of(name) == "selection" for name in by_training)
        assert {group_of(name) for name in by_training} >= {"weights", "ranges"}
        assert any(name.endswith("moving_mean") for name in by_training)
        assert {name for name in by_selection if group_of(name) == "selection"} == {
            name for name, _ in begin if group_of(name) == "selection"
        }
        others = {name.split("/")[-1] for name in by_selection if group_of(name) != "selection"}
        assert others <= {"price", "sampling_step", "seed_generator_state"}, "noise goes on, all else is left alone"
        assert ("sampling_step" in others) == (relaxation == "gumbel")
        assert logged == after and logged, "metrics are those of the training data"


@pytest.mark.default_cases("keras")
def test_the_logits_follow_the_gradient_of_loss_and_price_on_the_selection_batch(kit):
    """An independent pass over the same batch, from the variables as the training step left them."""
    framework, ours = kit
    model = compiled(kit)
    data = tfmp.SelectionData(HELD_OUT, batch_size=4, seed=5)
    search = ours.MixedPrecisionSearch(eta=0.3, selection_data=data)
    expected = []

    def gradients(batch, logs=None):
        kept = [np.asarray(v) for v in model.variables]
        logits = [v for v in model.trainable_variables if name_of(v).endswith("logits")]
        x, y, _ = data.batch(0)
        assert set(np.unique(x)) <= set(np.unique(HELD_OUT[0]))
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, outputs)) + tf.add_n(model.losses)
        found = tape.gradient(loss, [v if isinstance(v, tf.Variable) else v.value for v in logits])
        for variable, value in zip(model.variables, kept, strict=True):
            variable.assign(value)
        expected.extend((v, np.asarray(v) - 0.5 * np.asarray(g)) for v, g in zip(logits, found, strict=True))

    watch = framework.callbacks.LambdaCallback(on_train_batch_end=gradients)
    model.fit(X[:8], Y[:8], batch_size=8, callbacks=[watch, search], verbose=0)
    assert len(expected) == 4
    for variable, value in expected:
        np.testing.assert_allclose(np.asarray(variable), value, rtol=1e-5, atol=1e-6, err_msg=variable.name)
        assert np.abs(value - 0.01).max() > 1e-3


@pytest.mark.slow
def test_a_step_for_every_few_of_the_others(kit):
    _, ours = kit
    model = compiled(kit)
    search = ours.MixedPrecisionSearch(BUDGET, selection_data=tfmp.SelectionData(HELD_OUT, every=3))
    fit(kit, model, search, batch_size=4, epochs=2)
    optimizer = model.optimizer
    assert int(np.asarray(optimizer.selection_optimizer.iterations)) == 8 // 3, "counted over the epochs"
    assert int(np.asarray(optimizer.weights_optimizer.iterations)) == 8
    fit(kit, model, ours.MixedPrecisionSearch(BUDGET), batch_size=16)
    assert int(np.asarray(optimizer.selection_optimizer.iterations)) == 3, "without selection data: a single pass"


@pytest.mark.parametrize("every", [1, 3, 7, 30])
@pytest.mark.parametrize("reported", [1, 2, 5], ids=lambda count: f"{count}_at_once")
def test_steps_are_counted_over_all_epochs(every, reported):
    """However many the epoch has, and wherever the search was taken up."""
    taken, batches, before = [], [], 0
    data = tfmp.SelectionData((np.arange(4.0)[:, None], np.arange(4)), batch_size=1, every=every)
    for epochs in (range(0, 3), range(3, 8)):
        alternation = Alternation(data)
        alternation.training_steps = before
        alternation.begin(lambda: lambda x, y, _: batches.append(int(y[0])) or 0.0)
        for epoch in epochs:
            alternation.begin_epoch()
            for step in [*range(reported, 5, reported), 5]:  # an epoch has five steps
                alternation.after_batch(step - 1)
                taken.append((5 * epoch + step, len(batches)))
        before = alternation.training_steps
    assert all(count == steps // every for steps, count in taken)
    assert batches == [int(data.batch(position)[1][0]) for position in range(40 // every)]


@pytest.mark.slow
def test_half_precision_scales_the_loss_of_the_logits_too(kit):
    framework, ours = kit
    framework.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = compiled(kit, ranges=None)  # Adafactor begins with the sign of a gradient, which rounding may change
        assert type(model.optimizer).__name__.startswith("LossScaleOptimizer")
        found = fit(kit, model, ours.MixedPrecisionSearch(BUDGET, selection_data=HELD_OUT))
    finally:
        framework.mixed_precision.set_global_policy("float32")
    single = compiled(kit, ranges=None)
    expected = fit(kit, single, ours.MixedPrecisionSearch(BUDGET, selection_data=HELD_OUT))
    assert all(np.isfinite(v).all() for v in found.history.values())
    for one, other in zip(model.trainable_variables, single.trainable_variables, strict=True):
        if name_of(one).endswith("logits"):
            assert np.abs(np.asarray(other) - 0.01).max() > 1e-3
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=3e-3)
    np.testing.assert_allclose(found.history["multiplier"], expected.history["multiplier"], rtol=0.02)


@pytest.mark.slow  # one Keras each is tested below, equal searches of both in parity_test
def test_both_kerases_find_the_same():
    histories, starts = [], None
    for kit in KERASES.values():
        model = compiled(kit)
        arrays = [np.asarray(v) for v in model.weights]
        starts = starts or {name_of(v): a for v, a in zip(model.weights, arrays, strict=True)}
        for variable in model.weights:
            variable.assign(starts[name_of(variable)])
        search = kit[1].MixedPrecisionSearch(BUDGET, selection_data=HELD_OUT, freeze_above=0.6)
        histories.append(fit(kit, model, search, epochs=2).history)
    assert histories[0]["decided"][-1] > 0
    for name, found in histories[0].items():
        np.testing.assert_allclose(histories[1][name], found, rtol=2e-4, atol=1e-5, err_msg=name)


@pytest.mark.default_cases("tf_keras")
def test_bits_that_were_found_before_stay_decided(kit):
    """`initialize_search` makes them likely, `freeze_above` keeps them, and the selection data have nothing to say."""
    _, ours = kit
    model = compiled(kit)
    names = [layer.name for layer in model.layers if layer.name in ("two", "three")]
    assignment = {"two": (2, 4), "three": (4, 2)}
    assert sorted(names) == sorted(assignment)
    tfmp.initialize_search(model, assignment, confidence=0.9)
    start = {name: value for name, value in values(model) if name.endswith("logits")}
    search = ours.MixedPrecisionSearch(
        tfmp.Budget("bitops", like_uniform=(3, 3)), selection_data=HELD_OUT, freeze_above=0.85
    )
    search.set_model(model)
    search.step()
    history = fit(kit, model, search, epochs=2).history
    assert history["decided"] == [4.0, 4.0] and tfmp.discretize(model).bits == assignment
    for name, value in values(model):
        if name.endswith("logits"):
            np.testing.assert_array_equal(value, start[name])


@pytest.mark.parametrize("wrong", ["optimizer", "data", "threshold"])
def test_errors(kit, wrong):
    framework, ours = kit
    if wrong == "data":
        with pytest.raises(ValueError, match="`selection_data` must be"):
            ours.MixedPrecisionSearch(BUDGET, selection_data=X)
    elif wrong == "threshold":
        with pytest.raises(ValueError, match="`freeze_above` must be a finite number above 0.5 and below 1"):
            ours.MixedPrecisionSearch(BUDGET, freeze_above=95)
    else:
        model = compiled(kit)
        model.compile("sgd", "mse", run_eagerly=True)
        with pytest.raises(ValueError, match="`selection_data` needs.*SelectionOptimizer.*Received: SGD"):
            fit(kit, model, ours.MixedPrecisionSearch(BUDGET, selection_data=HELD_OUT))
