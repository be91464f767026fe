import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras_tuner import oracles

from tests.tuner import tiny_experiment as tiny
from tfmp.graph import BitAssignment
from tfmp.tuner import BudgetTuner, register_strategy

pytestmark = pytest.mark.usefixtures("eagerly")

SCOPES = []


def in_scope(run):
    SCOPES.append(tf.distribute.get_strategy())
    search_model = run.relaxed()
    assignment = BitAssignment({"middle": run.budget.like_uniform})
    return run.fine_tuned(search_model, assignment, run.epochs), assignment


register_strategy("in_scope", in_scope)


@pytest.mark.slow
def test_what_hyperband_promotes_trains_on_at_its_bits(tmp_path):
    epochs = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    hypermodel = tiny.hypermodel(strategies=["uniform"], float_epochs=0)
    oracle = oracles.HyperbandOracle("val_accuracy", max_epochs=2, factor=2, seed=0)
    tuner = BudgetTuner(hypermodel, oracle, directory=tmp_path)
    tiny.search(tuner, callbacks=lambda: [note])
    records = {record.trial_id: record for record in tuner.records()}
    (promoted,) = [record for record in records.values() if "tuner/trial_id" in record.values]
    before = records[promoted.values["tuner/trial_id"]]
    assert promoted.bits == before.bits and promoted.status == "completed"
    assert epochs == [0, 0, 1], "an epoch each, and another one for the best"
    kernels = [tuner.model(record.trial_id).get_layer("middle").get_weights()[0] for record in (promoted, before)]
    assert not np.array_equal(*kernels)


def test_a_trial_runs_under_its_distribution_strategy(tmp_path):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    hypermodel = tiny.hypermodel(budgets=tiny.BUDGETS[1:], strategies=["in_scope"], float_epochs=1)
    tuner = BudgetTuner(hypermodel, directory=tmp_path, distribution_strategy=strategy)
    tiny.search(tuner)
    (record,) = tuner.records()
    assert record.status == "completed", record.reason
    assert SCOPES == [strategy]


def test_models_of_tf_keras_are_tuned_too(tmp_path):
    layers = [tf_keras.layers.Dense(8, activation="relu", name=name) for name in ("first", "middle")]
    model = tf_keras.Sequential([tf_keras.Input((4,)), *layers, tf_keras.layers.Dense(3, name="last")])
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    hypermodel = tiny.hypermodel(model, tiny.BUDGETS[1:], strategies=["mixed"], loss=loss)
    tuner = BudgetTuner(hypermodel, directory=tmp_path)
    tiny.search(tuner)
    (record,) = tuner.records()
    assert record.status == "completed", record.reason
    assert isinstance(tuner.model(record.trial_id), tf_keras.Model)


def test_the_model_of_a_user_stays_as_it_was_compiled(tmp_path):
    model = tiny.build()
    optimizer = keras.optimizers.Adam(0.5)
    model.compile(optimizer, "mse")
    tuner = BudgetTuner(tiny.hypermodel(model, strategies=["untrained"]), directory=tmp_path, max_trials=1)
    tiny.search(tuner)
    assert tuner.records()[0].is_completed
    assert model.optimizer is optimizer and model.loss == "mse"


def test_bisection_takes_one_value_of_everything_else(tmp_path):
    hypermodel = tiny.hypermodel(budgets=None, choices={"learning_rate": [0.1, 0.2]})
    with pytest.raises(ValueError, match="searches only the budget.*one value for each of learning_rate"):
        BudgetTuner(hypermodel, directory=tmp_path, minimize="bitops", max_accuracy_drop=0.1)
