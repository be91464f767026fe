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


def test_training_splits_epochs_in_its_proportion():
    training = Training("mse", search_epochs=4, finetune_epochs=6)
    assert [training.split(epochs) for epochs in (10, 5, 1, 100)] == [(4, 6), (2, 3), (1, 0), (40, 60)]
    for arguments, message in [({"search_epochs": 0}, "1 or more"), ({"float_epochs": 1.5}, "0 or more")]:
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
