import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import Training
from tfmp.tuner.fit_data import FitData

(X, Y), VALIDATION = tiny.data()


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[16 * index : 16 * index + 16], Y[16 * index : 16 * index + 16]


KINDS = {
    "arrays": ((X, Y), {"batch_size": 16}),
    "data set": ((tf.data.Dataset.from_tensor_slices((X, Y)).batch(16),), {}),
    "PyDataset": ((Batches(),), {}),
    "function": ((lambda: (Batches()[index] for index in range(4)),), {"steps_per_epoch": 4}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gives_the_same(kind):
    arguments, options = KINDS[kind]
    data = FitData(*arguments, validation_data=VALIDATION, **options)
    assert data.steps_per_epoch() == 4
    inputs, targets = data.first(40)
    np.testing.assert_array_equal(inputs, X[:40])
    np.testing.assert_array_equal(targets, Y[:40])
    model = tiny.build()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(**data.fit_arguments(), epochs=1, verbose=0).history
    assert len(history["loss"]) == 1


def test_structures_and_missing_targets():
    inputs, targets = FitData({"a": X, "b": X[:, :1]}, validation_data=VALIDATION).first(3)
    assert inputs["a"].shape == (3, 4) and inputs["b"].shape == (3, 1) and targets is None
    endless = FitData(tf.data.Dataset.from_tensor_slices((X, Y)).batch(16).repeat(), validation_data=VALIDATION)
    assert endless.steps_per_epoch() is None and len(endless.first(20)[0]) == 20
    assert FitData(X, Y, validation_data=VALIDATION).steps_per_epoch() == 2, "32 is the default of fit"


@pytest.mark.parametrize("kind", ["weights", "steps"])
def test_validation_weights_and_steps_are_those_of_fit(kind):
    x, y = VALIDATION
    weights = np.linspace(0, 2, len(x))
    repeated = tf.data.Dataset.from_tensor_slices((x, y)).batch(16).repeat()
    given = {
        "weights": {"validation_data": (x, y, weights), "validation_batch_size": 8},
        "steps": {"validation_data": repeated, "validation_steps": 1},
    }[kind]
    model = tiny.build()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["accuracy"])
    logits = np.asarray(model(x), np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(x)), y]
    expected = np.mean(losses * weights) if kind == "weights" else np.mean(losses[:16])
    data = FitData(X, Y, **given)
    assert data.evaluate(model)["loss"] == pytest.approx(expected, rel=1e-5)
    history = model.fit(**data.fit_arguments(), **given, epochs=1, verbose=0).history
    assert data.evaluate(model)["loss"] == pytest.approx(history["val_loss"][0], rel=1e-5)


def test_functions_are_read_again_by_every_trial():
    batches = lambda: ([list(each), y] for each, y in [((X, X[:, :1]), Y)] * 2)  # noqa: E731
    data = FitData(batches, validation_data=batches)
    assert data.steps_per_epoch() is None
    (left, right), targets = data.first(3)
    np.testing.assert_array_equal(np.concatenate([left, right], 1), np.concatenate([X[:3], X[:3, :1]], 1))
    np.testing.assert_array_equal(targets, Y[:3])
    for _ in range(2):
        assert len(list(data.fit_arguments()["x"])) == len(list(data.validation_data)) == 2


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (iter([(X, Y)]), None, TypeError, "`x` must be data that can be read more than once"),
        (None, None, TypeError, "`x` must be an array.*Received: None"),
        (X, Y[:5], ValueError, "`x` and `y` must be arrays of equal length"),
        (Batches(), Y, ValueError, "batches, which hold their targets"),
    ],
)
def test_training_data_that_cannot_be_read(x, y, error, message):
    with pytest.raises(error, match=message):
        FitData(x, y, validation_data=VALIDATION)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        pytest.param((X, Y, Y, Y), r"\(x, y, sample_weight\). Received: a tuple of 4", id="four"),
        pytest.param(
            tf.data.Dataset.from_tensors((X, Y)).repeat(), "must have an end.*Give `validation_steps`", id="endless"
        ),
    ],
)
def test_validation_data_that_cannot_be_evaluated(validation, message):
    with pytest.raises(ValueError, match=message):
        FitData(X, Y, validation_data=validation)


def test_training_splits_epochs_in_its_proportion():
    training = Training("mse", search_epochs=4, finetune_epochs=6)
    assert [training.split(epochs) for epochs in (10, 5, 1, 100)] == [(4, 6), (2, 3), (1, 0), (40, 60)]
    for arguments, message in [({"search_epochs": 0}, "a positive integer"), ({"float_epochs": 1.5}, "0 or more")]:
        with pytest.raises(ValueError, match=message):
            Training("mse", **arguments)
    with pytest.raises(TypeError, match="`optimizer` must be a function"):
        Training("mse", optimizer="adam")


def test_the_learning_rate_falls_to_zero_over_the_steps():
    optimizer = Training("mse", optimizer=keras.optimizers.SGD).new_optimizer(keras, 0.5, steps=10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10)]
    assert rates == pytest.approx([0.5, 0.25, 0.0])
    assert float(Training("mse").new_optimizer(keras, 0.5).learning_rate) == 0.5
